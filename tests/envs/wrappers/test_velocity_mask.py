"""The velocity table against physics, and the three modes."""

import gymnasium
import numpy as np
import pytest

from envs import ConfigError, make_env, make_vector_env
from envs.wrappers.velocity_mask import VELOCITIES, velocity_indices

ANGLES = {"acrobot": 2, "pendulum": 1, "pendulum_two_torque": 1}
NAMES = [*ANGLES, "cartpole", "mountain_car", "mountain_car_continuous"]


@pytest.mark.parametrize("name", NAMES)
def test_velocity_leaves_the_masked_observation_alone(name):
    rng = np.random.default_rng(0)
    masked = make_vector_env(name, num_envs=6, wrappers={"velocity_mask": True})
    shown = make_vector_env(
        name, num_envs=6, wrappers={"velocity_mask": True, "velocity_mask_mode": "keep_velocity"}
    )
    physics = masked.unwrapped.physics
    masked.reset(seed=0)
    state_SB = masked.unwrapped.get_state()["state"]
    speeds = [1, 3] if name == "cartpole" else range(len(state_SB) // 2, len(state_SB))
    other_SB = state_SB.copy()
    other_SB[list(speeds)] += rng.uniform(0.01, 0.02, (len(speeds), 6))
    everyone = np.arange(6)
    a, b = (masked.transform.start(physics.observe(s), everyone) for s in (state_SB, other_SB))
    np.testing.assert_array_equal(a, b)
    moved = shown.transform.start(physics.observe(other_SB), everyone)
    np.testing.assert_allclose(moved, other_SB[list(speeds)].T, rtol=1e-6)


@pytest.mark.parametrize("name", ["cartpole", "mountain_car"])
def test_listed_velocities_are_the_differences_of_positions(name):
    h = 1e-3 if name == "cartpole" else 0.5
    envs = make_vector_env(name, {"time_limit_seconds": None}, dt=h, num_envs=3)
    before, _ = envs.reset(seed=0)
    envs.step(np.ones(3, dtype=int))
    middle, *_ = envs.step(np.ones(3, dtype=int))
    after, *_ = envs.step(np.ones(3, dtype=int))
    kept = [0, 2] if name == "cartpole" else [0]
    speed = list(velocity_indices(envs.base_id, before.shape[1]))
    want = middle[:, speed] if name == "cartpole" else after[:, speed]
    np.testing.assert_allclose((after - middle)[:, kept] / h, want, atol=1e-3)


def test_modes():
    obs, _ = make_env("cartpole").reset(seed=0)
    seen = {
        mode: make_env(
            "cartpole", wrappers={"velocity_mask": True, "velocity_mask_mode": mode}
        ).reset(seed=0)[0]
        for mode in ("drop", "zero", "keep_velocity")
    }
    np.testing.assert_array_equal(seen["drop"], obs[[0, 2]])
    np.testing.assert_array_equal(seen["zero"], obs * [1, 0, 1, 0])
    np.testing.assert_array_equal(seen["keep_velocity"], obs[[1, 3]])


def test_bounds_are_sliced():
    plain = make_env("pendulum").observation_space
    space = make_env("pendulum", wrappers={"velocity_mask": True}).observation_space
    np.testing.assert_array_equal(space.high, plain.high[:2])


def test_explicit_indices_replace_the_table():
    env = make_env("cartpole", wrappers={"velocity_mask": True, "velocity_indices": [0]})
    obs, _ = make_env("cartpole").reset(seed=0)
    np.testing.assert_array_equal(env.reset(seed=0)[0], obs[1:])


@pytest.mark.parametrize("env_id", ["Acrobot-v1", "CartPole-v1", "MountainCar-v0", "Pendulum-v1"])
def test_the_generic_route_uses_the_same_table(env_id):
    env = make_env("gym", {"id": env_id}, wrappers={"velocity_mask": True})
    size = gymnasium.make(env_id).observation_space.shape[0]
    hidden = VELOCITIES[env_id.split("-")[0], size]
    assert env.observation_space.shape == (size - len(hidden),)


@pytest.mark.parametrize(
    ("base_id", "size", "indices"),
    [
        ("Ant", 27, range(13, 27)),
        ("Ant", 29, range(15, 29)),
        ("BipedalWalker", 24, (1, 2, 3, 5, 7, 10, 12)),
        ("HalfCheetah", 17, range(8, 17)),
        ("HalfCheetah", 18, range(9, 18)),
        ("Hopper", 11, range(5, 11)),
        ("Humanoid", 45, range(22, 45)),
        ("Humanoid", 348, [*range(22, 45), *range(175, 253)]),
        ("InvertedDoublePendulum", 9, (5, 6, 7, 8)),
        ("InvertedPendulum", 4, (2, 3)),
        ("LunarLander", 8, (2, 3, 5)),
        ("Pusher", 23, range(7, 14)),
        ("Reacher", 10, (6, 7)),
        ("Swimmer", 8, range(3, 8)),
        ("Walker2d", 18, range(9, 18)),
    ],
)
def test_table(base_id, size, indices):
    assert velocity_indices(base_id, size) == tuple(indices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"velocity_indices": [4]}, r"\[4\], but must name entries in 0 .. 3"),
        ({"velocity_indices": [0, 1, 2, 3]}, "would hide all 4"),
        ({"velocity_mask_mode": "dorp"}, "velocity_mask_mode is 'dorp'"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_env("cartpole", wrappers={"velocity_mask": True, **arguments})


def test_unknown_environments_ask_for_indices():
    with pytest.raises(ConfigError, match=r"Taxi with 7 .*velocity_indices"):
        velocity_indices("Taxi", 7)
    with pytest.raises(ConfigError, match="known are 27, 29, 105, 107"):
        velocity_indices("Ant", 28)
