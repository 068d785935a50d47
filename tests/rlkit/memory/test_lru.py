"""LRU: stored arrays, one step by hand, initial values."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.lru import LRU
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "lru_bptt_f64.npz"
NAMES = {"nu_log": "nu_log", "theta_log": "theta_log", "gamma_log": "gamma_log"} | {
    "B_re": "B_real",
    "B_im": "B_img",
    "C_re": "C_real",
    "C_im": "C_img",
}


def test_stored_arrays():
    with np.load(ORACLE, allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files}
    memory = LRU(4, 5, output_size=2, skip=False).double()
    for name, theirs in NAMES.items():
        getattr(memory, name).data = o[f"w.{theirs}"].view_as(getattr(memory, name))
    x = o["x"].requires_grad_()
    y, state, _ = memory(x, memory.initial_state(3))
    loss = 0.5 * (y - o["target"]).square().sum()
    grads = torch.autograd.grad(loss, [x, *(getattr(memory, n) for n in NAMES)])
    torch.testing.assert_close(y, o["y"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(torch.complex(*state), o["h_final"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-9, atol=0)
    for name, g in zip(("x", *NAMES.values()), grads, strict=True):
        expected = o[f"bptt_grad.{name}"].view_as(g)
        torch.testing.assert_close(g, expected, rtol=1e-9, atol=1e-12)


def test_one_step_by_hand():
    memory = LRU(1, 1)
    values = {"nu_log": math.log(math.log(2)), "theta_log": math.log(math.pi / 2)}
    values |= {"gamma_log": math.log(3), "B_re": 1, "B_im": -1, "C_re": 2, "C_im": 5, "D": 10}
    for name, value in values.items():
        getattr(memory, name).data.fill_(value)
    # λ = i/2, h' = i/2 (4 + 2i) + 3 (1 - i) 1 = 2 - i;  y = Re((2 + 5i)(2 - i)) + 10 = 19
    y, state, _ = memory.step(torch.ones(1, 1), (torch.tensor([[4.0]]), torch.tensor([[2.0]])))
    assert [s.item() for s in state] == pytest.approx([2, -1], abs=1e-6)
    assert y.item() == pytest.approx(19)


def test_initial_values():
    torch.manual_seed(0)
    memory = LRU(50, 400, r_min=0.5, r_max=0.99)
    r = torch.exp(-memory.nu_log.exp())
    torch.testing.assert_close(memory.gamma_log.exp(), torch.sqrt(1 - r * r), rtol=1e-4, atol=1e-6)
    assert memory.B_re.std().item() == pytest.approx(1 / 10, rel=0.05)
    assert memory.C_im.std().item() == pytest.approx(1 / 20, rel=0.05)
    assert memory.D.std().item() == pytest.approx(1, rel=0.05)


def test_sizes():
    # spec: 3n + 2nd + 2no (+ od)
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    assert count(LRU(4, 5, output_size=2, skip=False)) == 3 * 5 + 2 * 5 * 4 + 2 * 5 * 2
    assert count(LRU(4, 5)) == 3 * 5 + 2 * 5 * 4 + 2 * 5 * 5 + 5 * 4
    assert LRU(4, 5).output_size == 5


def test_time_constants():
    memory = LRU(3, 6, timescale_steps=(8.0, 8.0)).double()
    h = memory.initial_state(1)[0] + 1
    _, state, _ = memory(torch.zeros(8, 1, 3, dtype=h.dtype), (h, 0 * h))
    size = torch.complex(*state).abs()
    torch.testing.assert_close(size, torch.full_like(size, math.exp(-1)), rtol=1e-5, atol=0)


def test_no_output_is_refused():
    with pytest.raises(ConfigError, match="output_size is 0, but must be at least 1 or null"):
        LRU(3, 4, output_size=0)
