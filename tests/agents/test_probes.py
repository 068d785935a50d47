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


SHORT = {
    "hidden_sizes": (16, 16),
    "gamma": GAMMA,
    "updates_per_second": 100,  # 50 after every vector step
    "lr_value": 0.04,  # smaller steps and a longer moment than `fast`: less jitter in a short run
    "lr_advantage": 0.04,
    "lr_q": 0.04,
    "moment_horizon_seconds": 4.0,
    "noise_sigma": 4.0,  # wide: every action is tried in every state
}


def learn(name: str, discrete: bool, probe: type, *obs: float, seed: int = 4):
    """Values and greedy actions at `obs`: the mean over the last 5 of 18 blocks of 50 updates."""
    envs = probe(32, discrete)
    given = Spaces((1,), 2 if discrete else 1, discrete, envs.dt, envs.num_envs)
    agent = make_agent(name, given, seed=seed, **SHORT)
    replay = TransitionReplay(20_000, generator(seed + 1))
    loop = OffPolicyLoop(VectorRunner(envs, agent, seed + 2), agent, replay, agent.schedule)
    seen = []
    loop.run(
        stop=lambda i: i.updates >= 900,
        after_block=lambda i, metrics: seen.append(
            torch.stack(agent.inspect(torch.tensor(obs).view(-1, 1)))
        ),
    )
    value, action = torch.stack(seen[-5:]).mean(0)
    return value.tolist(), action.tolist()


@each_agent
def test_a_constant_reward_is_worth_its_discounted_sum(name, discrete):
    value, _ = learn(name, discrete, Constant, 0.0)
    assert value == pytest.approx([DT / (1 - DISCOUNT)], abs=0.04)  # 0.904


@each_agent
def test_value_from_observation(name, discrete):
    value, _ = learn(name, discrete, ValueFromObservation, -1.0, 1.0)
    assert value == pytest.approx([-DT, DT], abs=0.04)


@each_agent
def test_discounting_over_two_steps(name, discrete):
    value, _ = learn(name, discrete, TwoSteps, -1.0, 1.0)
    assert value == pytest.approx([DISCOUNT * DT, DT], abs=0.04)  # undiscounted: 0.5, 0.5


@each_agent
def test_action_to_reward(name, discrete):
    value, action = learn(name, discrete, ActionToReward, 0.0)
    assert value == pytest.approx([DT], abs=0.04)
    assert action == pytest.approx([1.0 if discrete else 0.4], abs=0.2)


@each_agent
def test_action_times_observation(name, discrete):
    value, action = learn(name, discrete, ActionTimesObservation, -1.0, 1.0)
    best = 1.0 if discrete else 0.4
    assert value == pytest.approx([DT, DT], abs=0.04)
    assert action == pytest.approx([-best, best], abs=0.2)
