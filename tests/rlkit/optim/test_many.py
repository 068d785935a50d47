"""Many agents with one optimiser: each as if it were alone, with its own step size."""

import pytest
import torch
from torch import nn

from rlkit.optim.make import make_optimizer
from rlkit.optim.many import ManyParameters

OPTIONS = {
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
    "adaterm": {
        **{"beta1": 0.9, "beta2": 0.9, "beta_nu": 0.9, "eps": 1e-5, "k": 1.0, "initial_nu": 0.0},
        **{"weight_decay": 0.0, "amsgrad": 0.0, "uncentered": False, "adaptive_bias": False},
    },
    "rmsprop": {"eps": 1e-8},
    "sgd": {"momentum": 0.5},
}
SIZES, STEPS = [3, 2], 6


def gradients():
    return torch.randn(STEPS, 2, sum(SIZES), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", OPTIONS)
def test_rows_move_as_alone(name):
    options = {"name": name, **OPTIONS[name]}
    many = ManyParameters(torch.ones(2, 5), make_optimizer(options, 1.0, 10.0), SIZES)
    lr_N1 = torch.tensor([[0.1], [0.02]])
    for grad_NP in gradients():
        many.step_down(grad_NP, lr_N1)
    for i, lr in enumerate((0.1, 0.02)):
        alone = nn.Parameter(torch.ones(5))
        optimizer = make_optimizer(options, lr, 10.0)(alone, SIZES)
        for grad_NP in gradients():
            alone.grad = grad_NP[i].clone()
            optimizer.step()
        torch.testing.assert_close(many.vector[i], alone.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIONS)
def test_it_goes_on_from_its_state(name):
    options, lr_N1 = {"name": name, **OPTIONS[name]}, torch.full((2, 1), 0.1)
    a, b = (
        ManyParameters(torch.ones(2, 5), make_optimizer(options, 1.0, 10.0), SIZES)
        for _ in range(2)
    )
    for t, grad_NP in enumerate(gradients()):
        a.step_down(grad_NP, lr_N1)
        if t == 2:
            b.vector.copy_(a.vector)
            b.set_state(a.get_state())
        if t > 2:
            b.step_down(grad_NP, lr_N1)
    assert torch.equal(a.vector, b.vector)


def test_momentum_by_hand():
    options = {"name": "sgd", "momentum": 0.5}
    many = ManyParameters(torch.zeros(1, 1), make_optimizer(options, 1.0, 1.0), [1])
    for _ in range(3):
        many.step_down(torch.ones(1, 1), torch.tensor([[0.1]]))
    assert many.vector.item() == pytest.approx(-0.1 * (1 + 1.5 + 1.75))
