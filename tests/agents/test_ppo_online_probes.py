"""RT2-PPO learns the known value of each probe, and the two that ask for memory."""

import pytest
import torch

from tests.agents.factory import make_ppo_online
from tests.agents.test_ppo_probes import BLOCKS, GAMMA, LONG, SHORT, learn, successes
from tests.probes import (
    ActionTimesObservation,
    ActionToReward,
    Constant,
    Recall,
    TMaze,
    TwoSteps,
    ValueFromObservation,
)

BY_TRACES = {"memory": "rtu", "make": make_ppo_online}
each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])


def inspect(probe: type, discrete: bool, *obs: float) -> tuple[list[float], list[float]]:
    agent = learn(probe(32, discrete), 40, gamma=GAMMA, **SHORT, **BY_TRACES)
    value, action = agent.inspect(torch.tensor(obs).view(-1, 1))
    return value.tolist(), action.tolist()


@each_kind
@pytest.mark.parametrize(
    ("probe", "obs", "value"),
    [
        (Constant, [0.0], [1 / (1 - GAMMA)]),
        (ValueFromObservation, [-1.0, 1.0], [-1.0, 1.0]),
        (TwoSteps, [-1.0], [GAMMA]),
    ],
)
def test_values_that_no_action_changes(probe, obs, value, discrete):
    got, _ = inspect(probe, discrete, *obs)
    assert got == pytest.approx(value, abs=0.05)


@each_kind
def test_action_to_reward(discrete):
    value, action = inspect(ActionToReward, discrete, 0.0)
    assert value == pytest.approx([1.0], abs=0.04)
    assert action == pytest.approx([1.0 if discrete else 0.4], abs=0.05)


@each_kind
def test_action_times_observation(discrete):
    value, action = inspect(ActionTimesObservation, discrete, -1.0, 1.0)
    best = 1.0 if discrete else 0.4
    assert value == pytest.approx([1.0, 1.0], abs=0.04)
    assert action == pytest.approx([-best, best], abs=0.05)


@pytest.mark.parametrize(("probe", "first", "steps"), [(Recall, [1.0], 4), (TMaze, [1.0, 0.0], 5)])
def test_a_memory_solves_what_asks_for_one(probe, first, steps):
    agent = learn(probe(16, True), BLOCKS[probe], **LONG, **BY_TRACES)
    assert successes(agent, probe) >= 0.95
    value, _ = agent.inspect(torch.tensor([first, [-first[0], *first[1:]]]))
    assert value.tolist() == pytest.approx([0.9**steps] * 2, abs=0.1)
