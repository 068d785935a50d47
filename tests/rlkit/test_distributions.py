"""Action distributions: torch's numbers and hand numbers, and the frequencies of samples."""

import math

import pytest
import torch
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal

from rlkit.distributions import Categorical, Gaussian
from rlkit.seeding import generator

STD = (0.3, 1.7)
SIGMAS = 4.5
"""Standard errors allowed to a frequency or a moment: one seed in 150 000 errs by more."""


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gaussian() -> Gaussian:
    pi = Gaussian(2)
    pi.log_std.data.copy_(torch.tensor(STD).log())
    return pi


def parameters(n: int, *leading: int) -> torch.Tensor:
    return 2 * torch.randn(*leading, n, generator=generator(3))


@pytest.mark.parametrize("leading", [(), (5,), (4, 3)])
def test_categorical_has_torchs_numbers(leading):
    pi, p = Categorical(6), parameters(6, *leading)
    action = torch.randint(6, leading, generator=generator(1))
    want = TorchCategorical(logits=p)
    log_prob, entropy = pi.log_prob_and_entropy(p, action)
    torch.testing.assert_close(log_prob, want.log_prob(action), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(entropy, want.entropy(), rtol=1e-12, atol=1e-12)
    assert torch.equal(pi.log_prob(p, action), log_prob)


@pytest.mark.parametrize("leading", [(), (5,), (4, 3)])
def test_gaussian_has_torchs_numbers(leading):
    pi, p = gaussian(), parameters(2, *leading)
    action = torch.randn(*leading, 2, generator=generator(1))
    want = Normal(p, torch.tensor(STD))
    log_prob, entropy = pi.log_prob_and_entropy(p, action)
    torch.testing.assert_close(log_prob, want.log_prob(action).sum(-1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(entropy, want.entropy().sum(-1), rtol=1e-12, atol=1e-12)
    assert torch.equal(pi.log_prob(p, action), log_prob)


def test_categorical_by_hand():
    pi, p = Categorical(4), torch.tensor([1.0, 2.0, 3.0, 4.0]).log()  # 0.1, 0.2, 0.3, 0.4
    log_prob, entropy = pi.log_prob_and_entropy(p, torch.tensor(2))
    assert log_prob.item() == pytest.approx(math.log(0.3))
    # -(0.1 ln 0.1 + 0.2 ln 0.2 + 0.3 ln 0.3 + 0.4 ln 0.4) = 0.2303 + 0.3219 + 0.3612 + 0.3665
    assert entropy.item() == pytest.approx(1.2799, abs=1e-4)
    assert pi.mode(p).item() == 3
    equal = pi.log_prob_and_entropy(torch.full((4,), 7.0), torch.tensor(0))
    assert [v.item() for v in equal] == pytest.approx([-math.log(4), math.log(4)])


def test_gaussian_by_hand():
    pi, p = Gaussian(2, initial_std=2.0), torch.tensor([1.0, -1.0])
    log_prob, entropy = pi.log_prob_and_entropy(p, torch.tensor([3.0, -1.0]))
    # z = (1, 0): -½ - 2 (½ ln 2π + ln 2);   entropy 2 (½ + ½ ln 2π + ln 2)
    half = 0.5 * math.log(2 * math.pi) + math.log(2)
    assert log_prob.item() == pytest.approx(-0.5 - 2 * half)
    assert entropy.item() == pytest.approx(1 + 2 * half)
    assert torch.equal(pi.mode(p), p)
    assert pi.log_std.exp().tolist() == pytest.approx([2.0, 2.0])


def test_gradients_by_hand():
    p = torch.tensor([1.0, 2.0, 3.0, 4.0]).log().requires_grad_()
    (dp,) = torch.autograd.grad(Categorical(4).log_prob(p, torch.tensor(2)), p)
    torch.testing.assert_close(dp, torch.tensor([-0.1, -0.2, 0.7, -0.4]))  # one-hot minus softmax
    pi, p = gaussian(), torch.zeros(2, requires_grad=True)
    log_prob, entropy = pi.log_prob_and_entropy(p, torch.tensor([0.6, 1.7]))  # z = (2, 1)
    dp, d_log_std = torch.autograd.grad(log_prob, [p, pi.log_std])
    torch.testing.assert_close(dp, torch.tensor([2 / 0.3, 1 / 1.7]))
    torch.testing.assert_close(d_log_std, torch.tensor([3.0, 0.0]))  # z² - 1
    (d_log_std,) = torch.autograd.grad(entropy, pi.log_std)
    assert d_log_std.tolist() == [1.0, 1.0]


def test_extreme_logits_stay_finite():
    p = torch.tensor([1e4, -1e4, 0.0], dtype=torch.float32)
    log_prob, entropy = Categorical(3).log_prob_and_entropy(p, torch.tensor(1))
    assert log_prob.item() == -2e4
    assert entropy.item() == 0.0


def test_frequencies_of_categorical_samples():
    probability, N = torch.tensor([0.02, 0.08, 0.3, 0.6]), 40_000
    p = (probability.log() + 3).float()  # logits are defined up to a constant
    action = Categorical(4).sample(p.expand(N, 4), torch.rand(N, 4, generator=generator(5)))
    assert action.dtype == torch.int64
    error = torch.bincount(action, minlength=4) / N - probability
    assert (error.abs() <= SIGMAS * (probability * (1 - probability) / N).sqrt()).all()


def test_moments_of_gaussian_samples():
    pi, p, N = gaussian(), torch.tensor([3.0, -0.5]), 40_000
    with torch.no_grad():
        action = pi.sample(p.expand(N, 2), torch.rand(N, 2, generator=generator(5)))
    z = (action - p) / torch.tensor(STD)
    assert (z.mean(0).abs() <= SIGMAS / N**0.5).all()
    assert ((z.square().mean(0) - 1).abs() <= SIGMAS * (2 / N) ** 0.5).all()
    assert z.prod(-1).mean().abs() <= SIGMAS / N**0.5  # components are independent


def test_samples_by_hand():
    """Gumbel noise -log(-log u) on the logits; quantiles of the Gaussian."""
    p = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    even = math.exp(-1)  # noise 0
    more = math.exp(-math.exp(-1.1))  # noise 1.1
    uniform = torch.tensor([[even, even], [more, even]])
    assert Categorical(2).sample(p, uniform).tolist() == [1, 0]
    pi, p = gaussian(), torch.tensor([10.0, 20.0])
    uniform = torch.tensor([0.5, 0.975])
    want = [10.0, 20 + 1.7 * 1.959964]
    assert pi.sample(p, uniform).tolist() == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize("pi", [Categorical(2), Gaussian(2)], ids=["categorical", "gaussian"])
@torch.no_grad()
def test_a_sample_is_a_function_of_its_uniform_numbers(pi):
    p, uniform = parameters(2, 50), torch.rand(50, 2, generator=generator(8))
    kept, world = uniform.clone(), torch.get_rng_state()
    first = pi.sample(p, uniform)
    assert torch.equal(pi.sample(p, uniform), first)
    assert torch.equal(pi.sample(p[7:9], uniform[7:9]), first[7:9])  # rows stand alone
    assert not torch.equal(pi.sample(p, uniform.flip(0)), first)
    assert torch.equal(uniform, kept)
    assert torch.equal(torch.get_rng_state(), world)


@pytest.mark.parametrize("least", [2**-25, 1 - 2**-24])
@torch.no_grad()
def test_the_outermost_uniform_numbers_give_finite_samples(least):
    uniform = torch.full((1, 2), least, dtype=torch.float32)
    p = torch.zeros(1, 2, dtype=torch.float32)
    action = Gaussian(2).float().sample(p, uniform)
    assert action.abs()[0].tolist() == pytest.approx([5.3, 5.3], abs=0.2)
    assert Categorical(2).sample(p, uniform).item() in (0, 1)


def test_only_gaussians_have_parameters_of_their_own():
    assert (Categorical(5).parameter_size, list(Categorical(5).parameters())) == (5, [])
    assert (Gaussian(3).parameter_size, [p.shape for p in Gaussian(3).parameters()]) == (3, [(3,)])
