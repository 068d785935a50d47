"""Optimisers by name."""

from pathlib import Path

import pytest
import torch
import yaml

from rlkit.optim.adaterm import AdaTerm
from rlkit.optim.make import make_optimizer
from rlkit.optim.rmsprop import RMSprop
from rlkit.options import ConfigError

ROOT = Path(__file__).parents[3]


def built(options, horizon_updates=50.0):
    return make_optimizer(options, 0.03, horizon_updates)(torch.nn.Parameter(torch.zeros(2)), [2])


def test_rmsprop_averages_over_the_horizon():
    optimizer = built({"name": "rmsprop", "eps": 1e-7})
    assert isinstance(optimizer, RMSprop)
    assert (optimizer.lr, optimizer.alpha, optimizer.eps) == (0.03, 0.98, 1e-7)


def test_a_horizon_under_one_update_is_the_sign_of_the_gradient():
    assert built({"name": "rmsprop", "eps": 0.0}, 0.3).alpha == 0


def test_sgd_is_plain_descent():
    parameter = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = make_optimizer({"name": "sgd", "momentum": 0.0}, 0.25, 1.0)(parameter, [2])
    parameter.grad = torch.tensor([4.0, -2.0])
    optimizer.step()
    assert parameter.tolist() == [0.0, 2.5]
    optimizer.load_state_dict(optimizer.state_dict())


def test_adam():
    optimizer = built({"name": "adam", "beta1": 0.8, "beta2": 0.95, "eps": 1e-5})
    (group,) = optimizer.param_groups
    assert isinstance(optimizer, torch.optim.Adam)
    assert (group["lr"], group["betas"], group["eps"]) == (0.03, (0.8, 0.95), 1e-5)


def test_adaterm():
    options = yaml.safe_load((ROOT / "configs/optimizer/adaterm.yaml").read_text())
    optimizer = built(options)
    assert isinstance(optimizer, AdaTerm)
    assert (optimizer.lr, optimizer.beta2, optimizer.eps) == (0.03, 0.9, 1e-5)
    rule = make_optimizer(options, 0.03, 1.0)
    assert rule(torch.nn.Parameter(torch.zeros(5)), sizes=[2, 3]).sizes == [2, 3]


def test_an_unknown_name():
    with pytest.raises(ConfigError, match="unknown optimizer 'adm'; did you mean 'adam'"):
        built({"name": "adm"})
