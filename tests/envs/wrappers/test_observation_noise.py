"""Noise: its moments, its seed, where it enters, and that it does not know the other copies."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from envs import ConfigError, make_env, make_vector_env
from envs.wrappers.observation_noise import BLOCK_STEPS, ObservationNoise
from envs.wrappers.transform import EnvFacts
from rlkit.observations import ObsPart
from rlkit.run.evaluation import evaluate

NOISE = {"observation_noise": 0.1}


def test_noise_has_the_stated_moments_at_resets_and_steps():
    B = 2000
    plain = make_vector_env("pendulum", num_envs=B)
    noisy = make_vector_env("pendulum", num_envs=B, wrappers=NOISE)
    action_BA = np.zeros((B, 1), np.float32)
    draws = [noisy.reset(seed=0)[0] - plain.reset(seed=0)[0]]
    draws += [noisy.step(action_BA)[0] - plain.step(action_BA)[0] for _ in range(3)]
    for draw in draws:
        assert abs(draw.mean()) < 0.006
        assert draw.std() == pytest.approx(0.1, rel=0.04)
    assert abs(np.corrcoef(draws[0].ravel(), draws[1].ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(draws[0][1:].ravel(), draws[0][:-1].ravel())[0, 1]) < 0.05  # of copies


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


@pytest.mark.parametrize("name", ["cartpole", "acrobot", "gym"])
def test_noise_of_a_copy_does_not_depend_on_the_number_of_copies(name):
    """Copy i of 16 and a single environment seeded s + i, over ends, resets and block ends."""
    B, seed, ends = 16, 20, 0
    clocks = np.arange(B) * 30
    envs = make_vector_env(name, num_envs=B, wrappers=NOISE)
    together, _ = envs.reset(seed=seed, options={"elapsed_steps": clocks})
    alone = {i: make_env(name, wrappers=NOISE) for i in (0, 6, 15)}
    for i, env in alone.items():
        obs, _ = env.reset(seed=seed + i, options={"elapsed_steps": int(clocks[i])})
        np.testing.assert_array_equal(obs, together[i])
    rng = np.random.default_rng(0)
    for t in range(2 * BLOCK_STEPS + 9):
        if t == 90:  # everyone begins anew, without a seed
            late = {"elapsed_steps": 400}
            again, _ = envs.reset(options=late)
            for i, env in alone.items():
                np.testing.assert_array_equal(env.reset(options=late)[0], again[i])
        action_B = rng.integers(0, envs.single_action_space.n, B)
        together, *_, infos = envs.step(action_B)
        for i, env in alone.items():
            obs, _, terminated, truncated, _ = env.step(int(action_B[i]))
            np.testing.assert_array_equal(obs, infos.get("final_obs", together)[i])
            if terminated or truncated:
                ends += 1
                np.testing.assert_array_equal(env.reset()[0], together[i])
    assert ends > (2 if name == "acrobot" else 20)


def test_evaluation_is_the_same_on_any_number_of_copies():
    def lengths(num_envs):
        envs = make_vector_env("cartpole", num_envs=num_envs, wrappers=NOISE)
        result = evaluate(
            lambda obs_BO, state, _: ((obs_BO[:, 2] + obs_BO[:, 3] > 0).astype(int), state),
            lambda B: (),
            envs,
            episodes=11,
            seed=3,
        )
        return result.length_steps

    alone = lengths(1)
    assert len(set(alone.tolist())) > 5
    for num_envs in (4, 11, 16):
        np.testing.assert_array_equal(lengths(num_envs), alone)


def test_seeds_by_list_reseed_only_the_copies_they_name():
    envs = make_vector_env("cartpole", num_envs=3, wrappers=NOISE)
    by_number, _ = envs.reset(seed=5)
    unseeded, _ = envs.reset()
    kept, _ = envs.reset(seed=[5, None, 7])
    np.testing.assert_array_equal(kept[[0, 2]], by_number[[0, 2]])
    assert (kept[1] != by_number[1]).all()
    assert (kept[1] != unseeded[1]).all()
    np.testing.assert_array_equal(envs.reset(seed=[7, 6, 5])[0], by_number[::-1])


@pytest.mark.parametrize("steps", [0, 1, BLOCK_STEPS - 2, BLOCK_STEPS - 1, BLOCK_STEPS])
def test_a_saved_state_goes_on_bit_for_bit_around_the_end_of_a_block(steps):
    def noise():
        space = Box(-1, 1, (2,), np.float32)
        return ObservationNoise(
            EnvFacts(space, (ObsPart("obs", "vector", (2,)),), Discrete(2), "", 3), 0.1
        )

    obs, kept, fresh = np.zeros((3, 2), np.float32), noise(), noise()
    kept.seed([4, 2, 9])
    kept.start(obs, np.arange(3))
    kept.start(obs[:1], np.array([1]))  # copy 1 is one row ahead
    for _ in range(steps):
        kept.step(obs, None, None)
    fresh.set_state(kept.get_state())
    for _ in range(2 * BLOCK_STEPS):
        np.testing.assert_array_equal(kept.step(obs, None, None), fresh.step(obs, None, None))


@pytest.mark.parametrize("kind", ["image", "grid"])
def test_images_and_grids_are_refused(kind):
    facts = EnvFacts(
        Box(0, 255, (7, 7, 3), np.uint8), (ObsPart("obs", kind, (7, 7, 3)),), Discrete(2), ""
    )
    with pytest.raises(ConfigError, match="observation_noise needs a vector of numbers"):
        ObservationNoise(facts, 0.1)


@pytest.mark.parametrize(("name", "kept"), [("cartpole", [0, 2]), ("acrobot", [0, 1, 2, 3])])
def test_partially_observed_classics(name, kept):
    """Positions alone, noise at every entry and step, resets and final observations included."""
    B = 64
    plain = make_vector_env(name, num_envs=B)
    noisy = make_vector_env(name, num_envs=B, wrappers={"velocity_mask": True, **NOISE})
    assert noisy.single_observation_space.shape == (len(kept),)
    assert noisy.limit_steps == 500
    clocks = {"elapsed_steps": np.arange(B) * 7}
    seen = [(noisy.reset(seed=3, options=clocks)[0], plain.reset(seed=3, options=clocks)[0])]
    plain.action_space.seed(0)
    for _ in range(120):
        action_B = plain.action_space.sample()
        got, want = noisy.step(action_B), plain.step(action_B)
        seen.append((got[0], want[0]))
        if "final_obs" in want[4]:
            ended = want[4]["_final_obs"]
            seen.append((got[4]["final_obs"][ended], want[4]["final_obs"][ended]))
    noise = np.concatenate([a - b[:, kept] for a, b in seen])
    assert (noise[:B] != 0).all()
    assert abs(noise.mean(axis=0)).max() < 0.006
    np.testing.assert_allclose(noise.std(axis=0), 0.1, rtol=0.05)
