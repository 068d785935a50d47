"""The stated losses are reached: without memory by tables of counts, the optima by oracles.

The oracles are written step by step, from the text of the tasks.
"""

import math

import numpy as np
import pytest

from envs import make_task


def table_loss(key, target, weight=None):
    """Mean loss in nats of the best prediction from a key: the conditional entropy of counts."""
    weight = np.ones(len(key)) if weight is None else weight
    counts = np.zeros((key.max() + 1, target.max() + 1))
    np.add.at(counts, (key, target), weight)
    p = counts / counts.sum(axis=1, keepdims=True).clip(1e-9)
    return counts[counts > 0] @ -np.log(p[counts > 0]) / counts.sum()


def flat(batch):
    return [a.reshape(-1, *a.shape[2:]) for a in batch]


def in_unit(task, nats):
    return nats / math.log(2) if task.unit == "bits" else nats


CURRENT_INPUT = [
    ("anbn", {}),
    ("anbn", {"shortest": 3, "longest": 7}),
    ("characters", {}),
    ("distant_brackets", {}),
    ("distant_brackets", {"inside": 3, "between": 0, "letters": 4}),
    ("three_states_world", {}),
    ("warping", {}),
    ("warping", {"shortest": 20, "longest": 20}),
    ("warping", {"steps": 30, "shortest": 20, "longest": 60, "letters": 5}),
    ("padding", {}),
    ("padding", {"shortest": 20, "longest": 20}),
    ("padding", {"steps": 30, "shortest": 4, "longest": 9, "letters": 5}),
]


