"""Mixture density head: the likelihood against hand arithmetic, sampling against its law."""

import math

import pytest
import torch

from rlkit.networks.mdn import LEAST_LOG_STD, MDN, Prediction


def normal(x, mean, std):
    return math.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


def prediction(weight, mean, std):
    zero = torch.zeros(())
    return Prediction(
        torch.tensor(weight, dtype=torch.float64).log(),
        torch.tensor(mean, dtype=torch.float64),
        torch.tensor(std, dtype=torch.float64).log(),
        zero,
        zero,
    )


MEAN, STD, Z = [[0.0, 1.0], [2.0, -1.0]], [[1.0, 0.5], [2.0, 0.25]], [0.5, 0.75]


def test_joint_likelihood_by_hand():
    p = prediction([[0.25], [0.75]], MEAN, STD)
    expected = 0.25 * normal(0.5, 0, 1) * normal(0.75, 1, 0.5)
    expected += 0.75 * normal(0.5, 2, 2) * normal(0.75, -1, 0.25)
    found = p.log_prob(torch.tensor(Z, dtype=torch.float64))
    assert float(found) == pytest.approx(math.log(expected), rel=1e-13)


def test_per_dim_likelihood_by_hand():
    p = prediction([[0.25, 0.5], [0.75, 0.5]], MEAN, STD)
    first = 0.25 * normal(0.5, 0, 1) + 0.75 * normal(0.5, 2, 2)
    second = 0.5 * normal(0.75, 1, 0.5) + 0.5 * normal(0.75, -1, 0.25)
    found = p.log_prob(torch.tensor(Z, dtype=torch.float64))
    assert float(found) == pytest.approx(math.log(first) + math.log(second), rel=1e-13)


@pytest.mark.parametrize(("mixture", "weights"), [("joint", (5, 1)), ("per_dim", (5, 3))])
def test_the_head_is_one_linear_layer(mixture, weights):
    torch.manual_seed(0)
    net = MDN(4, 3, 5, mixture).double()
    h = torch.randn(2, 6, 4, dtype=torch.float64)
    p, out = net(h), net.linear(h)
    n = weights[0] * weights[1]
    assert p.log_weight.shape == (2, 6, *weights)
    assert p.mean.shape == p.log_std.shape == (2, 6, 5, 3)
    torch.testing.assert_close(p.log_weight.exp().sum(-2), torch.ones(2, 6, weights[1]).double())
    logits = out[..., :n].view(2, 6, *weights)
    assert torch.equal(p.log_weight, logits.log_softmax(-2))
    assert torch.equal(p.mean, out[..., n : n + 15].view(2, 6, 5, 3))
    assert torch.equal(p.reward, out[..., -2])
    assert torch.equal(p.terminal, out[..., -1])
    assert out.shape[-1] == n + 2 * 15 + 2
    assert p.log_prob(torch.zeros(2, 6, 3).double()).shape == (2, 6)


def test_the_spread_has_a_least_value():
    net = MDN(1, 2, 1)
    with torch.no_grad():
        net.linear.weight.zero_()
        net.linear.bias.copy_(torch.tensor([0.0, 0, 0, -50, 3, 0, 0]))
    p = net(torch.zeros(1))
    assert p.log_std.tolist() == [[LEAST_LOG_STD, 3.0]]


@pytest.mark.parametrize("mixture", ["joint", "per_dim"])
def test_samples_follow_the_weights(mixture):
    weight = [[0.25], [0.75]] if mixture == "joint" else [[0.25, 0.75], [0.75, 0.25]]
    p = prediction(weight, MEAN, STD)
    rows = [[0.2], [0.26]] if mixture == "joint" else [[0.2, 0.7], [0.3, 0.8]]
    u = torch.tensor(rows)
    found = [p.sample(row, None, 1.0).tolist() for row in u]
    expected = [[0.0, 1.0], [2.0, -1.0]]
    assert found == expected
    noise = torch.tensor([1.0, -2.0], dtype=torch.float64)
    at_4 = p.sample(torch.tensor([0.2]), noise, 4.0)  # the spread doubles
    assert at_4.tolist() == pytest.approx([0.0 + 2 * 1.0, 1.0 - 2 * 2 * 0.5])


def test_temperature_sharpens_the_choice():
    p = prediction([[0.25], [0.75]], MEAN, STD)
    u = torch.tensor([0.09])
    assert p.sample(u, None, 1.0).tolist() == [0.0, 1.0]
    assert p.sample(torch.tensor([0.11]), None, 0.5).tolist() == [2.0, -1.0]  # 0.1 of the weight
    assert p.sample(torch.tensor([0.11]), None, 1.0).tolist() == [0.0, 1.0]
