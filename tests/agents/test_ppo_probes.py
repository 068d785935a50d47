"""PPO learns the known value of each probe, and with a memory the two that ask for one.

Its γ is per stock step and its rewards are those of stock steps, so V is the probe's / stock_dt.
"""

import pytest
import torch

from configs.build import make_evaluator
from rlkit.loops.on_policy import OnPolicyLoop
from rlkit.runner import VectorRunner
from rlkit.types import Spaces
from tests.agents.factory import make_ppo
from tests.probes import (
    ActionTimesObservation,
    ActionToReward,
    Constant,
    Probe,
    Recall,
    TMaze,
    TwoSteps,
    ValueFromObservation,
)

GAMMA = 0.45
SHORT = {"rollout_steps": 8, "epochs": 4, "lr": 0.01, "entropy_coefficient": 0.0}
each_kind = pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])


class HalfSteps(Constant):
    """As `Constant`, at twice the stock rate of decisions."""

    dt = Constant.stock_dt / 2


def learn(probe: Probe, blocks: int, seed: int = 0, memory: str = "none", make=make_ppo, **changes):
    """The agent after so many rollouts and their updates; its steps shrink to nothing."""
    actions = probe.num_actions if probe.discrete else 1
    given = Spaces(
        (probe.obs_size,),
        actions,
        probe.discrete,
        probe.dt,
        probe.num_envs,
        stock_dt=probe.stock_dt,
    )
    options = {"hidden_size": 16} if memory != "none" else {}
    agent = make(given, memory, options, seed, lr_final_ratio=0.0, **changes)
    T = agent.options.rollout_steps
    runner = VectorRunner(probe, agent, seed + 2, staggered=False)
    loop = OnPolicyLoop(runner, agent, T, total_vector_steps=blocks * T)
    for _ in range(blocks):
        loop.block()
    return agent


def inspect(probe: type, discrete: bool, *obs: float) -> tuple[list[float], list[float]]:
    """Values and greedy actions after 40 blocks."""
    agent = learn(probe(32, discrete), 40, gamma=GAMMA, **SHORT)
    value, action = agent.inspect(torch.tensor(obs).view(-1, 1))
    return value.tolist(), action.tolist()


@each_kind
@pytest.mark.parametrize(
    ("probe", "obs", "value"),
    [
        (Constant, [0.0], [1 / (1 - GAMMA)]),  # 1.818; below 1.5 if a limit were an end
        (HalfSteps, [0.0], [0.5 / (1 - GAMMA**0.5)]),  # 1.519
        (ValueFromObservation, [-1.0, 1.0], [-1.0, 1.0]),
        (TwoSteps, [-1.0, 1.0], [GAMMA, 1.0]),
    ],
)
def test_values_that_no_action_changes(probe, obs, value, discrete):
    got, _ = inspect(probe, discrete, *obs)
    assert got == pytest.approx(value, abs=0.03)


@each_kind
def test_action_to_reward(discrete):
    value, action = inspect(ActionToReward, discrete, 0.0)
    assert value == pytest.approx([1.0], abs=0.04)  # less the variance of what is still tried
    assert action == pytest.approx([1.0 if discrete else 0.4], abs=0.05)


@each_kind
def test_action_times_observation(discrete):
    value, action = inspect(ActionTimesObservation, discrete, -1.0, 1.0)
    best = 1.0 if discrete else 0.4
    assert value == pytest.approx([1.0, 1.0], abs=0.04)
    assert action == pytest.approx([-best, best], abs=0.05)


# --- probes that ask for memory --------------------------------------------------------------

LONG = {"rollout_steps": 32, "epochs": 4, "minibatches": 4, "gamma": 0.9, "lr": 0.004}
EPISODES = 256
BLOCKS = {Recall: 30, TMaze: 60}


def successes(agent, probe: type) -> float:
    """Share of fresh episodes that paid, played greedily."""
    returns = make_evaluator(agent, probe(EPISODES, True), EPISODES, seed=10_000)().returns
    return (returns > 0).mean()


@pytest.mark.parametrize(("probe", "first", "steps"), [(Recall, [1.0], 4), (TMaze, [1.0, 0.0], 5)])
def test_a_memory_solves_what_asks_for_one(probe, first, steps):
    agent = learn(probe(16, True), BLOCKS[probe], memory="gru", **LONG)
    assert successes(agent, probe) >= 0.95
    value, _ = agent.inspect(torch.tensor([first, [-first[0], *first[1:]]]))
    assert value.tolist() == pytest.approx([0.9**steps] * 2, abs=0.1)


@pytest.mark.parametrize("probe", [Recall, TMaze])
def test_no_memory_does_not(probe):
    """At most one half by construction; 4 standard errors of a share of 256 episodes are 1/8."""
    agent = learn(probe(16, True), BLOCKS[probe], **LONG)
    assert successes(agent, probe) <= 0.5 + 4 * 0.5 / EPISODES**0.5
