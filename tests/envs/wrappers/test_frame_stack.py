"""The stack of the last observations."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from envs import ConfigError, make_vector_env
from envs.wrappers.frame_stack import FrameStack
from envs.wrappers.transform import EnvFacts
from rlkit.observations import ObsPart, parts_of


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


def facts_of(space, parts=None):
    return EnvFacts(space, parts or parts_of(space), Discrete(2), "", 2)


def test_images_are_stacked_along_their_channels():
    stack = FrameStack(facts_of(Box(0, 255, (5, 4, 3), np.uint8)), frames=2)
    assert stack.observation_space == Box(0, 255, (5, 4, 6), np.uint8)
    assert stack.obs_parts == (ObsPart("obs", "image", (5, 4, 6)),)
    first, second = np.random.default_rng(0).integers(0, 256, (2, 2, 5, 4, 3), dtype=np.uint8)
    seen = stack.start(first, np.arange(2))
    assert seen.dtype == np.uint8
    assert not seen[..., :3].any()
    np.testing.assert_array_equal(seen[..., 3:], first)
    seen = stack.step(second, None, None)
    np.testing.assert_array_equal(seen, np.concatenate([first, second], axis=-1))


@pytest.mark.parametrize("pad", ["zero", "first"])
def test_parts_of_a_pack_are_stacked_one_by_one(pad):
    parts = (ObsPart("eye", "image", (2, 2, 1)), ObsPart("speed", "vector", (2,)))
    space = Box(np.float32(1), np.arange(1, 7, dtype=np.float32))
    stack = FrameStack(facts_of(space, parts), frames=2, pad=pad)
    assert [p.shape for p in stack.obs_parts] == [(2, 2, 2), (4,)]
    np.testing.assert_array_equal(
        stack.observation_space.high, [1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 5, 6]
    )
    assert (stack.observation_space.low == (0 if pad == "zero" else 1)).all()
    stack.start(np.array([[1, 2, 3, 4, 5, 6]] * 2, np.float32), np.arange(2))
    seen = stack.step(np.array([[10, 20, 30, 40, 50, 60]] * 2, np.float32), None, None)
    np.testing.assert_array_equal(seen[1], [1, 10, 2, 20, 3, 30, 4, 40, 5, 6, 50, 60])
    seen = stack.start(np.array([[7, 7, 7, 7, 8, 9]], np.float32), np.array([1]))
    old = [0, 0, 0] if pad == "zero" else [7, 8, 9]
    np.testing.assert_array_equal(seen[0], [old[0], 7] * 4 + [*old[1:], 8, 9])
    saved = stack.get_state()
    other = FrameStack(facts_of(space, parts), frames=2, pad=pad)
    other.set_state(saved)
    row = np.ones((2, 6), np.float32)
    np.testing.assert_array_equal(stack.step(row, None, None), other.step(row, None, None))


def test_grids_are_refused():
    space = Box(0, 255, (7, 7, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"frame_stack takes vectors and images, but .* grid"):
        FrameStack(facts_of(space, (ObsPart("image", "grid", (7, 7, 3)),)), frames=2)
