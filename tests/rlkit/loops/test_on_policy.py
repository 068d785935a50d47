"""The on-policy loop on a scripted environment and agent, against a history told copy by copy.

Shapes: T = 8 steps of B = 4 copies, in chunks of L.
"""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from rlkit.loops.on_policy import OnPolicyLoop, Sample
from rlkit.returns import gae
from rlkit.run.checkpoint import decode, encode
from rlkit.runner import VectorRunner

T, B, TOTAL = 8, 4, 20
DISCOUNT, SCALE, LAMBDA = 0.5, 2.0, 0.75
ENDS = {1: (3, True, False), 2: (4, False, True), 3: (2, True, True)}
"""Copy → length of its episodes, whether they terminate, whether they are truncated."""


class Script(VectorEnv):
    """Observation (copy, episode, clock), reward rate 10·copy + clock; copy 0 never ends."""

    dt, stock_dt, limit_steps, reward_bounds = 0.5, 0.25, 4, None

    def __init__(self):
        self.num_envs = B
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.single_action_space = Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, B)
        self.action_space = batch_space(self.single_action_space, B)

    def reset(self, *, seed=None, options=None):
        assert options is None  # every clock starts at zero
        self.episode, self.clock = np.zeros((2, B), dtype=np.int64)
        return self._obs(), {}

    def _obs(self):
        return np.stack((np.arange(B), self.episode, self.clock), -1).astype(np.float32)

    def step(self, actions):
        np.testing.assert_array_equal(actions[:, 0], self.clock)
        reward = 10.0 * np.arange(B) + self.clock
        self.clock = self.clock + 1
        flags = np.array([ENDS.get(b, (99, 0, 0)) for b in range(B)])
        over = self.clock == flags[:, 0]
        terminated, truncated = (over & flags[:, 1:].T.astype(bool)).copy()
        info = {}
        if over.any():
            info = {"final_obs": self._obs(), "_final_obs": over}
            self.episode, self.clock = self.episode + over, np.where(over, 0, self.clock)
        return self._obs(), reward, terminated, truncated, info

    def get_state(self):
        return {"episode": self.episode.copy(), "clock": self.clock.copy()}

    def set_state(self, state):
        self.episode, self.clock = state["episode"].copy(), state["clock"].copy()


def value_of(copy, episode, clock, count):
    """V tells what was seen, and how many observations the memory holds with it."""
    return 1000.0 * copy + 100.0 * episode + 10.0 * clock + count


class Scripted:
    """Its memory counts the observations of the episode; acts by the clock."""

    discount, reward_scale, lambda_ = DISCOUNT, SCALE, LAMBDA

    def __init__(self, L: int = 4):
        self.chunk_steps = L
        self.seen: list = []

    def initial_state(self, B):
        return (torch.zeros(B, 1),)

    def _look(self, obs_BO, state, start_B):
        count_B1 = torch.where(start_B.view(-1, 1), 0.0, state[0]) + 1
        return value_of(*obs_BO.T, count_B1[:, 0]), (count_B1,)

    def sample(self, obs_BO, state, start_B):
        value_B, state = self._look(obs_BO, state, start_B)
        action_BA = torch.stack((obs_BO[:, 2], value_B), -1)
        return Sample(action_BA, -value_B, value_B, state)

    def value(self, obs_BO, state, start_B):
        return self._look(obs_BO, state, start_B)[0]

    def update(self, rollout, progress):
        self.seen.append(progress)
        return {"train/x": torch.tensor([progress])}, 3


def history(b: int, steps: int) -> list[dict]:
    """What should be stored about copy b, step by step."""
    length, terminates, truncates = ENDS.get(b, (99, False, False))
    told = []
    for t in range(steps):
        episode, clock = divmod(t, length)
        over = clock + 1 == length
        reward = SCALE * (10 * b + clock)
        if over and truncates and not terminates:
            reward += DISCOUNT * value_of(b, episode, clock + 1, clock + 2)
        value = value_of(b, episode, clock, clock + 1)
        told.append(
            {
                "obs": [b, episode, clock],
                "start": clock == 0,
                "carry": 0 if t == 0 else (t - 1) % length + 1,  # not yet reset at a start
                "action": [clock, value],
                "log_prob": -value,
                "value": value,
                "reward": reward,
                "discount": 0.0 if over else DISCOUNT,
            }
        )
    return told


