"""The hand-written unroll against the loop of the contract."""

import pytest
import torch

from rlkit.memory import make_memory
from rlkit.memory.base import Memory

T, B, I, H = 23, 4, 3, 5
CELLS = [
    ("elman", {}),
    ("gated", {"gate": "global"}),
    ("gated", {"gate": "unit"}),
    ("gru", {}),
    ("leaky", {"alpha": "scalar"}),
    ("leaky", {"alpha": "unit"}),
    ("lstm", {}),
    ("mingru", {}),
    ("minlstm", {}),
]
each_cell = pytest.mark.parametrize(("name", "options"), CELLS)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    yield
    torch.set_default_dtype(torch.float32)


def cell_and_sequence(name, options):
    memory = make_memory(name, I, hidden_size=H, **options)
    carry = tuple(torch.randn_like(s).requires_grad_() for s in memory.initial_state(B))
    return memory, torch.randn(T, B, I, requires_grad=True), carry, torch.rand(T, B) < 0.2


def everything(run, memory, x, carry, start):
    """Outputs, last state, and gradients of all inputs from all outputs."""
    y, state, _ = run(x, carry, start)
    weight = torch.linspace(-1, 1, y.numel()).view_as(y)
    loss = (y * weight).sum() + sum(s.square().sum() for s in state)
    return y, *state, *torch.autograd.grad(loss, [x, *carry, *memory.parameters()])


def assert_same(memory, x, carry, start):
    fast = everything(memory.forward, memory, x, carry, start)
    loop = everything(lambda *a: Memory.forward(memory, *a), memory, x, carry, start)
    for a, b in zip(fast, loop, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


@each_cell
def test_fast_forward_is_the_loop(name, options):
    memory, x, carry, start = cell_and_sequence(name, options)
    never, always = torch.zeros_like(start), torch.ones_like(start)
    for flags in (None, start, never, always):
        assert_same(memory, x, carry, flags)


@each_cell
def test_fast_forward_is_the_loop_over_one_step_and_one_row(name, options):
    memory, x, carry, start = cell_and_sequence(name, options)
    assert_same(memory, x[:1], carry, start[:1])
    one = tuple(s[:1].detach().requires_grad_() for s in carry)
    assert_same(memory, x[:, :1], one, start[:, :1])


@each_cell
def test_fast_forward_in_single_precision(name, options):
    memory, x, carry, start = cell_and_sequence(name, options)
    memory.float()
    x, carry = x.detach().float(), tuple(s.detach().float() for s in carry)
    x.requires_grad_()
    carry = tuple(s.requires_grad_() for s in carry)
    fast = everything(memory.forward, memory, x, carry, start)
    loop = everything(lambda *a: Memory.forward(memory, *a), memory, x, carry, start)
    for a, b in zip(fast, loop, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@each_cell
def test_frozen_inputs_and_weights(name, options):
    """A gradient is only asked of some; the others are as in the full backward."""
    memory, x, carry, start = cell_and_sequence(name, options)
    (full,) = torch.autograd.grad(memory(x, carry, start).y.sum(), x)
    memory.requires_grad_(False)
    fixed = tuple(s.detach() for s in carry)
    (alone,) = torch.autograd.grad(memory(x, fixed, start).y.sum(), x)
    torch.testing.assert_close(alone, full)


@each_cell
def test_nan_before_a_start_does_not_leak(name, options):
    memory, x, carry, _ = cell_and_sequence(name, options)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0, 1] = start[9, 2] = True
    x, carry = x.detach(), tuple(s.detach().clone() for s in carry)
    for s in carry:
        s[1] = float("nan")
    finite = memory(x.requires_grad_(), carry, start)
    grads = torch.autograd.grad(finite.y.sum(), [x, *memory.parameters()])
    assert all(g.isfinite().all() for g in grads)
    with torch.no_grad():
        x[8, 2] = float("nan")
        y, state, _ = memory(x, carry, start)
    assert y[:, [0, 1, 3]].isfinite().all()
    assert y[:8, 2].isfinite().all()
    assert y[9:, 2].isfinite().all()
    assert all(s.isfinite().all() for s in state)


@each_cell
def test_no_gradient_crosses_a_start(name, options):
    memory, x, carry, _ = cell_and_sequence(name, options)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0, 1] = start[9, 2] = True
    y = memory(x, carry, start).y
    gx, *gs = torch.autograd.grad(y[-1].sum(), [x, *carry])
    assert torch.equal(gx[:9, 2], torch.zeros(9, I))
    assert (gx[9:, 2] != 0).any(1).all()
    assert (gx[:, [0, 3]] != 0).any(2).all()
    assert all(torch.equal(g[1:3], torch.zeros(2, H)) for g in gs)
    assert all((g[[0, 3]] != 0).any(1).all() for g in gs)


@each_cell
def test_first_derivatives_are_right(name, options):
    memory = make_memory(name, 2, hidden_size=2, **options)
    x = torch.randn(4, 2, 2, requires_grad=True)
    carry = tuple(torch.randn_like(s).requires_grad_() for s in memory.initial_state(2))
    start = torch.tensor([[0, 1], [0, 0], [1, 0], [0, 0]], dtype=torch.bool)
    names, weights = zip(*memory.named_parameters(), strict=True)

    def run(x, *rest):
        own = dict(zip(names, rest[len(carry) :], strict=True))
        call = (x, rest[: len(carry)], start)
        return torch.func.functional_call(memory, own, call).y

    assert torch.autograd.gradcheck(run, (x, *carry, *weights))


def test_a_second_derivative_is_refused():
    memory, x, carry, start = cell_and_sequence("gru", {})
    y = memory(x, carry, start).y
    (g,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()
