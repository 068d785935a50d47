"""A memory that carries its traces: its passes agree, and its gradients are those of the past."""

import pytest
import torch

from rlkit.memory import make_memory, memories_with_traces
from rlkit.memory.base import select
from rlkit.memory.traced import Traced
from rlkit.options import ConfigError

T, B, I = 19, 3, 4
KINDS = {name: {} for name in memories_with_traces()} | {
    "rtu-nonlinear": {"kind": "nonlinear"},
    "block_diagonal-nonlinear": {"kind": "nonlinear", "f": "tanh"},
    "lru-no-skip": {"skip": False, "output_size": 3},
    "leaky-scalar": {"alpha": "scalar"},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    yield
    torch.set_default_dtype(torch.float32)


def traced(kind: str) -> Traced:
    return Traced(make_memory(kind.split("-")[0], I, hidden_size=5, **KINDS[kind]))


def sequence(memory: Traced):
    """Inputs, a state from within an episode, and starts inside, also at the first step."""
    start = torch.rand(T, B) < 0.15
    start[0] = torch.tensor([True, False, False])
    start[9, 1] = True
    state = memory.initial_state(B)
    for x in torch.randn(4, B, I):
        state = memory.step(x, state).state
    assert all(s.abs().sum() > 0 for s in state)
    return torch.randn(T, B, I), state, start


@each_kind
def test_states_before_all_steps_are_those_of_single_steps(kind):
    memory = traced(kind)
    x, state, start = sequence(memory)
    got = memory.before(x, state, start)
    for t in range(T):
        for g, want in zip(got, state, strict=True):
            assert g.shape[:2] == (T, B)
            torch.testing.assert_close(g[t], want, rtol=1e-12, atol=1e-12)
        restarted = select(start[t], memory.fresh_state(x[t]), state)
        state = memory.step(x[t], restarted).state
    assert not any(g.requires_grad for g in got)


@each_kind
def test_a_pass_has_the_gradient_of_reverse_mode(kind):
    memory = traced(kind)
    x, _, start = sequence(memory)
    weight = torch.randn(T, B, memory.output_size)
    parameters = list(memory.parameters())
    passes = memory, memory.memory
    gradients = []
    for m in passes:
        y = m(x, m.initial_state(B), start).y
        gradients.append(torch.autograd.grad((weight * y + y**2).sum(), parameters))
    for got, want in zip(*gradients, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)


def test_a_memory_without_traces_is_refused():
    with pytest.raises(ConfigError, match="GRU has no real-time traces") as error:
        Traced(make_memory("gru", I))
    assert all(name in str(error.value) for name in memories_with_traces())
