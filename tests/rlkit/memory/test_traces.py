"""Real-time gradients of units of two numbers equal those of reverse mode."""

import pytest
import torch

from rlkit.memory.base import select
from rlkit.memory.block_diagonal import BlockDiagonal
from rlkit.memory.lru import LRU
from rlkit.memory.rtu import RTU

T, B, I, H = 24, 3, 4, 5
KINDS = [{"kind": k, "f": f} for k in ("linear", "nonlinear") for f in ("relu", "tanh")]
TRACED = [(LRU, {}), *((c, k) for c in (RTU, BlockDiagonal) for k in KINDS)]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


def loss(y: torch.Tensor) -> torch.Tensor:
    weight = torch.linspace(-1, 1, y.shape[-1])
    return 0.5 * ((y * weight).sum(-1) - 0.3).square().sum()


@pytest.mark.parametrize(("cls", "options"), TRACED)
def test_traces_give_the_gradient_of_reverse_mode(cls, options):
    memory, x = cls(I, H, r_min=0.6, **options), torch.randn(T, B, I)
    start = torch.rand(T, B) < 0.1
    assert start[1:].any()
    out = memory(x, memory.initial_state(B), start)
    parameters = list(memory.parameters())
    expected = torch.autograd.grad(loss(out.y), parameters)
    state, traces = memory.initial_state(B), memory.initial_traces(B)
    total = [torch.zeros_like(p) for p in parameters]
    for t in range(T):
        state = select(start[t], memory.initial_state(B), state)
        traces = select(start[t], memory.initial_traces(B), traces)
        step, traces = memory.trace_step(x[t], state, traces)
        state = step.state
        assert not any(s.requires_grad for s in (*state, *traces))
        torch.testing.assert_close(step.y, out.y[t], rtol=1e-12, atol=1e-12)
        for sum_, g in zip(total, torch.autograd.grad(loss(step.y), parameters), strict=True):
            sum_ += g
    for sum_, g in zip(total, expected, strict=True):
        torch.testing.assert_close(sum_, g, rtol=1e-9, atol=1e-11)
    for own, s in zip(state, out.state, strict=True):
        torch.testing.assert_close(own, s)


@pytest.mark.parametrize(("cls", "options"), TRACED)
def test_the_input_gets_its_direct_path(cls, options):
    memory, state = cls(I, H, **options), tuple(torch.randn(B, H) for _ in range(2))
    x = torch.randn(B, I, requires_grad=True)
    step, _ = memory.trace_step(x, state, memory.initial_traces(B))
    (got,) = torch.autograd.grad(loss(step.y), x)
    (expected,) = torch.autograd.grad(loss(memory.step(x, state).y), x)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize(
    ("cls", "options", "floats"),
    [
        (LRU, {}, 4 * H + 2 * H * I),
        (RTU, {"kind": "linear"}, 4 * H + 2 * H * I),
        (RTU, {"kind": "nonlinear"}, 4 * H + 4 * H * I),
        (BlockDiagonal, {}, 8 * H + 4 * H * I),
    ],
)
def test_size_of_the_traces(cls, options, floats):
    assert sum(e[0].numel() for e in cls(I, H, **options).initial_traces(B)) == floats
