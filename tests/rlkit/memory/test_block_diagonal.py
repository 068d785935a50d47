"""Block-diagonal network: stored arrays, one step by hand, stability."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.block_diagonal import BlockDiagonal

ORACLE = Path(__file__).parents[2] / "oracles" / "blockdiag_linear_f64.npz"
NAMES = {"A": "a", "B": "b", "C": "c", "D": "d", "W1": "w1", "W2": "w2"}


def test_stored_arrays():
    with np.load(ORACLE, allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files if file[k].dtype.kind == "f"}
    memory = BlockDiagonal(4, 5, f="tanh").double()
    for name, theirs in NAMES.items():
        getattr(memory, name).data = o[f"w.{theirs}"].view_as(getattr(memory, name))
    y = memory(o["x"], memory.initial_state(3)).y
    loss = 0.5 * (y @ o["readout"] - o["target"]).square().sum()
    grads = torch.autograd.grad(loss, [getattr(memory, n) for n in NAMES])
    torch.testing.assert_close(y, o["y"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-9, atol=0)
    for name, g in zip(NAMES.values(), grads, strict=True):
        torch.testing.assert_close(g, o[f"grad.{name}"].view_as(g), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "kept"), [("linear", -3.0), ("nonlinear", 0.0)])
def test_one_step_by_hand(kind, kept):
    memory = BlockDiagonal(1, 1, kind=kind)
    for name, value in {"A": 1, "B": -4, "C": 2, "D": 3, "W1": 0.5, "W2": -1}.items():
        getattr(memory, name).data.fill_(value)
    # a1 = 1·3 - 4·2 + 0.5·4 = -3;  a2 = 2·3 + 3·2 - 4 = 8
    state = torch.tensor([[3.0]]), torch.tensor([[2.0]])
    y, (c1, c2), _ = memory.step(torch.tensor([[4.0]]), state)
    assert [c1.item(), c2.item()] == [kept, 8]
    assert y.tolist() == [[0, 8]]


def test_blocks_start_as_rotations():
    memory = BlockDiagonal(3, 6, timescale_steps=(8.0, 8.0))
    assert torch.equal(memory.A, memory.D)
    assert torch.equal(memory.B, -memory.C)
    radius = memory.spectral_radius()
    torch.testing.assert_close(radius, torch.full((6,), math.exp(-1 / 8)))
    assert sum(p.numel() for p in memory.parameters()) == 4 * 6 + 2 * 6 * 3


def test_the_spectral_radius_shows_instability():
    memory = BlockDiagonal(1, 2)
    for name, values in {"A": [2, 0.5], "B": [0, 0], "C": [7, 0], "D": [1, -0.75]}.items():
        getattr(memory, name).data = torch.tensor(values, dtype=torch.float32)
    torch.testing.assert_close(memory.spectral_radius(), torch.tensor([2, 0.75]))
