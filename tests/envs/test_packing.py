"""Spaces as one array: every kind, nested, dropped, refused."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from envs import ConfigError
from envs.packing import packer
from rlkit.observations import ObsPart, parts_of

IMAGE = Box(0, 255, (3, 4, 3), np.uint8)
NESTED = Dict(
    {
        "eye": IMAGE,
        "body": Dict({"arm": Box(-1, 1, (2, 2), np.float64), "leg": MultiBinary(3)}),
        "hand": Tuple((Discrete(2, start=5), MultiDiscrete([2, 3]))),
        "words": Text(9),
    }
)


def vector(n, name="obs"):
    return ObsPart(name, "vector", (n,))


@pytest.mark.parametrize(
    ("space", "obs", "want"),
    [
        (Box(-2, 2, (3,), np.float32), np.float32([1, 2, -2]), [1, 2, -2]),
        (Box(-2, 2, (3,), np.float64), np.array([0.1, 2, -1]), np.float32([0.1, 2, -1])),
        (Box(-2, 2, (), np.float32), np.float32(1.5), [1.5]),
        (Box(0, 9, (2, 2), np.int64), np.array([[1, 2], [3, 4]]), [1, 2, 3, 4]),
        (Box(0, 255, (2,), np.uint8), np.uint8([7, 255]), [7, 255]),
        (Discrete(4), 2, [0, 0, 1, 0]),
        (Discrete(3, start=-1), np.int64(-1), [1, 0, 0]),
        (MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (MultiDiscrete([2, 2], start=[4, 6]), np.array([4, 7]), [1, 0, 0, 1]),
        (MultiDiscrete([[2], [2]]), np.array([[1], [0]]), [0, 1, 1, 0]),
        (MultiBinary(3), np.int8([1, 0, 1]), [1, 0, 1]),
        (MultiBinary([2, 2]), np.int8([[1, 0], [1, 1]]), [1, 0, 1, 1]),
    ],
)
def test_a_plain_space_is_one_vector(space, obs, want):
    packed = packer(space)
    got = packed.pack(obs)
    np.testing.assert_array_equal(got, np.asarray(want, dtype=np.float32))
    assert got.dtype == packed.space.dtype == np.float32
    assert packed.parts == (vector(len(want)),) == parts_of(packed.space)
    assert got in packed.space


@pytest.mark.parametrize("shape", [(3, 4, 3), (3, 4)])
def test_images_stay_bytes_with_channels_last(shape):
    packed = packer(Box(0, 255, shape, np.uint8))
    obs = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    want = (3, 4, shape[2] if len(shape) == 3 else 1)
    assert packed.space == Box(0, 255, want, np.uint8)
    assert packed.parts == (ObsPart("obs", "image", want),) == parts_of(packed.space)
    got = packed.pack(obs)
    np.testing.assert_array_equal(got, obs.reshape(want))
    assert got in packed.space


def test_parts_lie_end_to_end_in_the_order_of_the_space():
    packed = packer(NESTED, drop_keys=["words"])
    assert packed.parts == (
        vector(4, "body.arm"),
        vector(3, "body.leg"),
        ObsPart("eye", "image", (3, 4, 3)),
        vector(2, "hand.0"),
        vector(5, "hand.1"),
    )
    eye = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    obs = {
        "body": {"arm": np.array([[1.0, 2], [3, 4]]), "leg": np.int8([0, 1, 1])},
        "eye": eye,
        "hand": (6, np.array([0, 2])),
        "words": "unseen",
    }
    got = packed.pack(obs)
    np.testing.assert_array_equal(got, [1, 2, 3, 4, 0, 1, 1, *eye.ravel(), 0, 1, 1, 0, 0, 0, 1])
    assert got.dtype == packed.space.dtype == np.float32
    assert packed.space.shape == (sum(p.size for p in packed.parts),)
    np.testing.assert_array_equal(packed.space.high[[0, 6, 7, 43]], [1, 1, 255, 1])


def test_whatever_the_space_samples_fits():
    space = Dict({k: s for k, s in NESTED.spaces.items() if k != "words"})
    packed, space_seed = packer(space), 0
    space.seed(space_seed)
    for _ in range(20):
        obs = space.sample()
        got = packed.pack(obs)
        assert got in packed.space
        np.testing.assert_array_equal(got[:4], obs["body"]["arm"].ravel().astype(np.float32))


def test_a_pack_of_images_stays_bytes():
    packed = packer(Tuple((IMAGE, Box(0, 255, (2, 2), np.uint8))))
    assert packed.space == Box(0, 255, (40,), np.uint8)
    obs = (np.full((3, 4, 3), 200, np.uint8), np.uint8([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(packed.pack(obs), [200] * 36 + [1, 2, 3, 4])


def test_a_part_that_is_left_alone_keeps_its_name_and_shape():
    packed = packer(NESTED, drop_keys=["words", "body", "hand"])
    assert packed.parts == (ObsPart("eye", "image", (3, 4, 3)),)
    assert packed.space == IMAGE


def test_the_pack_is_a_new_array():
    obs = np.zeros(2, np.float32)
    packed = packer(Box(-1, 1, (2,), np.float32)).pack(obs)
    obs[:] = 1
    assert not packed.any()


def test_bounds_beyond_float32_are_none():
    space = Box(-1e300, 1e300, (1,), np.float64)
    assert np.isinf(packer(space).space.high).all()


def test_stock_observations_are_kept_to_the_bit():
    env = gymnasium.make("CartPole-v1")
    obs, _ = env.reset(seed=0)
    np.testing.assert_array_equal(packer(env.observation_space).pack(obs), obs)


@pytest.mark.parametrize(
    ("space", "drop", "message"),
    [
        (NESTED, [], r"part 'words' is Text, .* leave it out with env\.drop_keys=\[words\]"),
        (Dict({"a": Dict({"b": Text(3)})}), [], r"drop_keys=\[a\.b\]"),
        (Text(3), [], "observations in Text are not supported"),
        (spaces.Sequence(Discrete(2)), [], "observations in Sequence are not supported"),
        (NESTED, ["word"], r"'word', which is no part .*; did you mean 'words'"),
        (NESTED, ["body.arms"], r"did you mean 'body\.arm'"),
        (Discrete(3), ["x"], "none: it is no dictionary"),
        (NESTED, ["eye", "body", "hand", "words"], "leaves nothing to observe"),
        (Dict({"far": Discrete(2**31)}), [], "part 'far' is Discrete with 2147483648 values"),
    ],
)
def test_refusals_are_one_sentence(space, drop, message):
    with pytest.raises(ConfigError, match=message):
        packer(space, drop)


@pytest.mark.parametrize("obs", [4, -1])
def test_an_observation_outside_its_space_is_not_taken_for_another(obs):
    with pytest.raises(ValueError, match="outside its space"):
        packer(Discrete(4)).pack(obs)
    with pytest.raises(ValueError, match="outside its space"):
        packer(MultiDiscrete([4, 4])).pack(np.array([0, obs]))