def make_loop(L: int = 4) -> OnPolicyLoop:
    agent = Scripted(L)
    runner = VectorRunner(Script(), agent, seed=0, staggered=False)
    return OnPolicyLoop(runner, agent, T, TOTAL)


def told(name: str, steps: int) -> torch.Tensor:
    columns = [[row[name] for row in history(b, steps)] for b in range(B)]
    return torch.tensor(columns).transpose(0, 1)


FIELDS = ("obs", "start", "action", "log_prob", "value", "reward", "discount")


@pytest.mark.parametrize("name", FIELDS)
def test_what_is_stored_is_what_happened(name):
    """Two rollouts on end; `reward` bootstraps copy 2 alone, `discount` is 0 at every end."""
    loop = make_loop()
    for part in range(2):
        got = getattr(loop.collect(), name)
        want = told(name, 2 * T)[part * T : (part + 1) * T]
        assert torch.equal(got, want.to(got.dtype))


def test_only_a_time_limit_is_bootstrapped():
    """By hand: V(copy 2, episode 0, clock 4, after 5 observations) = 2045."""
    reward = make_loop().collect().reward
    assert reward[3].tolist() == [2 * 3, 2 * 10, 2 * 23 + 0.5 * 2045, 2 * 31]
    assert reward[2, 1] == 2 * 12  # terminated
    assert reward[1, 3] == 2 * 31  # both at once: terminated


@pytest.mark.parametrize("L", [1, 2, 4, 8])
def test_carries_are_the_states_before_the_chunks(L):
    loop, carry = make_loop(L), told("carry", 2 * T)
    for first in (0, T):
        rollout = loop.collect()
        assert len(rollout.carries) == T // L
        for c, (state,) in enumerate(rollout.carries):
            assert state[:, 0].tolist() == carry[first + c * L].tolist()


def test_advantages_come_from_the_value_after_the_last_step():
    loop = make_loop()
    for part in (1, 2):
        rollout = loop.collect()
        last = told("value", 2 * T + 1)[part * T].float()  # of the next observation, restarted
        series = (rollout.reward, rollout.discount, rollout.value, last)
        want = gae(*(x.numpy() for x in series), LAMBDA)
        np.testing.assert_array_equal(rollout.advantage.numpy(), want)
        assert torch.equal(rollout.target, rollout.advantage + rollout.value)


def test_no_gradient_is_recorded():
    loop = make_loop()
    weight = torch.ones((), requires_grad=True)
    look = loop.agent._look
    loop.agent._look = lambda *a: (weight * look(*a)[0], look(*a)[1])
    assert not loop.collect().value.requires_grad


def test_progress_and_updates():
    loop, seen = make_loop(), []
    loop.run(
        stop=lambda i: i.vector_steps >= 3 * T,
        after_block=lambda i, metrics: seen.append((i.vector_steps, i.updates, len(metrics))),
    )
    assert loop.agent.seen == [0.0, 8 / 20, 16 / 20]
    assert seen == [(8, 3, 1), (16, 6, 1), (24, 9, 1)]
    loop.block()
    assert loop.agent.seen[-1] == 1.0  # 24 of 20 steps


def test_the_runners_metrics_are_handed_on():
    loop = make_loop()
    loop.collect()
    metrics = loop.pop_metrics()
    assert metrics["rollout/episodes"] == 2 + 2 + 4  # of 3, 4 and 2 steps
    assert metrics["rollout/length_mean"] == (2 * 3 + 2 * 4 + 4 * 2) / 8


def test_a_saved_loop_goes_on_as_if_it_had_not_stopped():
    straight, resumed = make_loop(), make_loop()
    straight.block()
    state = decode(encode(straight.get_state()))  # plain data
    resumed.set_state(state)
    assert (resumed.vector_steps, resumed.updates) == (T, 3)
    for _ in range(2):
        straight.block()
        resumed.block()
        a, b = straight.rollout, resumed.rollout
        for name in (*FIELDS, "advantage", "target"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name
        for x, y in zip(a.carries, b.carries, strict=True):
            assert torch.equal(x[0], y[0])
    assert straight.agent.seen[1:] == resumed.agent.seen
    assert straight.updates == resumed.updates == 9
