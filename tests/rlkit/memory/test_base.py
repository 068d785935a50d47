"""The contract of a memory, on a leaky integrator: start flags, gradients, NaN."""

import pytest
import torch
from torch import nn

from rlkit.memory.base import Memory, Step, select

T, B, I, H = 9, 4, 3, 2


class Leaky(Memory):
    """s ← s ⊙ a + W x;  y = s. A second state counts steps since the start."""

    def __init__(self, input_size: int, output_size: int, with_penalty: bool = False):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.with_penalty = with_penalty
        self.decay = nn.Parameter(torch.linspace(0.3, 0.9, output_size))
        self.mix = nn.Linear(input_size, output_size)
        self.first = nn.Parameter(torch.full((output_size,), 0.5))

    def initial_state(self, B):
        return self.first.expand(B, -1), torch.zeros(B, 1, 2)

    def step(self, x_BI, state):
        s, age = state
        s = s * self.decay + self.mix(x_BI)
        return Step(s, (s, age + 1), s.square().sum(-1) if self.with_penalty else None)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(torch.float32)


def sequence() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(T, B, I), torch.rand(T, B) < 0.3


def test_forward_is_each_copy_and_episode_on_its_own():
    memory, (x, start) = Leaky(I, H), sequence()
    carry = (torch.randn(B, H), torch.rand(B, 1, 2))
    y, last, penalty = memory(x, carry, start)
    assert y.shape == (T, B, H)
    assert penalty is None
    for b in range(B):
        state = tuple(s[b : b + 1] for s in carry)
        for t in range(T):
            if start[t, b]:
                state = memory.initial_state(1)
            out, state, _ = memory.step(x[t, b : b + 1], state)
            assert torch.equal(y[t, b], out[0])
        for whole, own in zip(last, state, strict=True):
            assert torch.equal(whole[b], own[0])


def test_without_start_flags_nothing_restarts():
    memory, (x, _) = Leaky(I, H), sequence()
    never = torch.zeros(T, B, dtype=torch.bool)
    fresh = memory.initial_state(B)
    assert torch.equal(memory(x, fresh).y, memory(x, fresh, never).y)


def test_a_sequence_in_pieces_is_the_sequence():
    memory, (x, start) = Leaky(I, H), sequence()
    whole = memory(x, memory.initial_state(B), start)
    head = memory(x[:4], memory.initial_state(B), start[:4])
    tail = memory(x[4:], head.state, start[4:])
    assert torch.equal(torch.cat((head.y, tail.y)), whole.y)
    assert all(torch.equal(a, b) for a, b in zip(tail.state, whole.state, strict=True))


def test_no_gradient_crosses_a_start():
    memory, (x, _) = Leaky(I, H), sequence()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[5, 1] = True
    x.requires_grad_()
    carry = tuple(s.detach().clone().requires_grad_() for s in memory.initial_state(B))
    gx, gs = torch.autograd.grad(memory(x, carry, start).y[-1].sum(), [x, carry[0]])
    assert torch.equal(gx[:5, 1], torch.zeros(5, I))
    assert torch.equal(gs[1], torch.zeros(H))
    assert (gx[5:, 1] != 0).all()
    assert (gx[:, 0] != 0).all()
    assert (gs[0] != 0).all()


def test_the_initial_state_learns_through_starts():
    memory, (x, _) = Leaky(I, H), sequence()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[7, 2] = True
    carry = (torch.zeros(B, H), torch.zeros(B, 1, 2))
    (g,) = torch.autograd.grad(memory(x, carry, start).y[-1, 2].sum(), memory.first)
    torch.testing.assert_close(g, memory.decay.detach() ** 2)


def test_nan_before_a_start_does_not_leak():
    memory, (x, _) = Leaky(I, H), sequence()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0, 1] = start[4, 2] = True
    carry = (torch.zeros(B, H), torch.zeros(B, 1, 2))
    carry[0][1] = float("nan")
    x[3, 2] = float("nan")
    y, state, _ = memory(x, carry, start)
    assert y[:, [0, 1, 3]].isfinite().all()
    assert y[4:, 2].isfinite().all()
    assert all(s.isfinite().all() for s in state)


def test_a_nan_carry_gives_no_nan_gradient():
    memory, (x, _) = Leaky(I, H), sequence()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0] = True
    carry = (torch.full((B, H), float("nan")), torch.zeros(B, 1, 2))
    grads = torch.autograd.grad(memory(x, carry, start).y.sum(), list(memory.parameters()))
    assert all(g.isfinite().all() for g in grads)


def test_select_takes_whole_rows_of_every_state():
    memory = Leaky(I, H)
    carry = (torch.randn(B, H), torch.full((B, 1, 2), 7.0))
    start = torch.tensor([True, False, False, True])
    s, age = select(start, memory.initial_state(B), carry)
    assert torch.equal(age[:, 0, 0], torch.tensor([0.0, 7, 7, 0]))
    assert torch.equal(s[1:3], carry[0][1:3])
    assert torch.equal(s[[0, 3]], memory.initial_state(2)[0])


def test_penalties_are_stacked_over_time():
    memory, (x, start) = Leaky(I, H, with_penalty=True), sequence()
    y, _, penalty = memory(x, memory.initial_state(B), start)
    assert torch.equal(penalty, y.square().sum(-1))


def test_the_contract_alone_is_not_a_memory():
    with pytest.raises(NotImplementedError):
        Memory().initial_state(2)
    with pytest.raises(NotImplementedError):
        Memory().step(torch.zeros(2, 3), ())
