"""Elman network: stored arrays, one step by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory import make_memory
from rlkit.memory.elman import Elman
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "cell_elman.npz"


def test_stored_arrays():
    with np.load(ORACLE, allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files}
    memory = Elman(4, 5).double()
    memory.load_state_dict({k[2:]: v for k, v in o.items() if k.startswith("w.")})
    x, h0 = o["x"].requires_grad_(), o["h0"].requires_grad_()
    y, (h,), _ = memory(x, (h0,))
    loss = 0.5 * (y @ o["readout"] - o["target"]).square().sum()
    wanted = {"x": x, "h0": h0, **dict(memory.named_parameters())}
    grads = torch.autograd.grad(loss, list(wanted.values()))
    torch.testing.assert_close(y, o["h"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(h, o["h"][-1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-9, atol=0)
    for name, g in zip(wanted, grads, strict=True):
        torch.testing.assert_close(g, o[f"grad.{name}"], rtol=1e-9, atol=1e-12)


def test_one_step_by_hand():
    memory = Elman(1, 1)
    for w, value in zip(memory.parameters(), (0.5, -1.0, 0.25, 0.125), strict=True):
        w.data.fill_(value)
    # tanh(0.5·2 + 0.25 - 1·0.375 + 0.125) = tanh(1)
    y, state, penalty = memory.step(torch.tensor([[2.0]]), (torch.tensor([[0.375]]),))
    assert y.item() == pytest.approx(0.7615942)
    assert state[0] is y
    assert penalty is None


def test_parameters_are_drawn_as_torch_does():
    torch.manual_seed(0)
    memory = Elman(3, 16)
    assert sum(p.numel() for p in memory.parameters()) == 16 * (3 + 16) + 2 * 16
    for p in memory.parameters():
        assert p.abs().max() <= 0.25
        assert p.abs().max() > 0.2


def test_there_is_no_time_constant_to_set():
    with pytest.raises(ConfigError, match="'elman' has no time constants"):
        make_memory("elman", 3, timescale={"steps": [2, 9]})
