"""Ornstein-Uhlenbeck noise: its law in physical time does not depend on dt."""

import math

import pytest
import torch

from rlkit.noise import OrnsteinUhlenbeck
from rlkit.seeding import generator

DTS = [0.05, 0.02, 0.01, 0.005, 0.002]
KAPPA, SIGMA, LAG_SECONDS = 7.5, 1.5, 0.1


def process(dt: float, entries: int = 20_000, seed: int = 3) -> OrnsteinUhlenbeck:
    return OrnsteinUhlenbeck((entries, 1), dt, KAPPA, SIGMA, generator(seed))


@pytest.mark.parametrize("dt", DTS)
def test_moments_at_the_same_physical_times_are_the_same_for_every_dt(dt):
    noise = process(dt)
    first = noise.sample().double()
    for _ in range(round(LAG_SECONDS / dt)):
        later = noise.sample().double()
    std = 1.5 / math.sqrt(15)  # 0.387
    correlation = math.exp(-7.5 * 0.1)  # 0.472
    standard_error = 1 / math.sqrt(first.numel())
    for z in (first, later):
        assert abs(z.mean()) < 4 * std * standard_error
        assert z.std() == pytest.approx(std, rel=4 * standard_error / math.sqrt(2))
    assert (first * later).mean() / std**2 == pytest.approx(correlation, abs=5 * standard_error)


@pytest.mark.parametrize("dt", DTS)
def test_the_transition_keeps_the_stationary_variance_exactly(dt):
    noise = process(dt, entries=1)
    variance = SIGMA**2 / (2 * KAPPA)
    assert noise.decay**2 * variance + noise.innovation_std**2 == pytest.approx(variance, rel=1e-12)
    assert noise.decay ** (1 / dt) == pytest.approx(math.exp(-KAPPA), rel=1e-12)


def test_entries_are_independent():
    noise = OrnsteinUhlenbeck((40_000, 2), 0.02, KAPPA, SIGMA, generator(5))
    noise.sample()
    z = noise.sample()
    assert abs(torch.corrcoef(z.T)[0, 1]) < 4 / math.sqrt(40_000)


def test_sampling_does_not_change_what_was_returned():
    noise = process(0.02, entries=5)
    first = noise.sample()
    kept = first.clone()
    noise.sample()
    assert torch.equal(first, kept)


def test_state_round_trip_is_bit_identical():
    noise, other = process(0.02, entries=7), process(0.02, entries=7, seed=99)
    for _ in range(3):
        noise.sample()
    other.set_state(noise.get_state())
    for _ in range(4):
        assert torch.equal(noise.sample(), other.sample())


def test_the_global_generator_is_not_touched():
    before = torch.get_rng_state()
    process(0.02, entries=4).sample()
    assert torch.equal(before, torch.get_rng_state())
