"""Initial weights: orthogonal with a gain, biases zero."""

import pytest
import torch
from torch import nn

from rlkit.networks.layers import orthogonal, sparse, sparse_head, tanh_head, tanh_layers


@pytest.mark.parametrize("gain", [0.01, 1.0, 2**0.5])
@pytest.mark.parametrize(("inputs", "outputs"), [(3, 8), (8, 3), (5, 5)])
def test_orthogonal(inputs, outputs, gain):
    layer = orthogonal(inputs, outputs, gain)
    assert layer.weight.shape == (outputs, inputs)
    w = layer.weight.detach().double()
    short = w @ w.T if outputs <= inputs else w.T @ w
    torch.testing.assert_close(
        short, gain**2 * torch.eye(min(inputs, outputs)).double(), rtol=0, atol=1e-5 * gain**2
    )
    assert layer.bias.tolist() == [0.0] * outputs
    assert layer.weight.requires_grad


def test_the_gain_suits_tanh_unless_given():
    norms = torch.linalg.matrix_norm(orthogonal(4, 4).weight.detach(), ord=2)
    assert norms.item() == pytest.approx(2**0.5, rel=1e-5)


def test_tanh_layers():
    torch.manual_seed(0)
    net = tanh_layers(3, (5, 2))
    x = torch.randn(4, 3)
    first, _, second, _ = net
    want = torch.tanh(torch.tanh(x @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    torch.testing.assert_close(net(x), want)
    assert [type(m) for m in net] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh]
    assert torch.equal(tanh_layers(3, ())(x), x)


@pytest.mark.parametrize("sizes", [(), (6,), (6, 4)])
def test_the_gain_of_a_head_is_that_of_its_last_layer(sizes):
    torch.manual_seed(0)
    head = tanh_head(5, sizes, 2, gain=0.01)
    *_, last = head
    assert last.weight.shape == (2, [5, *sizes][-1])
    assert torch.linalg.matrix_norm(last.weight, ord=2).item() == pytest.approx(0.01, rel=1e-5)
    assert sum(isinstance(m, nn.Tanh) for m in head) == len(sizes)
    x = torch.randn(7, 5)
    assert head(x).abs().max() < 0.1
    assert all(p.requires_grad for p in head.parameters())


@pytest.mark.parametrize(("zeros", "kept"), [(0.9, 2), (0.5, 10), (0.0, 20)])
def test_a_share_of_each_units_weights_is_zero(zeros, kept):
    layer = sparse(20, 300, zeros)
    assert (layer.weight != 0).sum(1).tolist() == [kept] * 300
    assert layer.weight.abs().max() <= 20**-0.5
    assert (layer.weight != 0).any(0).all()
    assert layer.bias.tolist() == [0.0] * 300


def test_layers_of_a_sparse_head_are_normalised_but_the_last():
    head = sparse_head(5, (6, 4), 2, 0.5)
    kinds = [nn.Linear, nn.LayerNorm, nn.LeakyReLU] * 2 + [nn.Linear]
    assert [type(m) for m in head] == kinds
    assert len(list(head.parameters())) == 6
    torch.testing.assert_close(head[:2](torch.randn(9, 5)).mean(-1), torch.zeros(9))
