"""Trace conditioning: the law of its signals, exact returns, and the three losses."""

import numpy as np
import pytest

from envs import make_task


def stream(options=None, N=200_000, block_steps=None):
    task = make_task("trace_conditioning", options)
    if block_steps is not None:
        task.block_steps = block_steps
    task.begin([0])
    batch = task.read(N)
    return task, batch.x_TBI[:, 0], batch.target_TB[:, 0, 0]


def runs(signal_T):
    """Onsets of a signal, how long it was on each time, and off after; the last one is cut."""
    change = np.diff(signal_T, prepend=0)
    on, off = np.flatnonzero(change > 0), np.flatnonzero(change < 0)
    on = on[: len(off)]
    return on, off - on, on[1:] - off[:-1]


BLOCKS = [None, 50]
"""Steps of a block: far longer than a trial, and shorter."""


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("period", ["isi_plus_iti", "iti"])
def test_trials(period, block_steps):
    _, x_TI, _ = stream({"period": period}, block_steps=block_steps)
    us, us_on, _ = runs(x_TI[:, 0])
    cs, cs_on, _ = runs(x_TI[:, 1])
    assert (us_on == 2).all()
    assert (cs_on == 4).all()
    assert cs[0] == 0
    n = min(len(us), len(cs)) - 1
    isi, between = us[:n] - cs[:n], np.diff(cs[: n + 1])
    rest = between - isi if period == "isi_plus_iti" else between
    for drawn, low, high in ((isi, 20, 40), (rest, 80, 120)):
        assert (drawn.min(), drawn.max()) == (low, high)
        kinds = high - low + 1
        counts = np.bincount(drawn - low, minlength=kinds)
        assert np.abs(counts - n / kinds).max() < 5 * np.sqrt(n / kinds)
    assert abs(np.corrcoef(isi, rest)[0, 1]) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(rest[1:], rest[:-1])[0, 1]) < 5 / np.sqrt(n)


@pytest.mark.parametrize("block_steps", BLOCKS)
def test_distractors(block_steps):
    _, x_TI, _ = stream(block_steps=block_steps)
    assert x_TI.shape[1] == 12
    assert set(np.unique(x_TI)) == {0, 1}
    for d in range(1, 11):
        on, lengths, off = runs(x_TI[:, 1 + d])
        assert (lengths == 4).all()
        assert off.min() >= 1
        sure, p = len(off), 0.1 / d
        assert abs(off.mean() - 1 / p) < 5 * np.sqrt(1 - p) / p / np.sqrt(sure)
        assert abs((off == 1).mean() - p) < 5 * np.sqrt(p / sure)
        assert x_TI[:, 1 + d].mean() == pytest.approx(4 / (4 + 10 * d), rel=0.1)
        assert on[0] > 0
    correlations = np.corrcoef(x_TI[:, 2:].T) - np.eye(10)
    assert np.abs(correlations).max() < 0.02


@pytest.mark.parametrize("block_steps", BLOCKS)
@pytest.mark.parametrize("options", [{}, {"period": "iti"}, {"gamma": 0.5}, {"gamma": 0.0}])
def test_the_returns_are_those_of_the_stream(options, block_steps):
    task, x_TI, target_T = stream(options, N=5000, block_steps=block_steps)
    expected, G = np.zeros(5000), 0.0
    for t in reversed(range(4999)):
        expected[t] = G = float(x_TI[t + 1, 0]) + task.gamma * G
    sure = slice(0, 3500)  # what comes after the end weighs γ^1500 < 1e-22
    np.testing.assert_allclose(target_T[sure], expected[sure], rtol=2e-7, atol=1e-12)
    if not options:
        assert task.gamma == 1 - 1 / 30


def mean_and_error(values, batches=50):
    """With the standard error of means of long stretches, which are nearly independent."""
    means = [part.mean() for part in np.array_split(values, batches)]
    return values.mean(), np.std(means) / np.sqrt(batches - 1)


def residual(key, target):
    _, inverse = np.unique(key, return_inverse=True)
    means = np.bincount(inverse, target) / np.bincount(inverse)
    return (target - means[inverse]) ** 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"period": "iti"},
        {"isi_steps": [3, 9], "iti_steps": [6, 20], "cs_steps": 5, "us_steps": 3},
        {"isi_steps": [5, 5], "iti_steps": [8, 12], "period": "iti", "gamma": 0.9},
    ],
)
def test_the_losses_are_reached_by_tables(options):
    """Of nothing, of what is on, and of the time since CS, and since US if it came already."""
    task, x_TI, target_T = stream({**options, "distractors": 0}, N=2_000_000)
    target_T = target_T.astype(float)
    t = np.arange(len(target_T))
    on = np.diff(x_TI, axis=0, prepend=np.zeros((1, 2))) > 0
    us, cs = (np.maximum.accumulate(np.where(column, t, -1)) for column in on.T)
    known = 10_000 * (t - cs) + np.where(us > cs, us - cs, 0)
    for key, stated in (
        (0 * t, task.references["constant"]),
        (x_TI @ [1, 2], task.memoryless_loss),
        (known, task.optimum),
    ):
        loss, error = mean_and_error(residual(key, target_T))
        assert abs(loss - stated) < 5 * error
        assert error < 0.02 * stated


def test_distractors_tell_nothing_of_the_losses():
    a, b = (make_task("trace_conditioning", {"distractors": n}) for n in (0, 10))
    assert (a.memoryless_loss, a.optimum) == (b.memoryless_loss, b.optimum)
    assert (a.input_size, b.input_size) == (2, 12)
