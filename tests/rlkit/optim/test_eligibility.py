"""Eligibility traces by row against arithmetic and against rows on their own."""

import pytest
import torch
from torch import nn

from rlkit.optim.eligibility import Eligibility
from rlkit.optim.make import make_optimizer
from rlkit.seeding import generator

B, DECAY = 3, 0.7
SGD = {"name": "sgd", "momentum": 0.0}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def rows(count: int = B, kappa: float = 2.0, lr: float = 1.0) -> Eligibility:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0))
    return Eligibility(module, make_optimizer(SGD, lr, 1), count, kappa)


def test_each_row_has_the_traces_it_would_have_alone():
    together, alone = rows(), [rows(1) for _ in range(B)]
    g = generator(1)
    for _ in range(4):
        x, weight = torch.randn(B, 4, generator=g), torch.randn(B, generator=g)
        together.accumulate(weight * together.outputs(x), DECAY)
        for b, one in enumerate(alone):
            one.accumulate(weight[b : b + 1] * one.outputs(x[b : b + 1]), DECAY)
            torch.testing.assert_close(together.z_BP[b], one.z_BP[0], rtol=1e-12, atol=1e-12)
    together.forget(torch.tensor([False, True, False]))
    assert together.z_BP.abs().sum(1).gt(0).tolist() == [True, False, True]


def test_traces_are_the_decaying_sum_of_gradients():
    flat = rows(1)
    x = torch.randn(3, 1, 4, generator=generator(2))
    gradients = [torch.autograd.grad(flat.module(row).sum(), flat.parameters) for row in x]
    want = sum(
        DECAY ** (2 - k) * torch.cat([p.reshape(-1) for p in g]) for k, g in enumerate(gradients)
    )
    for row in x:
        flat.accumulate(flat.outputs(row), DECAY)
    torch.testing.assert_close(flat.z_BP[0], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kappa", "lr"), [(2.0, 1.0), (0.5, 0.01), (0.0, 0.3)])
def test_a_step_is_the_mean_of_bounded_ones(kappa, lr):
    """α = min(lr, 1 / (κ max(|δ|, 1) ‖z‖₁)); rows whose bound binds, and one whose does not."""
    flat = rows(kappa=kappa, lr=lr)
    flat.z_BP = torch.randn(flat.z_BP.shape, generator=generator(3))
    flat.z_BP[2] *= 1e-4
    delta, before = torch.tensor([0.5, -3.0, 2.0]), flat.vector.detach().clone()
    moved = torch.zeros_like(before)
    for b in range(B):
        reach = kappa * max(abs(delta[b].item()), 1) * flat.z_BP[b].abs().sum().item()
        moved += min(lr, 1 / reach if reach else lr) * delta[b] * flat.z_BP[b] / B
    flat.ascend(delta)
    torch.testing.assert_close(flat.vector - before, moved, rtol=1e-12, atol=1e-12)


def test_a_linear_critic_is_not_carried_past_its_error():
    """With κ ≥ 1 and features within 1, one step takes away at most all of δ."""
    module = nn.Sequential(nn.Linear(6, 1, bias=False), nn.Flatten(0))
    flat = Eligibility(module, make_optimizer(SGD, 1e6, 1), 1, 1.0)
    x = 2 * torch.rand(1, 6, generator=generator(4)) - 1
    v = flat.outputs(x)
    flat.accumulate(v, 0.0)
    error = 10 - v.detach()
    flat.ascend(error)
    left = 10 - flat.module(x).detach()
    assert 0 <= left.item() < error.item()


def test_saved_and_loaded_goes_on_the_same():
    flat, other = rows(), rows()
    x = torch.randn(B, 4, generator=generator(5))
    flat.accumulate(flat.outputs(x), DECAY)
    other.set_state(flat.get_state())
    for each in (flat, other):
        each.accumulate(each.outputs(x), DECAY)
        each.ascend(torch.ones(B))
    assert torch.equal(flat.z_BP, other.z_BP)
    assert torch.equal(flat.vector, other.vector)
