"""GateL0RD's gate functions: values and derivatives of the reference on a grid that holds 0."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rlkit.memory.gates import at_least, cost, halving, heaviside, open_bias, openness, tanh_net
from rlkit.options import ConfigError

ORACLE = Path(__file__).parents[2] / "oracles" / "gatel0rd_gates.npz"
FUNCTIONS = {
    "ReTanh": lambda s: openness("retanh", s),
    "HeavisideST": lambda s: heaviside(s, "identity"),
    "HeavisideReLU": lambda s: heaviside(s, "relu"),
    "Sigmoid": lambda s: openness("sigmoid", s),
    "ThetaOfReTanh": lambda s: heaviside(openness("retanh", s), "identity"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_references_values_and_derivatives(name):
    data = np.load(ORACLE, allow_pickle=False)
    assert 0 in data["s"]
    s = torch.tensor(data["s"], requires_grad=True)
    value = FUNCTIONS[name](s)
    value.sum().backward()
    np.testing.assert_allclose(value.detach(), data[f"{name}.value"], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(s.grad, data[f"{name}.grad"], rtol=1e-12, atol=1e-15)


def test_a_step_gate_is_0_or_1_with_derivative_1():
    s = torch.tensor([-3.0, 0.0, 0.1, 7.0], requires_grad=True)
    gate = openness("step", s)
    assert gate.tolist() == [0, 0, 1, 1]
    gate.sum().backward()
    assert s.grad.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("gate", ["retanh", "sigmoid"])
def test_open_bias_keeps_one_part_in_e_after_its_time_constant(gate):
    T = torch.tensor([1.5, 10.0, 4000.0], dtype=torch.float64)
    keep = 1 - openness(gate, open_bias(gate, T))
    torch.testing.assert_close(keep**T, torch.full_like(T, math.exp(-1)), rtol=1e-9, atol=0)


def test_a_step_gate_has_no_time_constant():
    with pytest.raises(ConfigError, match="gate 'step' has no time constants"):
        open_bias("step", torch.ones(2))


def test_costs_by_hand():
    v = torch.tensor([[-1.0, 0.5, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert cost("L0", v, "identity").tolist() == [0.5, 1.0]
    logits = torch.tensor([[0.0, math.log(3)]])  # sigmoids 1/2 and 3/4
    assert cost("L1", logits, "relu").item() == pytest.approx(5 / 8)
    assert cost("L2", logits, "relu").item() == pytest.approx(25 / 64)


def test_halving_nets():
    assert halving(3, 5) == [20, 10, 5]
    assert halving(0, 5) == []
    kinds = [type(m) for m in tanh_net([4, 3, 2], nn.Sigmoid())]
    assert kinds == [nn.Linear, nn.Tanh, nn.Linear, nn.Sigmoid]
    x = torch.randn(2, 4)
    assert tanh_net([4], nn.Tanh())(x) is x


def test_at_least_names_the_culprit():
    at_least(1, a=1, b=3)
    with pytest.raises(ConfigError, match="b is 0, but must be at least 1"):
        at_least(1, a=1, b=0)
    with pytest.raises(ConfigError, match="std is nan"):
        at_least(0, std=math.nan)
