"""Noise: its moments, its seed, and where it enters."""

import numpy as np
import pytest

from envs import ConfigError, make_vector_env


def test_noise_has_the_stated_moments_at_resets_and_steps():
    B = 20_000
    plain = make_vector_env("pendulum", num_envs=B)
    noisy = make_vector_env("pendulum", num_envs=B, wrappers={"observation_noise": 0.1})
    action_BA = np.zeros((B, 1), np.float32)
    pairs = [(noisy.reset(seed=0)[0], plain.reset(seed=0)[0])]
    pairs.append((noisy.step(action_BA)[0], plain.step(action_BA)[0]))
    draws = [a - b for a, b in pairs]
    for draw in draws:
        assert abs(draw.mean()) < 0.002
        assert draw.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]) < 0.02


def test_the_environment_seed_seeds_the_noise():
    def first(seed):
        return make_vector_env("cartpole", num_envs=3, wrappers={"observation_noise": 0.1}).reset(
            seed=seed
        )[0]

    np.testing.assert_array_equal(first(1), first(1))
    assert (first(1) != first(2)).all()
    np.testing.assert_array_equal(first([1, 2, 3]), first([1, 2, 3]))


def test_the_physics_is_untouched_and_finite_bounds_go():
    plain = make_vector_env("cartpole", num_envs=3)
    noisy = make_vector_env("cartpole", num_envs=3, wrappers={"observation_noise": 0.1})
    plain.reset(seed=4)
    noisy.reset(seed=4)
    rng = np.random.default_rng(0)
    for _ in range(60):
        action_B = rng.integers(0, 2, 3)
        np.testing.assert_array_equal(plain.step(action_B)[2], noisy.step(action_B)[2])
    assert np.isinf(noisy.single_observation_space.high).all()


def test_noise_enters_after_the_mask():
    chosen = {"velocity_mask": True, "velocity_mask_mode": "zero", "observation_noise": 0.1}
    obs_BO, _ = make_vector_env("cartpole", num_envs=3, wrappers=chosen).reset(seed=0)
    assert (obs_BO[:, [1, 3]] != 0).all()


def test_negative_noise_is_refused():
    with pytest.raises(ConfigError, match=r"observation_noise is -0\.1"):
        make_vector_env("cartpole", num_envs=3, wrappers={"observation_noise": -0.1})
