"""Recurrences of 2×2 blocks: hand-written backward and loop are one function."""

import pytest
import torch

from rlkit.memory.block_scan import block_scan
from rlkit.memory.pairs import activate

T, B, H = 24, 3, 5


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("f", ["linear", "relu", "tanh"])
@pytest.mark.parametrize("flags", [False, True])
def test_blocks_are_the_loop(f, flags):
    start = torch.rand(T, B) < 0.2 if flags else None
    leaves = [torch.randn(*s) * 0.5 for s in ((2, H), (2, H), (T, B, 2, H), (B, 2, H))]
    d, o, p, c = (x.requires_grad_() for x in leaves)
    states, state = [], c
    for t in range(T):
        if start is not None:
            state = torch.where(start[t, :, None, None], 0, state)
        a = torch.stack(
            (d[0] * state[:, 0] + o[0] * state[:, 1], o[1] * state[:, 0] + d[1] * state[:, 1]), 1
        )
        state = activate(f, a + p[t])
        states.append(state)
    got, expected = block_scan((d, o), p, c, start, f), torch.stack(states)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(got)
    both = (torch.autograd.grad((y * weight).sum(), (d, o, p, c)) for y in (got, expected))
    for fast, slow in zip(*both, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-11, atol=1e-12)


def test_nan_does_not_cross_a_start():
    d, o = torch.randn(2, H, requires_grad=True), torch.randn(2, H, requires_grad=True)
    p, c = torch.randn(T, B, 2, H), torch.randn(B, 2, H)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0, 1] = start[9, 2] = True
    c[1] = p[8, 2] = float("nan")
    y = block_scan((d, o), p, c, start, "tanh")
    assert y[:, :2].isfinite().all()
    assert y[9:, 2].isfinite().all()
    p[8, 2] = 0  # a NaN carry alone must not reach the gradients
    grads = torch.autograd.grad(block_scan((d, o), p, c, start, "tanh").sum(), (d, o))
    assert all(g.isfinite().all() for g in grads)
