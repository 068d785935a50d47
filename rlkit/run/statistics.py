"""Robust statistics of few runs (Agarwal et al., 2021): interquartile mean and bootstrap interval.

    iqm(x) = mean of the middle half of x

scipy.stats is imported where it is used: it takes as long to load as torch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def iqm(x: ArrayLike, axis: int = 0) -> Any:
    """Mean without the lowest and the highest quarter (rounded down) along `axis`."""
    from scipy.stats import trim_mean

    return trim_mean(np.asarray(x, dtype=np.float64), 0.25, axis=axis)


def bootstrap_interval(
    x: ArrayLike,
    statistic: Callable[..., Any] = iqm,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval over the first axis; a single sample is its own interval.

    Args:
        x: samples first, e.g. `[seeds]` or `[seeds, times]`.
        statistic: takes `axis`, as `iqm` and `np.mean` do.
        level: coverage.
        resamples: number of bootstrap samples.
        seed: seed of the resampling.
    """
    from scipy.stats import bootstrap

    samples = np.asarray(x, dtype=np.float64)
    if len(samples) == 1:
        return samples[0], samples[0]
    interval = bootstrap(
        (samples,),
        statistic,
        axis=0,
        vectorized=True,
        confidence_level=level,
        n_resamples=resamples,
        method="percentile",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return interval.low, interval.high


def wilson_interval(
    rate: ArrayLike, n: ArrayLike, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's interval of success rates, each over its n episodes."""
    from scipy.stats import binomtest

    rates, counts = np.asarray(rate, dtype=np.float64), np.asarray(n, dtype=np.int64)
    intervals = [
        binomtest(round(r * k), k).proportion_ci(level, method="wilson")
        for r, k in zip(rates.tolist(), counts.tolist(), strict=True)
    ]
    return np.array([i.low for i in intervals]), np.array([i.high for i in intervals])
