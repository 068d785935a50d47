"""MLP: the fused network equals the module-by-module one."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from rlkit.networks.mlp import MLP
from tests.reference import flat, sequential

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
            mlp.weights += 0.3 * torch.randn_like(mlp.weights)
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
    dx, dw = torch.autograd.grad((cost * y).sum(), [x, mlp.weights])
    dx_plain, *dw_plain = torch.autograd.grad(
        (cost * y_plain).sum(), [x_plain, *plain.parameters()]
    )
    torch.testing.assert_close(dx, dx_plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(dw, flat(dw_plain), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tanh", [False, True])
def test_gradcheck_of_input_and_weights(tanh):
    mlp = network((4, 2), tanh)
    inputs = (points(3).requires_grad_(), mlp.weights.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda x, w: functional_call(mlp, {"weights": w}, x), inputs)


@pytest.mark.parametrize("hidden", LAYERS)
def test_frozen_gives_the_same_input_gradient_and_none_to_the_weights(hidden):
    mlp = network(hidden, tanh=True)
    x = points(6).requires_grad_()
    (want,) = torch.autograd.grad(mlp(x).square().sum(), x)
    got, none = torch.autograd.grad(
        mlp(x, frozen=True).square().sum(), [x, mlp.weights], allow_unused=True
    )
    assert torch.equal(got, want)
    assert none is None


def test_an_input_without_gradient_changes_no_weight_gradient():
    mlp = network()
    with_x = torch.autograd.grad(mlp(points(6).requires_grad_()).square().sum(), mlp.weights)
    assert torch.equal(
        with_x[0], torch.autograd.grad(mlp(points(6)).square().sum(), mlp.weights)[0]
    )


def test_several_passes_share_one_backward():
    mlp = network()
    plain = sequential(mlp)
    loss = mlp(points(5)).sum() * 2 + mlp(-points(5)).square().sum()
    want = plain(points(5)).sum() * 2 + plain(-points(5)).square().sum()
    (got,) = torch.autograd.grad(loss, mlp.weights)
    want = flat(torch.autograd.grad(want, list(plain.parameters())))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def test_weights_that_moved_before_the_backward_are_noticed():
    mlp = network()
    y = mlp(points(5)).sum()
    with torch.no_grad():
        mlp.weights += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


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


def test_initial_weights_are_those_of_linear_layers_with_a_zero_last_bias():
    mlp = network(scramble=False)
    torch.manual_seed(11)
    first, second, last = nn.Linear(3, 7), nn.Linear(7, 4), nn.Linear(4, 2)
    w1, b1, gain1, bias1, w2, b2, gain2, bias2, w3, b3 = mlp.layers()
    drawn = [first.weight, first.bias, second.weight, second.bias, last.weight]
    for got, want in zip([w1, b1, w2, b2, w3], drawn, strict=True):
        assert torch.equal(got, want)
    assert torch.equal(flat([gain1, gain2]), torch.ones(11))
    assert torch.equal(flat([bias1, bias2, b3]), torch.zeros(13))


def test_the_output_scale_multiplies_the_last_weights():
    torch.manual_seed(3)
    plain = MLP(3, (5,), 2)
    torch.manual_seed(3)
    small = MLP(3, (5,), 2, output_scale=0.1)
    torch.testing.assert_close(small(points(4)), 0.1 * plain(points(4)))


def test_loaded_weights_are_used():
    mlp, other = network(), network(scramble=False)
    other(points(4))  # makes its views
    other.load_state_dict(mlp.state_dict())
    assert torch.equal(other(points(4)), mlp(points(4)))


def test_a_deep_copy_has_weights_of_its_own():
    mlp = network()
    want = mlp(points(4)).detach()
    twin = copy.deepcopy(mlp)
    with torch.no_grad():
        twin.weights.zero_()
    assert torch.equal(twin(points(4)), torch.zeros(4, 2))
    assert torch.equal(mlp(points(4)).detach(), want)


def test_another_precision_and_back():
    mlp = network()
    want = mlp(points(4)).detach()
    y = mlp.float()(points(4).float())
    assert y.dtype == torch.float32
    torch.testing.assert_close(mlp.double()(points(4)), want, rtol=1e-5, atol=1e-6)
