"""Interquartile mean and bootstrap interval."""

import numpy as np
import pytest

from rlkit.run.statistics import bootstrap_interval, iqm, wilson_interval


def test_iqm_by_hand():
    # Eight values: the two lowest and two highest fall away, (3 + 4 + 5 + 6) / 4 is left.
    assert iqm([100, 3, 4, 1, 2, 5, -50, 6]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert iqm([7.0]) == 7.0
    assert iqm([1.0, 2.0, 9.0]) == 4.0  # a quarter of three, rounded down, is none


def test_interval_of_a_mean():
    x = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(x, np.mean)
    assert low < x.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert bootstrap_interval(x, np.mean) == (low, high)
    assert bootstrap_interval(x, np.mean, seed=1) != (low, high)
    wide_low, wide_high = bootstrap_interval(x, np.mean, level=0.99)
    assert wide_low < low < high < wide_high


def test_interval_at_each_time():
    x_ST = np.random.default_rng(0).normal(size=(5, 3)) + np.array([0, 10, 20])
    low, high = bootstrap_interval(x_ST, iqm, resamples=200)
    assert low.shape == high.shape == (3,)
    assert np.all((low <= iqm(x_ST)) & (iqm(x_ST) <= high))


def test_a_single_or_constant_sample_is_its_own_interval():
    assert bootstrap_interval([2.0]) == (2.0, 2.0)
    assert bootstrap_interval([2.0, 2.0, 2.0], np.mean) == (2.0, 2.0)


def test_wilson_interval_of_rates():
    low, high = wilson_interval([0.0, 0.5, 1.0], [10, 40, 10])
    z2 = 1.959963984540054**2
    assert low[0] == 0.0
    assert high[0] == pytest.approx(z2 / (10 + z2))  # 0 of 10: the formula's upper end
    assert (low[2], high[2]) == pytest.approx((10 / (10 + z2), 1.0))
    half = (z2 / (4 * (40 + z2))) ** 0.5  # p = 1/2: symmetric
    assert (low[1], high[1]) == pytest.approx((0.5 - half, 0.5 + half))
