"""r dt."""

import numpy as np

from envs import make_env, make_vector_env
from envs.wrappers.scaled_reward import ScaledReward, VectorScaledReward


def test_rewards_are_multiplied_by_dt():
    plain, scaled = (make_vector_env("pendulum", dt=0.02, num_envs=3) for _ in range(2))
    scaled = VectorScaledReward(scaled)
    plain.reset(seed=0)
    scaled.reset(seed=0)
    action_BA = np.full((3, 1), 0.3, np.float32)
    np.testing.assert_array_equal(plain.step(action_BA)[1] * 0.02, scaled.step(action_BA)[1])
    assert scaled.reward_bounds[0] == plain.reward_bounds[0] * 0.02
    saved = scaled.get_state()
    want = scaled.step(action_BA)
    scaled.set_state(saved)
    np.testing.assert_array_equal(scaled.step(action_BA)[0], want[0])


def test_single_form():
    env = ScaledReward(make_env("cartpole"))
    env.reset(seed=0)
    assert env.step(1)[1] == 0.02
