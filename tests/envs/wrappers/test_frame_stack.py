"""The stack of the last observations."""

import numpy as np
import pytest

from envs import make_vector_env
from envs.wrappers.frame_stack import FrameStack
from envs.wrappers.transform import EnvFacts


@pytest.mark.parametrize("pad", ["zero", "first"])
def test_oldest_first_and_padded_at_the_start(pad):
    chosen = {"frame_stack": 3, "frame_stack_pad": pad}
    plain = make_vector_env("cartpole", num_envs=2)
    stacked = make_vector_env("cartpole", num_envs=2, wrappers=chosen)
    first, _ = plain.reset(seed=0)
    fill = np.zeros_like(first) if pad == "zero" else first
    np.testing.assert_array_equal(
        stacked.reset(seed=0)[0], np.concatenate([fill, fill, first], axis=1)
    )
    seen = [fill, fill, first]
    for t in range(4):
        action_B = np.array([t % 2, 1])
        seen.append(plain.step(action_B)[0])
        obs_BO = stacked.step(action_B)[0]
        np.testing.assert_array_equal(obs_BO, np.concatenate(seen[-3:], axis=1))


def test_an_end_empties_the_stack_of_that_copy_only():
    plain = make_vector_env("pendulum", num_envs=2)
    stacked = make_vector_env("pendulum", num_envs=2, wrappers={"frame_stack": 2})
    clocks, action_BA = {"elapsed_steps": np.array([198, 0])}, np.zeros((2, 1), np.float32)
    plain.reset(seed=0, options=clocks)
    stacked.reset(seed=0, options=clocks)
    before, *_ = plain.step(action_BA)
    stacked.step(action_BA)
    after, _, _, _, infos = plain.step(action_BA)
    obs_BO, _, _, _, stacked_infos = stacked.step(action_BA)
    np.testing.assert_array_equal(obs_BO[0], [0, 0, 0, *after[0]])
    np.testing.assert_array_equal(obs_BO[1], [*before[1], *after[1]])
    np.testing.assert_array_equal(
        stacked_infos["final_obs"][0], [*before[0], *infos["final_obs"][0]]
    )


def test_images_are_stacked_along_their_last_axis():
    facts = EnvFacts.of_vector(make_vector_env("cartpole", num_envs=2))
    image = type(facts.observation_space)(0, 1, (5, 4, 3), np.float32)
    stack = FrameStack(facts._replace(observation_space=image), frames=2)
    obs = np.random.default_rng(0).random((2, 5, 4, 3), dtype=np.float32)
    assert stack.start(obs, np.arange(2)).shape == (2, 5, 4, 6)
    np.testing.assert_array_equal(stack.step(obs, None, None)[..., :3], obs)
