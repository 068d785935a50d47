"""Leaky network: stored arrays, one step by hand, options, exact real-time gradients."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlkit.memory.base import select
from rlkit.memory.leaky import Leaky
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "cell_leaky.npz"


def test_stored_arrays():
    with np.load(ORACLE, allow_pickle=False) as file:
        o = {k: torch.tensor(file[k]) for k in file.files}
    memory = Leaky(4, 5).double()
    memory.load_state_dict({k[2:]: v for k, v in o.items() if k.startswith("w.")})
    x, h0 = o["x"].requires_grad_(), o["h0"].requires_grad_()
    y = memory(x, (h0,)).y
    loss = 0.5 * (y @ o["readout"] - o["target"]).square().sum()
    wanted = {"x": x, "h0": h0, **dict(memory.named_parameters())}
    grads = torch.autograd.grad(loss, list(wanted.values()))
    torch.testing.assert_close(y, o["h"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(loss, o["loss"], rtol=1e-9, atol=0)
    for name, g in zip(wanted, grads, strict=True):
        torch.testing.assert_close(g, o[f"grad.{name}"], rtol=1e-9, atol=1e-12)


def test_one_step_by_hand():
    memory = Leaky(1, 1)
    values = {"weight_x": 0.5, "weight_h": -1.0, "bias": 0.25, "alpha_raw": 0.0}
    memory.load_state_dict({k: torch.full_like(v, values[k]) for k, v in memory.named_parameters()})
    # half of tanh(0.5·2 + 0.25 - 0.25) = tanh(1), half of 0.25
    y = memory.step(torch.tensor([[2.0]]), (torch.tensor([[0.25]]),)).y
    assert y.item() == pytest.approx((0.7615942 + 0.25) / 2)


def test_alpha_per_unit_or_in_all():
    assert Leaky(3, 7).alpha_raw.shape == (7,)
    assert Leaky(3, 7, alpha="scalar").alpha_raw.shape == (1,)
    assert torch.equal(Leaky(3, 7).alpha_raw, torch.zeros(7))
    with pytest.raises(ConfigError, match="alpha is 'units', but must be unit or scalar"):
        Leaky(3, 7, alpha="units")


def test_alpha_starts_at_the_wanted_time_constant():
    memory = Leaky(3, 7, timescale_steps=(20.0, 20.0))
    torch.testing.assert_close(1 - torch.sigmoid(memory.alpha_raw), torch.full((7,), np.exp(-0.05)))


@pytest.mark.parametrize("alpha", ["unit", "scalar"])
def test_real_time_gradients_are_those_of_reverse_mode(alpha):
    torch.manual_seed(1)
    T, B, I, H = 25, 3, 2, 4
    memory = Leaky(I, H, alpha=alpha).double()
    x = torch.randn(T, B, I, dtype=torch.float64, requires_grad=True)
    weight, start = torch.randn(T, B, H).double(), torch.rand(T, B) < 0.1
    start[0], start[12] = True, True
    start[13, 0] = False
    y, last, _ = memory(x, memory.initial_state(B), start)
    wanted = torch.autograd.grad((y.tanh() * weight).sum(), list(memory.parameters()))

    state, traces = memory.initial_state(B), memory.initial_traces(B)
    total = [torch.zeros_like(p) for p in memory.parameters()]
    for t in range(T):
        state = select(start[t], memory.initial_state(B), state)
        traces = select(start[t], memory.initial_traces(B), traces)
        previous = state
        out, traces = memory.trace_step(x[t], state, traces)
        state = out.state
        assert not state[0].requires_grad
        assert not any(e.requires_grad for e in traces)
        torch.testing.assert_close(out.y, y[t], rtol=1e-12, atol=1e-14)
        loss = (out.y.tanh() * weight[t]).sum()
        *grads, gx = torch.autograd.grad(loss, [*memory.parameters(), x])
        total = [a + g for a, g in zip(total, grads, strict=True)]
        direct = (memory.step(x[t], previous).y.tanh() * weight[t]).sum()
        torch.testing.assert_close(gx, torch.autograd.grad(direct, x)[0])
    torch.testing.assert_close(state, last, rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(total, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
