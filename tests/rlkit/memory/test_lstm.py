"""LSTM: stored arrays, torch's cell, biases."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rlkit.memory.base import Memory
from rlkit.memory.lstm import LSTM

ORACLE = Path(__file__).parents[2] / "oracles" / "cell_lstm.npz"


@pytest.mark.parametrize("forward", [LSTM.forward, Memory.forward])
def test_stored_arrays(forward):
    with np.load(ORACLE, allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files}
    memory = LSTM(4, 5).double()
    memory.load_state_dict({k[2:]: v for k, v in o.items() if k.startswith("w.")})
    x, h0, c0 = (o[k].requires_grad_() for k in ("x", "h0", "c0"))
    y, (h, c), _ = forward(memory, x, (h0, c0))
    loss = 0.5 * (y @ o["readout"] - o["target"]).square().sum()
    wanted = {"x": x, "h0": h0, "c0": c0, **dict(memory.named_parameters())}
    grads = torch.autograd.grad(loss, list(wanted.values()))
    torch.testing.assert_close(y, o["h"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(h, o["h"][-1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(c, o["c"][-1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-9, atol=0)
    for name, g in zip(wanted, grads, strict=True):
        torch.testing.assert_close(g, o[f"grad.{name}"], rtol=1e-9, atol=1e-12)


def test_it_is_torchs_cell():
    torch.manual_seed(0)
    memory, cell = LSTM(3, 5), nn.LSTMCell(3, 5)
    memory.load_state_dict(cell.state_dict())
    x, state = torch.randn(4, 3), (torch.randn(4, 5), torch.randn(4, 5))
    torch.testing.assert_close(memory.step(x, state).state, cell(x, state))


def test_forget_bias_is_set_once():
    i, f = slice(0, 5), slice(5, 10)
    for memory, value in ((LSTM(3, 5), 1.0), (LSTM(3, 5, forget_bias=-2.0), -2.0)):
        assert torch.equal(memory.bias_ih[f], torch.full((5,), value))
        assert torch.equal(memory.bias_hh[f], torch.zeros(5))
        assert (memory.bias_hh[i] != 0).all()


def test_time_constants_are_in_both_gates():
    memory = LSTM(3, 5, timescale_steps=(10.0, 10.0))
    i, f, *_ = (memory.bias_ih + memory.bias_hh).chunk(4)
    torch.testing.assert_close(f.sigmoid(), torch.full((5,), math.exp(-0.1)))
    assert torch.equal(i, -f)


def test_chrono_draws_once_for_both_gates():
    i, f, *_ = (m := LSTM(3, 500, chrono=30.0)).bias_ih.chunk(4)
    assert torch.equal(i, -f)
    assert torch.equal(m.bias_hh[:1000], torch.zeros(1000))
    assert f.exp().min() >= 1 - 1e-5
    assert 25 < f.exp().max() <= 29
