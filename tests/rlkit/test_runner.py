"""VectorRunner on an environment whose every number says copy, episode and step."""

import copy

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from rlkit.runner import VectorRunner


class Counting(VectorEnv):
    """Observation (copy, episode, elapsed steps); reward rate 1 + copy.

    Copy 0 terminates when its clock reaches 2; every copy is truncated at `limit_steps`.
    """

    dt, stock_dt, limit_steps, reward_bounds = 0.25, 0.25, 4, None

    def __init__(self, num_envs: int = 3):
        self.num_envs = num_envs
        self.single_observation_space = Box(-np.inf, np.inf, (3,), np.float32)
        self.single_action_space = Box(-1, 1, (2,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.given: dict = {}

    def reset(self, *, seed=None, options=None):
        self.given = {"seed": seed, "options": options}
        self.episode = np.zeros(self.num_envs, dtype=np.int64)
        clocks = (options or {}).get("elapsed_steps", np.zeros(self.num_envs, dtype=np.int64))
        self.clock = np.array(clocks)
        return self._obs(), {}

    def _obs(self):
        return np.stack((np.arange(self.num_envs), self.episode, self.clock), -1).astype(np.float32)

    def step(self, actions):
        assert actions.shape == (self.num_envs, 2)
        self.clock = self.clock + 1
        terminated = (np.arange(self.num_envs) == 0) & (self.clock == 2)
        truncated = (self.clock >= self.limit_steps) & ~terminated
        ended, info = terminated | truncated, {}
        if ended.any():
            info = {"final_obs": self._obs(), "_final_obs": ended}
            self.episode = self.episode + ended
            self.clock = np.where(ended, 0, self.clock)
        return self._obs(), 1.0 + np.arange(self.num_envs), terminated, truncated, info

    def get_state(self):
        return {"clock": self.clock.copy(), "episode": self.episode.copy()}

    def set_state(self, state):
        self.clock, self.episode = state["clock"].copy(), state["episode"].copy()


class Remembering:
    """Its state counts the steps of the episode; its first action component is that count."""

    def initial_state(self, B):
        return (torch.zeros(B, 1),)

    def act(self, obs_BO, state, start_B, explore):
        count = torch.where(start_B.view(-1, 1), torch.zeros_like(state[0]), state[0]) + 1
        action = torch.cat((count, torch.full_like(count, float(explore))), -1)
        return action, (count,)


def runner(staggered: bool = False) -> VectorRunner:
    return VectorRunner(Counting(), Remembering(), seed=17, staggered=staggered)


def test_start_flags_mark_first_inputs_and_the_true_last_observation_is_next():
    run = runner()
    steps = [run.step() for _ in range(6)]
    # columns: copy, episode, clock
    assert steps[0].obs_BO.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert steps[0].next_obs_BO.tolist() == [[0, 0, 1], [1, 0, 1], [2, 0, 1]]
    assert steps[1].next_obs_BO.tolist() == [[0, 0, 2], [1, 0, 2], [2, 0, 2]]
    assert steps[2].obs_BO.tolist() == [[0, 1, 0], [1, 0, 2], [2, 0, 2]]
    assert steps[3].next_obs_BO.tolist() == [[0, 1, 2], [1, 0, 4], [2, 0, 4]]
    assert steps[4].obs_BO.tolist() == [[0, 2, 0], [1, 1, 0], [2, 1, 0]]
    starts = torch.stack([s.start_B for s in steps]).int().T.tolist()
    assert starts == [[1, 0, 1, 0, 1, 0], [1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 0]]
    ends = torch.stack([s.terminated_B for s in steps]).T.tolist()
    assert ends == [[0, 1, 0, 1, 0, 1], [0] * 6, [0] * 6]  # time limits are not terminal


def test_memory_is_handed_on_as_it_was_before_the_action():
    run = runner()
    steps = [run.step() for _ in range(5)]
    actions = torch.stack([s.action_BA[:, 0] for s in steps]).T.tolist()
    assert actions == [[1, 2, 1, 2, 1], [1, 2, 3, 4, 1], [1, 2, 3, 4, 1]]
    before = torch.stack([s.state[0][:, 0] for s in steps]).T.tolist()
    assert before == [[0, 1, 2, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    assert all((s.action_BA[:, 1] == 1).all() for s in steps)  # explores


def test_types_of_a_transition():
    step = runner().step()
    assert step.obs_BO.dtype == step.next_obs_BO.dtype == torch.float32
    assert step.reward_B.dtype == step.terminated_B.dtype == torch.float32
    assert step.start_B.dtype == torch.bool
    assert step.reward_B.tolist() == [1, 2, 3]


def test_returns_are_integrals_over_time():
    run = runner()
    assert run.pop_metrics() == {}
    for _ in range(4):
        run.step()
    # copy 0 twice: 2 steps of rate 1; copies 1 and 2 once: 4 steps of rate 2 and 3; dt = 0.25
    assert run.pop_metrics() == {
        "rollout/return_mean": pytest.approx((0.5 + 0.5 + 2 + 3) / 4),
        "rollout/length_mean": (2 + 2 + 4 + 4) / 4,
        "rollout/episodes": 4.0,
        "rollout/recent_stock_return_mean": 1.5 / 0.25,
    }
    assert run.pop_metrics() == {}
    run.step()
    run.step()
    assert run.pop_metrics()["rollout/return_mean"] == 0.5
    assert run.vector_steps == 6


def test_the_seed_reaches_the_environment():
    assert runner().envs.given == {"seed": 17, "options": None}


def test_staggered_clocks_are_spread_over_the_time_limit():
    run = runner(staggered=True)
    assert run.envs.given["options"]["elapsed_steps"].tolist() == [0, 1, 2]  # 4·b // 3
    ends = [run.step().start_B.tolist() for _ in range(5)]
    assert [e[1:] for e in ends] == [  # copies 1 and 2 end at different steps
        [True, True],
        [False, False],
        [False, True],
        [True, False],
        [False, False],
    ]


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_state_round_trip_continues_bit_for_bit(steps):
    run, other = runner(), runner(staggered=True)
    for _ in range(steps):
        run.step()
    other.set_state(copy.deepcopy(run.get_state()))
    for _ in range(5):
        for ours, theirs in zip(run.step(), other.step(), strict=True):
            if isinstance(ours, tuple):
                ours, theirs = ours[0], theirs[0]
            assert torch.equal(ours, theirs)
    assert run.pop_metrics() == other.pop_metrics()
    assert run.vector_steps == other.vector_steps


def test_a_state_taken_does_not_move_on_with_the_runner():
    run = runner()
    run.step()
    state = run.get_state()
    kept = copy.deepcopy(state)
    for _ in range(5):
        run.step()
    assert torch.equal(state["obs"], kept["obs"])
    assert state["return"].tolist() == kept["return"].tolist()
    assert state["finished"] == kept["finished"] == []
