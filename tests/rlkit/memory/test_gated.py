"""Gated network: one step by hand, the global gate, biases."""

import math

import pytest
import torch

from rlkit.memory.gated import Gated
from rlkit.options import ConfigError


def test_one_step_by_hand():
    memory = Gated(1, 1)
    memory.weight_x.data[:, 0] = torch.tensor([0.5, 1.0])
    memory.weight_h.data[:, 0] = torch.tensor([-1.0, 2.0])
    memory.bias.data[:] = torch.tensor([math.log(3) - 0.75, -0.5])
    # g = σ(0.5·2 - 0.25 + log 3 - 0.75) = 3/4;  candidate tanh(2 + 0.5 - 0.5) = tanh 2
    y = memory.step(torch.tensor([[2.0]]), (torch.tensor([[0.25]]),)).y
    assert y.item() == pytest.approx(0.75 * math.tanh(2) + 0.25 * 0.25)


def test_a_global_gate_is_the_same_for_all_units():
    torch.manual_seed(0)
    whole, one = Gated(3, 4), Gated(3, 4, gate="global")
    for w, o in zip(whole.parameters(), one.parameters(), strict=True):
        w.data = torch.cat((o.data[:1].expand(4, *o.shape[1:]), o.data[1:]))
    x, state = torch.randn(6, 2, 3), (torch.randn(2, 4),)
    torch.testing.assert_close(whole(x, state).y, one(x, state).y)
    assert [tuple(p.shape) for p in one.parameters()] == [(5, 3), (5, 4), (5,)]


def test_gate_biases():
    assert torch.sigmoid(Gated(2, 100, chrono=20.0).bias[:100]).min() >= 1 / 20
    one = Gated(2, 5, gate="global", timescale_steps=(10.0, 10.0))
    assert torch.sigmoid(one.bias[0]).item() == pytest.approx(1 - math.exp(-0.1))


def test_the_kind_of_gate_is_checked():
    with pytest.raises(ConfigError, match="gate is 'all', but must be unit or global"):
        Gated(3, 4, gate="all")
