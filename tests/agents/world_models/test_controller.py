"""Controller and strategy: squashing, the random policy, and a strategy taken up again."""

import math

import numpy as np
import pytest
import torch

from agents.world_models.controller import Controller, Strategy
from rlkit.options import ConfigError


def controller(squash="tanh", one_sided=(1, 2), rectified=(2,), discrete=False):
    return Controller(4, 3, discrete, squash, one_sided, rectified)


def test_each_row_is_a_linear_layer_of_its_own():
    torch.manual_seed(0)
    c = controller("clip", one_sided=()).double()
    assert c.size == 3 * 5
    x, p = torch.randn(6, 4).double() / 9, torch.randn(6, 15).double() / 9
    rows = [p[i, :12].view(3, 4) @ x[i] + p[i, 12:] for i in range(6)]
    torch.testing.assert_close(c(x, p), torch.stack(rows), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("squash", "u", "expected"),
    [
        ("tanh", [0.5, -0.5, 0.5], [math.tanh(0.5), -math.tanh(0.5), 2 * math.tanh(0.5) - 1]),
        ("tanh", [0.0, 0.0, -0.5], [0.0, 0.0, -1.0]),  # no brake below zero
        ("clip", [-3.0, -0.5, 0.25], [-1.0, -1.0, -0.5]),
        ("clip", [0.5, 0.5, 3.0], [0.5, 0.0, 1.0]),
    ],
)
def test_squashing(squash, u, expected):
    c = controller(squash)
    p = torch.tensor([[0.0] * 12 + u])
    torch.testing.assert_close(c(torch.ones(1, 4), p), torch.tensor([expected]))


def test_discrete_actions_are_the_best_scored():
    c = controller(discrete=True, one_sided=(7,))
    action = c(torch.zeros(2, 4), torch.tensor([[0.0] * 12 + [0, 2, 1.0], [0.0] * 12 + [3, 2, 1]]))
    assert action.dtype == torch.int64
    assert action.tolist() == [1, 0]


def test_components_that_are_not_there():
    with pytest.raises(ConfigError, match=r"agent\.rectified is \[3\], but the action has 3"):
        controller(rectified=(3,))


def test_the_random_policy_is_a_clipped_brownian_motion():
    actions = controller("clip").wander(5, variance=0.02)
    a_TA = np.stack([next(actions) for _ in range(4000)])
    assert a_TA.dtype == np.float32
    assert a_TA.min(0).tolist() == [-1, -1, -1]
    assert a_TA.max(0).tolist() == [1, 1, 1]
    inside = (np.abs(a_TA[1:]) < 1).all(1) & (np.abs(a_TA[:-1]) < 1).all(1)
    steps_TA = np.diff(a_TA, axis=0)[inside]
    # gas and brake go from 0 to 1 in the motion, and from -1 to 1 here
    spread = steps_TA.std(0) / (math.sqrt(0.02) * np.array([1, 2, 2]))
    assert (np.abs(spread - 1) < 0.1).all()
    again = controller("tanh").wander(5, variance=0.02)
    assert np.array_equal(np.stack([next(again) for _ in range(50)]), a_TA[:50])
    assert not np.array_equal(next(controller().wander(6, variance=0.02)), a_TA[0])


def cost(members):
    return ((members - 0.3) ** 2).sum(1)


def test_a_strategy_taken_up_again_asks_the_same_and_leaves_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    whole = Strategy(20, 8, 0.1, seed=3)
    for _ in range(6):
        members = whole.ask()
        assert members.shape == (8, 20)
        whole.tell(members, cost(members))
    assert cost(whole.mean[None]) < cost(np.zeros((1, 20)))
    state = whole.get_state()
    again = Strategy(20, 8, 0.1, seed=99)
    again.set_state(state)
    assert np.array_equal(again.mean, whole.mean)
    assert np.array_equal(again.ask(), whole.ask())
    assert not np.array_equal(Strategy(20, 8, 0.1, 3).ask(), Strategy(20, 8, 0.1, 4).ask())
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_machine_that_computes_otherwise_goes_on_from_the_mean():
    whole = Strategy(5, 6, 0.1, seed=3)
    for _ in range(3):
        members = whole.ask()
        whole.tell(members, cost(members))
    state = whole.get_state()
    state["mean"] = state["mean"] + 0.01
    again = Strategy(5, 6, 0.1, seed=3)
    with pytest.warns(UserWarning, match="does not repeat the strategy's arithmetic"):
        again.set_state(state)
    assert np.array_equal(again.mean, state["mean"])
    assert again.sigma == state["sigma"]
    members = again.ask()
    again.tell(members, cost(members))
    third = Strategy(5, 6, 0.1, seed=3)
    third.set_state(again.get_state())
    assert np.array_equal(third.ask(), again.ask())
