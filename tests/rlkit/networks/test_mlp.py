"""MLP: the fused network equals the module-by-module one."""

import pytest
import torch

from rlkit.networks.mlp import MLP
from tests.reference import sequential, weights_of

LAYERS = [(), (7,), (7, 4), (5, 9, 3)]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def network(hidden=(7, 4), tanh=False, scramble=True) -> MLP:
    torch.manual_seed(11)
    mlp = MLP(3, hidden, 2, tanh=tanh)
    if scramble:  # gains, biases and the last bias away from one and zero
        with torch.no_grad():
            for p in mlp.parameters():
                p.add_(0.3 * torch.randn_like(p))
    return mlp


def points(*leading: int) -> torch.Tensor:
    return torch.randn(*leading, 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("tanh", [False, True])
@pytest.mark.parametrize("hidden", LAYERS)
def test_output_and_gradients_equal_the_modules(hidden, tanh):
    mlp = network(hidden, tanh)
    plain = sequential(mlp)
    x, x_plain = points(13).requires_grad_(), points(13).requires_grad_()
    y, y_plain = mlp(x), plain(x_plain)
    torch.testing.assert_close(y, y_plain, rtol=0, atol=1e-12)
    cost = torch.linspace(-1, 2, y.numel()).view_as(y)
    got = torch.autograd.grad((cost * y).sum(), [x, *mlp.parameters()])
    want = torch.autograd.grad((cost * y_plain).sum(), [x_plain, *weights_of(plain)])
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g, w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tanh", [False, True])
def test_gradcheck_of_input_and_weights(tanh):
    mlp = network((4, 2), tanh)
    x = points(3).requires_grad_()
    # The weights are perturbed in place, which the network sees.
    assert torch.autograd.gradcheck(lambda x, *weights: mlp(x), (x, *mlp.parameters()))


@pytest.mark.parametrize("hidden", LAYERS)
def test_frozen_gives_the_same_input_gradient_and_none_to_the_weights(hidden):
    mlp = network(hidden, tanh=True)
    x = points(6).requires_grad_()
    (want,) = torch.autograd.grad(mlp(x).square().sum(), x)
    frozen = mlp(x, frozen=True)
    got, *none = torch.autograd.grad(
        frozen.square().sum(), [x, *mlp.parameters()], allow_unused=True
    )
    torch.testing.assert_close(got, want, rtol=0, atol=0)
    assert none == [None] * len(list(mlp.parameters()))


def test_an_input_without_gradient_changes_no_weight_gradient():
    mlp = network()
    with_x = torch.autograd.grad(
        mlp(points(6).requires_grad_()).square().sum(), list(mlp.parameters())
    )
    without = torch.autograd.grad(mlp(points(6)).square().sum(), list(mlp.parameters()))
    for a, b in zip(with_x, without, strict=True):
        assert torch.equal(a, b)


def test_several_passes_share_one_backward():
    mlp = network()
    plain = sequential(mlp)
    loss = mlp(points(5)).sum() * 2 + mlp(-points(5)).square().sum()
    want = plain(points(5)).sum() * 2 + plain(-points(5)).square().sum()
    got = torch.autograd.grad(loss, list(mlp.parameters()))
    for g, w in zip(got, torch.autograd.grad(want, weights_of(plain)), strict=True):
        torch.testing.assert_close(g, w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("leading", [(), (4,), (2, 5), (3, 2, 4)])
def test_leading_axes(leading):
    mlp = network()
    x = points(*leading)
    y = mlp(x)
    assert y.shape == (*leading, 2)
    rows = mlp(x.reshape(-1, 3))
    torch.testing.assert_close(y.reshape(-1, 2), rows, rtol=0, atol=1e-14)


def test_a_strided_input():
    mlp = network()
    x = points(4, 5).transpose(0, 1)
    torch.testing.assert_close(mlp(x), mlp(x.contiguous()), rtol=0, atol=1e-14)


@pytest.mark.parametrize("tanh", [False, True])
def test_without_grad_the_numbers_are_the_same(tanh):
    mlp = network(tanh=tanh)
    with torch.no_grad():
        silent = mlp(points(2, 5))
    assert not silent.requires_grad
    assert torch.equal(silent, mlp(points(2, 5)).detach())


def test_the_input_is_left_alone():
    mlp, x = network(()), points(5)
    with torch.no_grad():
        mlp(x)
    assert torch.equal(x, points(5))


def test_the_last_bias_starts_at_zero():
    mlp = network(scramble=False)
    assert torch.equal(mlp.linears[-1].bias, torch.zeros(2))
    assert mlp.linears[0].bias.abs().sum() > 0


def test_loaded_weights_are_used():
    mlp, other = network(), network(scramble=False)
    other(points(4))  # looks its weights up
    other.load_state_dict(mlp.state_dict())
    assert torch.equal(other(points(4)), mlp(points(4)))
