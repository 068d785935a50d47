"""Repeat the first input after k steps: every memory that can learns it, `none` cannot."""

import pytest
import torch
from torch import nn

from rlkit.memory import MEMORIES, make_memory
from tests.contracts.memories import options_of

K, CLASSES, B, UPDATES = 6, 4, 32, 300
REQUIRED = dict.fromkeys(MEMORIES.names(), 0.95)
"""Accuracy after training; chance is 0.25, and what `none` must stay near."""


def batch(g):
    """A class at t = 0, then noise in the other channels; asked at t = K."""
    label_B = torch.randint(CLASSES, (B,), generator=g)
    x_TBI = torch.randn(K + 1, B, CLASSES + 1, generator=g) * 0.3
    x_TBI[..., :CLASSES] = 0
    x_TBI[0, torch.arange(B), label_B] = 1.0
    return x_TBI, label_B


def accuracy(name, seed=0):
    torch.manual_seed(seed)
    options = options_of(name) if name != "none" else {}
    if "hidden_size" in options:
        options["hidden_size"] = 24
    if name == "framestack":
        options["k"] = K + 1
    memory = make_memory(name, CLASSES + 1, **options)
    head = nn.Linear(memory.output_size, CLASSES)
    optimizer = torch.optim.Adam([*memory.parameters(), *head.parameters()], 1e-2)
    g = torch.Generator().manual_seed(1)
    for _ in range(UPDATES):
        x_TBI, label_B = batch(g)
        step = memory(x_TBI, memory.fresh_state(x_TBI[0]))
        loss = nn.functional.cross_entropy(head(step.y[-1]), label_B)
        if step.penalty is not None:
            loss = loss + step.penalty.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*memory.parameters(), *head.parameters()], 1.0)
        optimizer.step()
    memory.eval()
    right = total = 0
    for _ in range(10):
        x_TBI, label_B = batch(g)
        y = memory(x_TBI, memory.fresh_state(x_TBI[0])).y[-1]
        right += (head(y).argmax(-1) == label_B).sum().item()
        total += B
    return right / total


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in MEMORIES.names() if n != "none"])
def test_memories_learn_to_repeat_the_first_input(name):
    assert accuracy(name) >= REQUIRED[name]


def test_none_cannot():
    assert accuracy("none") < 0.4