@pytest.mark.parametrize(("name", "options"), CURRENT_INPUT)
def test_a_table_of_the_current_input_reaches_the_memoryless_loss(name, options):
    task = make_task(name, options)
    if task.stream:
        task.begin([0])
        batch = task.read(400_000)
    else:
        batch = task.sample(np.random.default_rng(0), None, 400_000 // task.steps)
    x, target, weight, _ = flat(batch)
    found = in_unit(task, table_loss(x.argmax(axis=1), target, weight))
    assert found == pytest.approx(task.memoryless_loss, rel=0.02)


@pytest.mark.parametrize("name", ["copying", "variable_copying"])
def test_copying_without_the_data_is_guessing_when_asked(name):
    task = make_task(name, {"delay_steps": 30})
    x, target_TB, _, _ = task.sample(np.random.default_rng(0), None, 3000)
    signal_B = x[..., 9].argmax(axis=0)
    t = np.arange(task.steps)[:, None]
    asked = ((t > signal_B) & (t <= signal_B + 10)).astype(int)
    found = table_loss(asked.ravel(), target_TB.ravel())
    assert found == pytest.approx(task.memoryless_loss, rel=0.002)
    batch = task.sample(np.random.default_rng(1), None, 4)
    assert np.mean(task.decisive(batch)) == 10 / task.steps


def test_the_numbers_of_the_papers():
    assert make_task("copying").memoryless_loss == pytest.approx(10 * math.log(8) / 520)
    assert make_task("anbn").optimum == pytest.approx(0.14, abs=0.005)
    assert make_task("anbn").references["without counting"] == pytest.approx(0.28, abs=0.006)
    brackets = make_task("distant_brackets")
    assert brackets.optimum * 10 == pytest.approx(6 * math.log2(10))
    assert make_task("adding").memoryless_loss == pytest.approx(1 / 6)
    assert make_task("pixel_digits").memoryless_loss == pytest.approx(math.log(10))


def test_adding():
    task = make_task("adding", {"steps": 21})
    x_TB2, target_TB1, weight_TB, _ = task.sample(np.random.default_rng(0), None, 100_000)
    assert (weight_TB.sum(axis=0) == 1).all()
    assert (weight_TB[-1] == 1).all()
    mark_TB = x_TB2[..., 1]
    assert (mark_TB[:10].sum(axis=0) == 1).all()
    assert (mark_TB[10:].sum(axis=0) == 1).all()
    assert set(np.unique(mark_TB)) == {0, 1}
    assert mark_TB.any(axis=1).all()
    np.testing.assert_allclose((x_TB2[..., 0] * mark_TB).sum(axis=0), target_TB1[-1, :, 0])
    found = ((target_TB1[-1, :, 0] - 1.0) ** 2).mean()
    assert found == pytest.approx(task.memoryless_loss, rel=0.02)
    assert x_TB2[..., 0].min() >= 0
    assert x_TB2[..., 0].max() < 1
    assert x_TB2[..., 0].mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("name", ["copying", "variable_copying"])
def test_copying_oracle(name):
    task = make_task(name, {"delay_steps": 9, "data_steps": 4, "letters": 5})
    batch = task.sample(np.random.default_rng(0), None, 200)
    gaps = set()
    for symbols, target in zip(batch.x_TBI.argmax(axis=2).T, batch.target_TB.T, strict=True):
        seen, said, place, asked = [], [], 0, False
        for t, symbol in enumerate(symbols):
            said.append(seen[place] if asked and place < 4 else 5)
            place += asked
            if symbol < 5:
                seen.append(symbol)
            if symbol == 6:
                asked = True
                gaps.add(t - 4)
        assert said == target.tolist()
    assert gaps == ({8} if name == "copying" else set(range(1, 10)))
    assert task.steps == (17 if name == "copying" else 18)
    assert batch.weight_TB.all()


@pytest.mark.parametrize("lengths", [(1, 6), (4, 4)])
@pytest.mark.parametrize("name", ["warping", "padding"])
def test_warping_oracle(name, lengths):
    shortest, longest = lengths
    options = {"steps": 40, "letters": 6, "shortest": shortest, "longest": longest}
    task = make_task(name, options)
    x_TBI, target_TB, weight_TB, _ = task.sample(np.random.default_rng(0), None, 300)
    runs = set()
    for symbols, target, weight in zip(
        x_TBI.argmax(axis=2).T, target_TB.T, weight_TB.T, strict=True
    ):
        now, before, began = symbols[0], 6, 0
        for t, symbol in enumerate(symbols):
            if symbol not in (now, 6):
                now, before = symbol, now
                runs.add(t - began)
                began = t
            assert weight[t] == (symbol != 6)
            assert target[t] == (before if symbol != 6 else 6)
        assert now < 6
    assert runs == set(range(shortest, longest + 1))
    assert (weight_TB.all()) == (name == "warping")


def test_three_states_oracle():
    """After 3 the next state is the one before it; else each of three is as likely."""
    task = make_task("three_states_world")
    task.begin([0])
    N = 300_000
    batch = task.read(N)
    x = batch.x_TBI[:, 0].argmax(axis=1)
    third = x == 2
    assert not (third[1:] & third[:-1]).any()
    assert (batch.target_TB[1:, 0][third[1:]] == x[:-1][third[1:]]).all()
    np.testing.assert_array_equal(task.decisive(batch)[:, 0], third)
    counts = np.bincount(batch.target_TB[~third, 0], minlength=3)
    assert np.abs(counts - (~third).sum() / 3).max() < 5 * math.sqrt(N * 2 / 9)
    loss = (~third).mean() * math.log(3)
    assert loss == pytest.approx(task.optimum, rel=0.01)


def test_brackets_oracle():
    """Every line costs the same."""
    s, k, a = 2, 3, 4
    task = make_task("distant_brackets", {"inside": s, "between": k, "letters": a})
    task.block_steps = 64
    task.begin([0])
    lines = task.read(500 * task.line).x_TBI[:, 0].argmax(axis=1).reshape(500, -1)
    for line in lines:
        inside, between = line[1 : 1 + s], line[2 + s : 2 + s + k]
        assert line.tolist() == [a, *inside, a + 1, *between, *inside, a + 2]
        assert max(*inside, *between) < a
    for column in (*range(1, 1 + s), *range(2 + s, 2 + s + k)):
        counts = np.bincount(lines[:, column], minlength=a)
        assert np.abs(counts - 125).max() < 5 * math.sqrt(500 * 3 / 16)
    assert task.optimum * task.line == pytest.approx((s + k) * math.log2(a))
    known_place = (2 * s + k) * math.log2(a)
    assert task.references["structure"] * task.line == pytest.approx(known_place)


def test_anbn_oracle():
    """Guesses after each a how likely the run ends: any line costs log2(l - k + 1) bits."""
    shortest, longest = 2, 6
    task = make_task("anbn", {"shortest": shortest, "longest": longest})
    task.block_steps = 64
    task.begin([0])
    symbols = task.read(8000).x_TBI[:, 0].argmax(axis=1)
    text = "".join("ab\n"[i] for i in symbols)
    parts = text.split("\n")[:-1]
    pairs = list(zip(parts[:-1:2], parts[1::2], strict=False))
    counts = np.zeros(longest + 1, int)
    for a, b in pairs:
        n = len(a)
        assert (a, b) == ("a" * n, "b" * n)
        assert shortest <= n <= longest
        counts[n] += 1
        bits = 0.0
        for j in range(shortest, n + 1):
            ends = 1 / (longest - j + 1)
            bits -= math.log2(ends) if j == n else math.log2(1 - ends)
        assert bits == pytest.approx(math.log2(5))
    assert counts.sum() == len(pairs) > 700
    assert np.abs(counts[2:] - len(pairs) / 5).max() < 5 * math.sqrt(len(pairs) * 4 / 25)
    mean_line = 2 * 4 + 2
    assert task.optimum == pytest.approx(math.log2(5) / mean_line)
