"""Replay restores by repeating the episode."""

import gymnasium
import numpy as np
import pytest

from envs.wrappers.replay import Replay


def test_the_episode_after_an_unseeded_reset_is_restored():
    env, fresh = (Replay(lambda: gymnasium.make("CartPole-v1")) for _ in range(2))
    env.reset(seed=3)
    env.step(1)
    env.reset()
    env.step(0)
    saved = env.get_state()
    assert saved["seed"] is None
    assert len(saved["actions"]) == 1
    fresh.set_state(saved)
    for a, b in ((env.step(1), fresh.step(1)), (env.reset(), fresh.reset())):
        np.testing.assert_array_equal(a[0], b[0])


def test_before_reset_there_is_nothing_to_save():
    with pytest.raises(RuntimeError, match="before reset"):
        Replay(lambda: gymnasium.make("CartPole-v1")).get_state()
