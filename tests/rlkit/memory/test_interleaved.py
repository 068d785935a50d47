"""Interleaved carries = c independent memories, each seeing every c-th input of an episode."""

from itertools import pairwise

import pytest
import torch

from rlkit.memory import MEMORIES, make_memory
from rlkit.memory.base import select
from rlkit.memory.interleaved import Interleaved
from tests.contracts.memories import INPUT, sequence, small

MEMORY_NAMES = ["gru", "lstm", "gatel0rd", "framestack", "rtu", "gtrxl", "vand"]
B = 3


def interleaved(name: str, carries: int) -> Interleaved:
    changes = {"f_init": 2} if name == "gatel0rd" else {}
    return Interleaved(small(name, **changes), carries).eval()


def by_steps(memory, x_TBI, state, start_TB):
    """Outputs, states before every step, and the last state, as acting makes them."""
    outputs, before = [], []
    for x_BI, start_B in zip(x_TBI, start_TB, strict=True):
        before.append(state)
        state = select(start_B, memory.fresh_state(x_BI), state)
        y_BH, state, _ = memory.step(x_BI, state)
        outputs.append(y_BH)
    return torch.stack(outputs), before, state


def told_apart(inner, x_TBI, start_TB, carries: int):
    """Row by row: every episode split into c sequences, each run on its own."""
    y = [[None] * x_TBI.shape[1] for _ in x_TBI]
    for b in range(x_TBI.shape[1]):
        starts = [0, *(t for t in range(1, len(x_TBI)) if start_TB[t, b]), len(x_TBI)]
        for first, end in pairwise(starts):
            for slot in range(min(carries, end - first)):
                rows = list(range(first + slot, end, carries))
                x = x_TBI[rows, b : b + 1]
                out = inner(x, inner.fresh_state(x[0])).y[:, 0]
                for t, value in zip(rows, out, strict=True):
                    y[t][b] = value
    return torch.stack([torch.stack(row) for row in y])


@pytest.mark.parametrize("carries", [2, 3, 5])
@pytest.mark.parametrize("name", MEMORY_NAMES)
def test_acting_is_c_memories_that_take_turns(name, carries):
    memory = interleaved(name, carries)
    x_TBI, start_TB = sequence(17, B)
    start_TB[0] = True
    y, _, _ = by_steps(memory, x_TBI, memory.initial_state(B), start_TB)
    want = told_apart(memory.memory, x_TBI, start_TB, carries)
    torch.testing.assert_close(y, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("T", [1, 2, 3, 4, 9, 11])
@pytest.mark.parametrize("carries", [2, 4])
@pytest.mark.parametrize("name", MEMORY_NAMES)
def test_a_window_is_what_acting_did(name, carries, T):
    """From any step on, with starts inside: outputs, last state, gradients."""
    memory = interleaved(name, carries)
    x_TBI, start_TB = sequence(20, B)
    _, before, _ = by_steps(memory, x_TBI, memory.initial_state(B), start_TB)
    for first in (0, 1, 7):
        x, start, state = x_TBI[first : first + T], start_TB[first : first + T], before[first]
        state = tuple(s.detach() for s in state)
        y, _, last = by_steps(memory, x, state, start)
        whole = memory(x, state, start)
        torch.testing.assert_close(whole.y, y, rtol=0, atol=1e-12)
        for ours, theirs in zip(whole.state, last, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
        weights = [p for p in memory.parameters() if p.requires_grad]
        if weights:
            one, two = (
                torch.autograd.grad(out.square().sum(), weights, materialize_grads=True)
                for out in (whole.y, y)
            )
            for ours, theirs in zip(one, two, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("carries", [1, 2, 4])
def test_carries_of_the_first_steps_make_up_the_state(carries):
    memory = interleaved("gru", carries)
    x_TBI, start_TB = sequence(20, B)
    _, before, _ = by_steps(memory, x_TBI, memory.initial_state(B), start_TB)
    for first in range(12):
        kept = [memory.carry(s) for s in before[first : first + carries]]
        state = memory.resume(tuple(torch.stack(s) for s in zip(*kept, strict=True)))
        x, start = x_TBI[first : first + 8], start_TB[first : first + 8]
        want = memory(x, before[first], start).y
        assert torch.equal(memory(x, state, start).y, want)


def test_no_starts_given_is_no_start():
    memory = interleaved("gru", 3)
    x_TBI, start_TB = sequence(10, B)
    state = memory.initial_state(B)
    none = torch.zeros_like(start_TB)
    assert torch.equal(memory(x_TBI, state).y, memory(x_TBI, state, none).y)


def test_one_carry_is_the_memory_itself():
    memory = interleaved("lstm", 1)
    x_TBI, start_TB = sequence(10, B)
    inner = memory.memory
    want = inner(x_TBI, inner.initial_state(B), start_TB).y
    assert torch.equal(memory(x_TBI, memory.initial_state(B), start_TB).y, want)


def test_penalties_come_in_the_order_of_the_steps():
    memory = interleaved("gatel0rd", 3)
    x_TBI, start_TB = sequence(11, B)
    state, costs = memory.initial_state(B), []
    for x_BI, start_B in zip(x_TBI, start_TB, strict=True):
        state = select(start_B, memory.fresh_state(x_BI), state)
        _, state, cost = memory.step(x_BI, state)
        costs.append(cost)
    whole = memory(x_TBI, memory.initial_state(B), start_TB)
    torch.testing.assert_close(whole.penalty, torch.stack(costs), rtol=0, atol=1e-12)


def test_make_memory_interleaves_what_has_a_state_and_scales_its_time():
    assert not isinstance(make_memory("none", INPUT, carries=4), Interleaved)
    assert not isinstance(make_memory("gru", INPUT), Interleaved)
    torch.manual_seed(0)
    fast = make_memory("gru", INPUT, dt=0.01, carries=5, timescale={"seconds": (0.1, 5.0)})
    torch.manual_seed(0)
    slow = make_memory("gru", INPUT, dt=0.05, timescale={"seconds": (0.1, 5.0)})
    assert isinstance(fast, Interleaved)
    assert torch.equal(fast.memory.bias_ih, slow.bias_ih)


def test_every_memory_can_be_interleaved():
    for name in MEMORIES.names():
        if name == "none":
            continue
        memory = Interleaved(small(name), 2).eval()
        x_TBI, start_TB = sequence(5, B)
        assert memory(x_TBI, memory.initial_state(B), start_TB).y.isfinite().all()
