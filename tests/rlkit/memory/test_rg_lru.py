"""RG-LRU: the paper's equations written out, its block, its initial decay."""

import math

import pytest
import torch

from rlkit.memory.rg_lru import RGLRU
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(4)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("block", [False, True])
def test_the_papers_equations(block):
    T, I, H = 7, 3, 4
    memory, x = RGLRU(I, H, heads=2, block=block), torch.randn(T, I)
    if block:
        memory.conv_bias.data = torch.randn(H)
    memory.gate_bias.data = torch.randn(2, H)
    gates = [torch.block_diag(*g).T for g in memory.gates]  # (out, in)
    u = torch.stack([memory.W_u.weight @ x_t + memory.W_u.bias for x_t in x])
    if block:
        wide = torch.cat((torch.zeros(3, H), u))
        u = torch.stack(
            [memory.conv_bias + (memory.conv * wide[t : t + 4]).sum(0) for t in range(T)]
        )
    h, expected = torch.zeros(H), []
    for t in range(T):
        r = torch.sigmoid(gates[0] @ u[t] + memory.gate_bias[0])
        i = torch.sigmoid(gates[1] @ u[t] + memory.gate_bias[1])
        a = torch.sigmoid(memory.Lam) ** (8 * r)
        h = a * h + torch.sqrt(1 - a**2) * i * u[t]
        branch = torch.nn.functional.gelu(memory.W_g(x[t])) if block else 1
        expected.append(memory.W_y(branch * h) if block else h)
    y = memory(x[:, None], memory.initial_state(1)).y[:, 0]
    torch.testing.assert_close(y, torch.stack(expected))


def test_decay_starts_in_the_papers_range():
    decay = torch.sigmoid(RGLRU(3, 5000, heads=500).Lam) ** 8
    assert decay.min() >= 0.9
    assert decay.max() <= 0.999
    assert decay.mean().item() == pytest.approx(0.9495, abs=0.002)


def test_time_constants_hold_at_zero_input():
    memory = RGLRU(3, 6, timescale_steps=(8.0, 8.0))
    h = torch.ones(1, 6)
    _, (last,), _ = memory(torch.zeros(8, 1, 3), (h,))
    torch.testing.assert_close(last, torch.full_like(last, math.exp(-1)))


def test_a_closed_gate_keeps_the_state_with_finite_derivatives():
    memory = RGLRU(2, 3)
    memory.gate_bias.data[0] = -1e4
    h = torch.randn(1, 3)
    y = memory.step(torch.zeros(1, 2), (h,)).y
    torch.testing.assert_close(y, h)
    grads = torch.autograd.grad(y.sum(), list(memory.parameters()))
    assert all(g.isfinite().all() for g in grads)


def test_sizes():
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert count(RGLRU(3, 4)) == 4 + 4 * (3 + 1) + 2 * (4 * 4 + 4)
    assert count(RGLRU(3, 4, heads=2)) == 4 + 4 * (3 + 1) + 2 * (2 * 2 * 2 + 4)
    with_block = 4 * (3 + 1) + 4 * (4 + 1) + 4 * 4 + 4
    assert count(RGLRU(3, 4, block=True)) == count(RGLRU(3, 4)) + with_block
    assert [s.shape for s in RGLRU(3, 4, block=True).initial_state(2)] == [(2, 4), (2, 3, 4)]


def test_impossible_values_are_refused():
    with pytest.raises(ConfigError, match="hidden_size is 0"):
        RGLRU(3, 0)
    with pytest.raises(ConfigError, match="heads is 3, but must divide hidden_size 4"):
        RGLRU(3, 4, heads=3)
