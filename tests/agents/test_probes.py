"""Each agent learns the known value of each probe environment."""

import pytest
import torch

from rlkit.loops.off_policy import OffPolicyLoop
from rlkit.replay.transitions import TransitionReplay
from rlkit.runner import VectorRunner
from rlkit.seeding import generator
from rlkit.types import Spaces
from tests.agents.factory import make_agent
from tests.probes import (
    ActionTimesObservation,
    ActionToReward,
    Constant,
    TwoSteps,
    ValueFromObservation,
)

GAMMA, DT = 0.2, 0.5
DISCOUNT = GAMMA**DT  # 0.447
AGENTS = [("dau", False), ("dau", True), ("ddpg", False), ("dqn", True)]
each_agent = pytest.mark.parametrize(("name", "discrete"), AGENTS)


def learn(name: str, discrete: bool, probe: type, updates: int, seed: int = 4, **changes):
    """The agent after `updates`, with 50 updates after every vector step of 32 copies."""
    torch.set_num_threads(1)
    envs = probe(32, discrete)
    given = Spaces((1,), 2 if discrete else 1, discrete, envs.dt, envs.num_envs)
    rates = dict.fromkeys(("lr_value", "lr_advantage", "lr_q"), 0.04)  # short runs: less jitter
    fitted = {"hidden_sizes": (16, 16), "gamma": GAMMA, "updates_per_second": 100, **rates}
    agent = make_agent(name, given, seed=seed, **{**fitted, **changes})
    loop = OffPolicyLoop(
        VectorRunner(envs, agent, seed=7),
        agent,
        TransitionReplay(20_000, generator(5)),
        agent.schedule,
    )
    loop.run(stop=lambda i: i.updates >= updates, after_block=lambda i, metrics: None)
    return agent


def inspect(agent, *obs: float) -> tuple[list[float], list[float]]:
    value, action = agent.inspect(torch.tensor(obs).view(-1, 1))
    return value.tolist(), action.tolist()


@each_agent
def test_a_constant_reward_is_worth_its_discounted_sum(name, discrete):
    value, _ = inspect(learn(name, discrete, Constant, 800), 0.0)
    assert value == pytest.approx([DT / (1 - DISCOUNT)], rel=0.05)  # 0.904; cut at the limit: 0.897


@each_agent
def test_value_from_observation(name, discrete):
    value, _ = inspect(learn(name, discrete, ValueFromObservation, 800), -1.0, 1.0)
    assert value == pytest.approx([-DT, DT], abs=0.03)


@each_agent
def test_discounting_over_two_steps(name, discrete):
    value, _ = inspect(learn(name, discrete, TwoSteps, 800), -1.0, 1.0)
    assert value == pytest.approx([DISCOUNT * DT, DT], abs=0.03)  # undiscounted: 0.5, 0.5


@each_agent
def test_action_to_reward(name, discrete):
    value, action = inspect(learn(name, discrete, ActionToReward, 1200), 0.0)
    assert value == pytest.approx([DT], abs=0.03)
    assert action == pytest.approx([1.0 if discrete else 0.4], abs=0.15)


@each_agent
def test_action_times_observation(name, discrete):
    value, action = inspect(learn(name, discrete, ActionTimesObservation, 1600), -1.0, 1.0)
    best = 1.0 if discrete else 0.4
    assert value == pytest.approx([DT, DT], abs=0.03)
    assert action == pytest.approx([-best, best], abs=0.15)
