"""The fused LSTM with reset tokens: exactly fresh after a start, in single precision too."""

import pytest
import torch

from rlkit.memory.base import Memory
from rlkit.memory.lstm import LSTM
from rlkit.memory.reset_tokens import lstm_with_tokens

T, B, I, H = 12, 3, 4, 8


@pytest.fixture
def memory():
    torch.manual_seed(0)
    return LSTM(I, H)


def weights(memory):
    return [memory.weight_ih, memory.weight_hh, memory.bias_ih, memory.bias_hh]


def test_nothing_but_the_last_episode_is_remembered(memory):
    """A carry and inputs of very different size before the start do not change one bit after."""
    later = torch.zeros(T - 1, B, dtype=torch.bool)
    later[3], later[6, 0] = True, True
    x, zero = torch.randn(T, B, I), torch.zeros(B, H)
    y, c = lstm_with_tokens(x, zero, zero, weights(memory), later)
    x = torch.cat((1e4 * torch.randn(4, B, I), x[4:]))
    y2, c2 = lstm_with_tokens(x, 1e3 + zero, -1e6 + zero, weights(memory), later)
    assert torch.equal(y[4:], y2[4:])
    assert torch.equal(c, c2)
    assert not torch.equal(y[:4], y2[:4])


def test_rows_with_fewer_starts_keep_their_last_cell_to_the_bit(memory):
    """Row 1 is held for five steps at the end while row 0 restarts five times."""
    x, carry = torch.randn(T, 2, I), torch.randn(2, 2, H)
    later = torch.zeros(T - 1, 2, dtype=torch.bool)
    later[2:7, 0] = True
    y, c = lstm_with_tokens(x, *carry, weights(memory), later)
    alone, c_alone = lstm_with_tokens(x, *carry, weights(memory), None)
    assert torch.equal(y[:, 1], alone[:, 1])
    assert torch.equal(c[1], c_alone[1])


def test_large_weights_do_not_open_a_closed_gate(memory):
    with torch.no_grad():
        for w in weights(memory):
            w.mul_(1e5)
    later = torch.zeros(T - 1, B, dtype=torch.bool)
    later[5] = True
    x = torch.randn(T, B, I)
    y, _ = lstm_with_tokens(x, torch.ones(B, H), torch.ones(B, H), weights(memory), later)
    fresh, _ = lstm_with_tokens(x[6:], *torch.zeros(2, B, H), weights(memory), None)
    assert torch.equal(y[6:], fresh)


def test_gradients_before_a_start_are_exactly_zero(memory):
    later = torch.zeros(T - 1, B, dtype=torch.bool)
    later[5, 1] = True
    x = torch.randn(T, B, I, requires_grad=True)
    carry = torch.randn(2, B, H, requires_grad=True)
    y, c = lstm_with_tokens(x, *carry, weights(memory), later)
    gx, gs = torch.autograd.grad(y[6:].sum() + c.sum(), [x, carry])
    assert torch.equal(gx[:6, 1], torch.zeros(6, I))
    assert torch.equal(gs[:, 1], torch.zeros(2, H))
    assert (gx[:, 0] != 0).any(-1).all()
    assert (gs[:, 0] != 0).any()


def test_what_is_not_finite_takes_the_loop(memory, monkeypatch):
    def refuse(*args):
        raise AssertionError("a token cannot forget a NaN")

    monkeypatch.setattr("rlkit.memory.lstm.lstm_with_tokens", refuse)
    x, start = torch.randn(T, B, I), torch.zeros(T, B, dtype=torch.bool)
    x[2, 1], start[3, 1] = float("inf"), True
    carry = memory.initial_state(B)
    loop = Memory.forward(memory, x, carry, start).y
    torch.testing.assert_close(memory(x, carry, start).y, loop, equal_nan=True)
