"""Estimators that are right on average: against the exact gradient, in double precision."""

import itertools

import pytest
import torch

from rlkit.gradients.artbp import ARTBP
from tests.rlkit.gradients.estimating import build, problem, reverse_mode, small, total

COPIES = 20_000
UORO = {
    "plain": {},
    "rank 3": {"rank": 3},
    "memory 2": {"memory_steps": 2},
    "memory 4, rank 2": {"memory_steps": 4, "rank": 2},
}


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def relative(found, exact):
    return ((found - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("case", UORO)
def test_uoro_is_unbiased(case):
    memory = small("gru", 4)
    given = problem(memory, 6, COPIES, starts=0.15)
    assert given[2][1:].any()
    found_NP = total(build("uoro", memory, **UORO[case]), *given)[1]["memory"]
    exact_P = reverse_mode(memory, *given)[1]["memory"][0]
    mean_P = found_NP.mean(0)
    error_P = found_NP.std(0) / COPIES**0.5
    assert ((mean_P - exact_P).abs() <= 5 * error_P + 1e-12).all()
    assert relative(mean_P, exact_P) < 0.02
    one = {k: p[:1] for k, p in given[0].items()}
    short = build("tbptt", memory, length=UORO[case].get("memory_steps", 1))
    truncated = total(short, one, given[1][:, :1], given[2][:, :1], given[3])[1]["memory"][0]
    if "memory" not in case:
        assert relative(truncated, exact_P) > 0.1
    assert relative(truncated, exact_P) > relative(mean_P, exact_P)


def test_uoro_has_pairs_for_every_stream():
    memory = small("gru", 4)
    given = problem(memory, 5, 5000, B=3)
    found_NP = total(build("uoro", memory), *given)[1]["memory"]
    exact_P = reverse_mode(memory, *given)[1]["memory"][0]
    error_P = found_NP.std(0) / 5000**0.5
    assert ((found_NP.mean(0) - exact_P).abs() <= 5 * error_P + 1e-12).all()


def test_more_ranks_and_more_memory_are_less_noisy():
    memory = small("gru", 4)
    given = problem(memory, 6, 2000, starts=0.0)
    spread = {
        case: total(build("uoro", memory, **changes), *given)[1]["memory"].var(0).sum()
        for case, changes in UORO.items()
    }
    assert spread["rank 3"] < 0.5 * spread["plain"]
    assert spread["memory 2"] < spread["plain"]


@pytest.mark.parametrize("name", ["gru", "lstm", "lru"])
def test_finite_differences_are_near_the_exact_tangent(name):
    memory = small(name, 4)
    given = problem(memory, 6, 2, 2)
    exact, near = (
        total(build("uoro", memory, rank=2, tangent=t), *given)[1]["memory"]
        for t in ("exact", "finite_differences")
    )
    assert 0 < relative(near, exact) < 1e-5


def compositions(T):
    """All ways to cut T steps into segments."""
    for cuts in itertools.product((False, True), repeat=T - 1):
        ends = [t + 1 for t, cut in enumerate(cuts) if cut] + [T]
        yield [b - a for a, b in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize(("name", "options"), [("gru", {}), ("gatel0rd", {"f_init": 1})])
def test_artbp_is_unbiased_over_all_truncations(name, options, monkeypatch):
    """The mean is taken over every sequence of truncations, weighted by its probability."""
    T, memory = 7, small(name, **options)
    given = problem(memory, T, 1, 2)
    assert given[2][1:].any()
    estimator, mean, sure = build("artbp", memory), 0, 0
    for lengths in compositions(T):
        chance = 1.0
        for i, length in enumerate(lengths):
            for t in range(1, length):
                chance *= 1 - estimator.chance(t)
            if i < len(lengths) - 1:
                chance *= estimator.chance(length)
        drawn = iter([*lengths, 1])
        monkeypatch.setattr(ARTBP, "draw", lambda self, drawn=drawn: next(drawn))
        mean = mean + chance * total(estimator, *given)[1]["memory"]
        sure += chance
    assert sure == pytest.approx(1)
    torch.testing.assert_close(mean, reverse_mode(memory, *given)[1]["memory"])


def test_artbp_mean_of_draws():
    memory, draws = small("elman", 2), 1500
    given = problem(memory, 12, starts=0.0)
    estimator = build("artbp", memory, mean_length=4.0)
    found = torch.cat([total(estimator, *given)[1]["memory"] for _ in range(draws)])
    exact_P = reverse_mode(memory, *given)[1]["memory"][0]
    error_P = found.std(0) / draws**0.5
    assert ((found.mean(0) - exact_P).abs() <= 4 * error_P + 1e-12).all()


def test_artbp_draws_lengths_by_its_chances():
    estimator, draws = build("artbp", small("elman"), mean_length=16.0), 4000
    lengths = torch.tensor([estimator.draw() for _ in range(draws)], dtype=torch.float64)
    survives = 1.0
    for t in range(1, 40):
        expected = survives * estimator.chance(t)
        found = (lengths == t).double().mean().item()
        assert abs(found - expected) <= 5 * (expected / draws) ** 0.5
        survives *= 1 - estimator.chance(t)
    assert 14 < lengths.mean() < 18
    assert lengths.max() > 60  # none is cut off
