"""Advantages by hand, at both ends of λ, and across ends of episodes."""

import numpy as np
import pytest
import torch

from rlkit.returns import gae, over_span


def series(T: int = 7, B: int = 3):
    rng = np.random.default_rng(0)
    discount = np.where(rng.random((T, B)) < 0.3, 0.0, 0.9)
    return rng.normal(size=(T, B)), discount, rng.normal(size=(T, B)), rng.normal(size=B)


def test_by_hand():
    reward = np.array([[1.0, 1.0], [0.0, 2.0], [2.0, 4.0]])
    discount = np.array([[0.5, 0.5], [0.5, 0.0], [0.5, 0.5]])
    value = np.array([[1.0, 2.0], [2.0, 4.0], [4.0, 6.0]])
    got = gae(reward, discount, value, np.array([8.0, 2.0]), 0.5)
    # δ = r + γ V' - V, A = δ + γ λ A', γ λ = 0.25
    # left:   δ_2 = 2 + 4 - 4 = 2       A_2 = 2
    #         δ_1 = 0 + 2 - 2 = 0       A_1 = 0 + 0.25 · 2 = 0.5
    #         δ_0 = 1 + 1 - 1 = 1       A_0 = 1 + 0.25 · 0.5 = 1.125
    # right:  δ_2 = 4 + 1 - 6 = -1      A_2 = -1
    #         δ_1 = 2 + 0 - 4 = -2      A_1 = -2            the episode ended here
    #         δ_0 = 1 + 2 - 2 = 1       A_0 = 1 + 0.25 · -2 = 0.5
    assert got.tolist() == [[1.125, 0.5], [0.5, -2.0], [2.0, -1.0]]


def test_lambda_0_is_the_one_step_error():
    reward, discount, value, last = series()
    next_value = np.concatenate([value[1:], last[None]])
    np.testing.assert_allclose(
        gae(reward, discount, value, last, 0.0), reward + discount * next_value - value, rtol=1e-12
    )


def test_lambda_1_is_the_discounted_return_less_the_value():
    reward, discount, value, last = series()
    future, returns = last, np.empty_like(reward)
    for t in reversed(range(len(reward))):
        future = returns[t] = reward[t] + discount[t] * future
    np.testing.assert_allclose(
        gae(reward, discount, value, last, 1.0), returns - value, rtol=1e-12, atol=1e-14
    )


def test_nothing_after_an_end_counts():
    reward, discount, value, last = series()
    discount[:], discount[3] = 0.9, 0.0
    whole = gae(reward, discount, value, last, 0.95)
    alone = gae(reward[:4], discount[:4], value[:4], np.full(3, 1e6), 0.95)
    np.testing.assert_array_equal(whole[:4], alone)
    np.testing.assert_array_equal(whole[4:], gae(reward[4:], discount[4:], value[4:], last, 0.95))


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
def test_exact_values_leave_no_advantage(lambda_):
    """A reward of 1 for ever: V = 1 / (1 - γ), wherever the rollout is cut."""
    exact, shape = 1 / (1 - 0.9), (5, 2)
    got = gae(
        np.ones(shape), np.full(shape, 0.9), np.full(shape, exact), np.full(2, exact), lambda_
    )
    np.testing.assert_allclose(got, 0, atol=1e-13)


def test_types_stay_and_inputs_are_left_alone():
    given = [x.astype(np.float32) for x in series()]
    kept = [x.copy() for x in given]
    assert gae(*given, 0.95).dtype == np.float32
    for x, y in zip(given, kept, strict=True):
        np.testing.assert_array_equal(x, y)


# --- over a span -----------------------------------------------------------------------------


def test_a_span_by_hand():
    """γ = 1/2, n = 2; the left copy's step 1 terminates, the right one's is cut by a time limit."""
    x = torch.tensor([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [8.0, 8.0]])
    discount = torch.tensor([[0.5, 0.5], [0.0, 0.5], [0.5, 0.5], [0.5, 0.5]])
    after = torch.tensor([[10.0, 10.0], [20.0, 20.0], [30.0, 30.0], [40.0, 40.0]])
    cut = torch.tensor([[False, False], [True, True], [False, False]])
    got = over_span(x, discount, 2, after, cut)
    # t = 0: 1 + ½·2 + ½·(0 | ½)·20;  t = 1: 2 + (0 | ½)·20;  t = 2: 4 + ½·8 + ¼·40
    assert got.tolist() == [[2.0, 7.0], [2.0, 12.0], [18.0, 18.0]]
    assert over_span(x, discount, 2, None, cut).tolist() == [[2.0, 2.0], [2.0, 2.0], [8.0, 8.0]]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_a_span_is_the_sum_of_its_steps(n):
    reward, discount, after, _ = (torch.from_numpy(v) for v in series())
    T, B = reward.shape
    cut = torch.from_numpy(np.random.default_rng(1).random((T - 1, B)) < 0.3)
    got = over_span(reward, discount, n, after, cut)
    assert got.shape == (T - n + 1, B)
    for t in range(T - n + 1):
        for b in range(B):
            total, factor = 0.0, 1.0
            for k in range(t, t + n):
                total += factor * reward[t + k - t, b]
                factor = factor * discount[k, b]
                if k == t + n - 1 or cut[k, b]:
                    total += factor * after[k, b]
                    break
            assert got[t, b] == pytest.approx(float(total), abs=1e-12)


def test_one_step_without_bootstrap_is_the_step_itself():
    x = torch.randn(5, 2)
    assert over_span(x, torch.rand(5, 2), 1) is x
