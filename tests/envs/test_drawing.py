"""Frames come from the stock environments."""

import importlib.util

import numpy as np
import pytest

from envs import ConfigError, make_env, make_vector_env
from tests.envs.rollouts import CLASSIC

has_pygame = importlib.util.find_spec("pygame") is not None


@pytest.mark.skipif(not has_pygame, reason="pygame is not installed")
@pytest.mark.filterwarnings("ignore")  # of pygame's own imports
@pytest.mark.parametrize("name", CLASSIC)
def test_frames_follow_the_state(name):
    envs = make_vector_env(name, num_envs=2, render_mode="rgb_array")
    env = make_env(name, render_mode="rgb_array")
    envs.reset(seed=0)
    env.reset(seed=0)
    (frame,) = envs.render()
    assert frame.dtype == np.uint8
    assert frame.shape[2] == 3
    np.testing.assert_array_equal(frame, env.render())
    for _ in range(20):
        envs.step(np.ones_like(envs.action_space.sample()))
    assert (envs.render()[0] != frame).any()
    envs.close()
    env.close()


@pytest.mark.skipif(has_pygame, reason="pygame is installed")
def test_a_missing_library_is_named():
    envs = make_vector_env("pendulum", num_envs=1, render_mode="rgb_array")
    envs.reset(seed=0)
    with pytest.raises(ConfigError, match="classic-control"):
        envs.render()


def test_without_a_render_mode_there_are_no_frames():
    envs = make_vector_env("pendulum", num_envs=1)
    envs.reset(seed=0)
    assert envs.render() is None
