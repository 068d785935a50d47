"""Off-policy agents with a memory solve what asks for one; without, they cannot."""

import pytest

from configs.build import make_evaluator
from rlkit.loops.off_policy import OffPolicyLoop
from rlkit.memory import make_memory
from rlkit.replay.sequences import SequenceReplay
from rlkit.runner import VectorRunner
from rlkit.seeding import generator
from rlkit.types import Spaces
from tests.agents.factory import make_agent
from tests.probes import Recall

EPISODES = 256
DT = Recall.dt
AGENTS = [("dqn", True), ("dau", True), ("dau", False), ("ddpg", False)]
SHORT = {
    "hidden_sizes": (16, 16),
    "gamma": 0.8,
    "batch_size": 32,
    "updates_per_second": 100,
    "block_seconds": DT,
    "window_seconds": 6 * DT,
    "moment_horizon_seconds": 4.0,
    "noise_sigma": 4.0,
    "noise_kappa": 1.0,
}


def paid(name: str, discrete: bool, memory: str, updates: int, seed: int = 0, **changes) -> float:
    """Share of fresh episodes that paid, played greedily."""
    envs = Recall(32, discrete)
    given = Spaces((1,), 2 if discrete else 1, discrete, envs.dt, envs.num_envs)
    options = {"hidden_size": 16} if memory != "none" else {}
    build = lambda size: make_memory(memory, size, **options)  # noqa: E731
    agent = make_agent(name, given, seed=seed, memory=build, **{**SHORT, **changes})
    runner = VectorRunner(envs, agent, seed + 2)
    replay = SequenceReplay(20_000, agent.lengths.steps, agent, generator(seed + 1))
    loop = OffPolicyLoop(runner, agent, replay, agent.schedule)
    loop.run(stop=lambda i: i.updates >= updates, after_block=lambda i, metrics: None)
    returns = make_evaluator(agent, Recall(EPISODES, discrete), EPISODES, seed=10_000)().returns
    return (returns > 0).mean()


@pytest.mark.parametrize(("name", "discrete"), AGENTS)
def test_a_memory_recalls(name, discrete):
    assert paid(name, discrete, "gru", 1500) >= 0.95


def test_priorities_and_burn_in_do_too():
    changes = {"priority_exponent": 0.6, "burn_in_seconds": 2 * DT}
    assert paid("dqn", True, "gru", 1500, **changes) >= 0.95


@pytest.mark.parametrize(("name", "discrete"), AGENTS)
def test_no_memory_does_not(name, discrete):
    """At most one half by construction; 4 standard errors of a share of 256 episodes are 1/8."""
    assert paid(name, discrete, "none", 300) <= 0.5 + 4 * 0.5 / EPISODES**0.5
