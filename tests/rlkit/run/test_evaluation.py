"""Every episode counts once, whatever the number of copies."""

import numpy as np
import pytest

from rlkit.run.evaluation import EvalResult, evaluate, summary


class FakeEnvs:
    """Episode of seed s lasts 1 + 7 s mod 5 steps; the reward rate is s + the action."""

    dt, stock_dt = 0.1, 0.05

    def __init__(self, num_envs: int):
        self.num_envs = num_envs
        self.resets: list[list[int]] = []

    def reset(self, *, seed):
        self.resets.append(list(seed))
        self.seed_B = np.array(seed)
        self.left_B = 1 + 7 * self.seed_B % 5
        return self.observe(), {}

    def observe(self):
        return np.stack([self.seed_B, self.left_B], axis=1).astype(np.float32)

    def step(self, action_B):
        reward_B = self.seed_B + action_B
        self.left_B = self.left_B - 1
        ended_B = self.left_B == 0
        self.seed_B = np.where(ended_B, 1000, self.seed_B)  # autoreset to something costly
        self.left_B = np.where(ended_B, 2, self.left_B)
        odd_B = self.seed_B % 2 == 1
        return self.observe(), reward_B, ended_B & odd_B, ended_B & ~odd_B, {}

    def render(self):
        return (np.full((2, 2, 3), self.left_B[0], np.uint8),)


def count(obs_BO, state_B, start_B):
    """A recurrent policy: the action is the number of steps since the episode began."""
    assert obs_BO.dtype == np.float32
    state_B = np.where(start_B, 0, state_B + 1)
    return state_B, state_B


def begin(seeds):
    return np.full(len(seeds), -99)


def play(num_envs, episodes=7, **kwargs):
    envs = FakeEnvs(num_envs)
    return evaluate(count, begin, envs, episodes=episodes, seed=3, **kwargs), envs


@pytest.mark.parametrize("num_envs", [1, 2, 3, 7, 16])
def test_episodes_do_not_depend_on_the_number_of_copies(num_envs):
    result, _ = play(num_envs)
    seeds = 3 + np.arange(7)
    lengths = 1 + 7 * seeds % 5
    assert result.length_steps.tolist() == lengths.tolist()
    # A length n gives the rewards s + 0, s + 1, …, s + n - 1.
    assert result.returns == pytest.approx(0.1 * (seeds * lengths + lengths * (lengths - 1) / 2))
    assert result.frames == []


def test_waves_are_seeded_in_a_row():
    assert play(3)[1].resets == [[3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_frames_of_episode_0():
    # Seed 3 lasts 1 + 21 mod 5 = 2 steps; a frame before each step, every step or every second.
    assert [frame[0, 0, 0] for frame in play(2, video_fps=10)[0].frames] == [2, 1]
    slow, _ = play(2, video_fps=5)
    assert [frame[0, 0, 0] for frame in slow.frames] == [2]
    assert slow.frames_per_second == pytest.approx(5)


def test_a_film_is_made_of_the_observations_of_episode_0():
    given = []

    def film(obs, stride_steps):
        given.append((np.stack(obs).tolist(), stride_steps))
        return ["a", "b"]

    assert play(2, video_fps=10, film=film)[0].frames == ["a", "b"]
    assert play(2, film=film)[0].frames == []  # no video was asked for
    assert given == [([[3, 2], [3, 1]], 1)]


def test_summary():
    result = EvalResult(np.array([1.0, 2, 3, 10]), np.array([1, 2, 3, 6]), [], 0.0)
    assert summary(result, FakeEnvs(1)) == {
        "episodes": 4,
        "return_mean": 4.0,
        "return_std": pytest.approx((50 / 4) ** 0.5),  # deviations -3, -2, -1, 6
        "return_iqm": 2.5,
        "stock_return_mean": 80.0,
        "length_mean": 3.0,
    }


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="episodes is 0"):
        play(2, episodes=0)
