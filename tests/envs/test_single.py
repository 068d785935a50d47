"""The registered single environments under gymnasium's own checker and factories."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs

IDS = sorted(envs.GYMNASIUM_IDS.values())


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings("ignore:.*WARN")  # the checker advises on bounds and spaces
def test_gymnasium_checker_accepts_it(env_id):
    check_env(gymnasium.make(env_id).unwrapped, skip_render_check=True)


@pytest.mark.parametrize("env_id", IDS)
def test_same_seed_same_rollout(env_id):
    a, b = gymnasium.make(env_id), gymnasium.make(env_id)
    np.testing.assert_array_equal(a.reset(seed=5)[0], b.reset(seed=5)[0])
    a.action_space.seed(5)
    for _ in range(30):
        action = a.action_space.sample()
        x, y = a.step(action), b.step(action)
        np.testing.assert_array_equal(x[0], y[0])
        assert x[1:4] == y[1:4]
        if x[2]:
            break


@pytest.mark.parametrize("env_id", IDS)
def test_make_vec_builds_the_batched_form(env_id):
    vector = gymnasium.make_vec(env_id, num_envs=3)
    obs_BO, _ = vector.reset(seed=9)
    assert obs_BO.shape == vector.observation_space.shape
    np.testing.assert_array_equal(obs_BO[2], gymnasium.make(env_id).reset(seed=11)[0])


def test_constructor_arguments_are_options():
    env = gymnasium.make("rlkit/Pendulum-v0", dt=0.01, gravity=9.81).unwrapped
    assert (env.dt, env.stock_dt, env.limit_steps) == (0.01, 0.05, 1000)
    assert env.physics.options.gravity == 9.81
    with pytest.raises(envs.ConfigError, match=r"env\.gravty; did you mean 'gravity'"):
        gymnasium.make("rlkit/Pendulum-v0", gravty=9.81)
