"""Clocks, seeds, resets and saved states of the batched form."""

import json

import numpy as np
import pytest

from envs import ConfigError, make_env, make_vector_env
from tests.envs.rollouts import CLASSIC, actions_for


def roll(envs, name, steps, seed=0):
    """All returned arrays of a rollout under actions that do not depend on it."""
    rng, out = np.random.default_rng(seed), []
    zero = np.zeros((envs.num_envs, 2))
    for t in range(steps):
        obs, reward, terminated, truncated, infos = envs.step(actions_for(name, zero, t, rng))
        out.append((obs, reward, terminated, truncated, infos.get("final_obs", obs)))
    return [np.stack(x) for x in zip(*out, strict=True)]


@pytest.mark.parametrize("name", CLASSIC)
def test_copy_i_does_not_depend_on_the_number_of_copies(name):
    B, steps = 16, 320
    together = make_vector_env(name, num_envs=B)
    first_BO, _ = together.reset(seed=20)
    rng = np.random.default_rng(0)
    zero = np.zeros((B, 2))
    action_TB = [actions_for(name, zero, t, rng) for t in range(steps)]
    rows = [together.step(a) for a in action_TB]
    for i in (0, 5, 15):
        alone = make_vector_env(name, num_envs=1)
        np.testing.assert_array_equal(alone.reset(seed=20 + i)[0][0], first_BO[i])
        for a, row in zip(action_TB, rows, strict=True):
            got = alone.step(a[i : i + 1])
            for k in range(4):
                np.testing.assert_array_equal(got[k][0], row[k][i])


@pytest.mark.parametrize("name", CLASSIC)
def test_single_form_is_the_same_process(name):
    B = 3
    envs, env = make_vector_env(name, num_envs=B), make_env(name)
    together = envs.reset(seed=7)[0]
    obs, _ = env.reset(seed=8)
    np.testing.assert_array_equal(obs, together[1])
    rng = np.random.default_rng(3)
    for t in range(60):
        action_B = actions_for(name, together, t, rng)
        together, reward_B, terminated_B, truncated_B, infos = envs.step(action_B)
        obs, reward, terminated, truncated, _ = env.step(action_B[1])
        assert (reward, terminated, truncated) == (reward_B[1], terminated_B[1], truncated_B[1])
        np.testing.assert_array_equal(obs, infos.get("final_obs", together)[1])
        if terminated or truncated:
            obs, _ = env.reset()
            np.testing.assert_array_equal(obs, together[1])


@pytest.mark.parametrize("name", CLASSIC)
def test_a_saved_state_goes_on_bit_for_bit(name):
    envs = make_vector_env(name, num_envs=5)
    envs.reset(seed=2, options={"elapsed_steps": np.array([0, 9, 30, 100, 190])})
    roll(envs, name, 57)
    saved = envs.get_state()
    json.dumps(saved["rngs"])  # plain data
    want = roll(envs, name, 230, seed=1)
    fresh = make_vector_env(name, num_envs=5)
    fresh.set_state(saved)
    for a, b in zip(roll(fresh, name, 230, seed=1), want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_state_goes_on_bit_for_bit():
    env, other = make_env("cartpole"), make_env("cartpole")
    env.reset(seed=2)
    env.step(1)
    other.set_state(env.get_state())
    for e in (env, other):
        e.step(0)
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


def test_a_state_of_another_size_is_refused():
    small, large = (make_vector_env("pendulum", num_envs=n) for n in (2, 3))
    small.reset(seed=0)
    with pytest.raises(ValueError, match="of 2 copies, not 3"):
        large.set_state(small.get_state())


@pytest.mark.parametrize(("dt", "steps"), [(0.05, 200), (0.02, 500), (0.01, 1000)])
def test_the_time_limit_is_in_seconds(dt, steps):
    envs = make_vector_env("pendulum", dt=dt, num_envs=2)
    envs.reset(seed=0)
    truncated_TB = roll(envs, "pendulum", steps)[3]
    assert not truncated_TB[:-1].any()
    assert truncated_TB[-1].all()


def test_no_time_limit_is_endless():
    envs = make_vector_env("pendulum", {"time_limit_seconds": None}, num_envs=2)
    envs.reset(seed=0)
    assert not roll(envs, "pendulum", 300)[3].any()


def test_staggered_clocks_end_apart():
    envs = make_vector_env("pendulum", num_envs=3)
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 150, 50])})
    truncated_TB = roll(envs, "pendulum", 200)[3]
    assert [list(np.flatnonzero(truncated_TB[:, i]) + 1) for i in range(3)] == [[200], [50], [150]]


def test_seeds_may_be_a_list_and_none_goes_on():
    envs = make_vector_env("cartpole", num_envs=3)
    by_list, _ = envs.reset(seed=[5, 6, 7])
    again, _ = envs.reset()
    by_number, _ = envs.reset(seed=5)
    np.testing.assert_array_equal(by_list, by_number)
    assert (again != by_list).all()
    kept, _ = envs.reset(seed=[5, None, 7])
    np.testing.assert_array_equal(kept[[0, 2]], by_list[[0, 2]])
    np.testing.assert_array_equal(kept[1], again[1])


def test_returned_arrays_are_not_reused():
    envs = make_vector_env("cartpole", num_envs=4)
    first, _ = envs.reset(seed=0)
    kept = first.copy()
    second = envs.step(np.zeros(4, int))
    copies = [x.copy() for x in second[:4]]
    envs.step(np.ones(4, int))
    np.testing.assert_array_equal(first, kept)
    for a, b in zip(second[:4], copies, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["pendulum", "mountain_car", "mountain_car_continuous"])
def test_phase_plane_is_row_major_with_y_slow(name):
    n = 5
    envs = make_vector_env(name, num_envs=2)
    plane = envs.phase_plane(n)
    assert plane.x.shape == plane.y.shape == (n,)
    assert plane.obs.dtype == np.float32
    state_SK = np.array([[plane.x[3]], [plane.y[1]]])
    np.testing.assert_array_equal(plane.obs[1 * n + 3], envs.physics.observe(state_SK)[0])


def test_four_dimensional_states_have_no_phase_plane():
    assert make_vector_env("cartpole", num_envs=2).phase_plane(5) is None


def test_action_repeat_freezes_ended_copies_and_averages_the_rate():
    k, B = 3, 6
    slow = make_vector_env(
        "cartpole", {"time_limit_seconds": 9.6}, num_envs=B, wrappers={"action_repeat": k}
    )
    assert slow.dt == pytest.approx(0.06)
    fast = [make_env("cartpole") for _ in range(B)]
    slow.reset(seed=1)
    for i, env in enumerate(fast):
        env.reset(seed=1 + i)
    for _ in range(6):
        _, reward_B, terminated_B, _, infos = slow.step(np.ones(B, int))
        for i, env in enumerate(fast):
            total = 0.0
            for _ in range(k):
                obs, reward, terminated, _, _ = env.step(1)
                total += reward
                if terminated:
                    break
            assert reward_B[i] * slow.dt == pytest.approx(total * 0.02)
            assert terminated_B[i] == terminated
            if terminated:
                np.testing.assert_array_equal(infos["final_obs"][i], obs)
                env.reset()
    assert terminated_B.any() or reward_B.max() <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_vector_env("pendulum", num_envs=0), "num_envs is 0"),
        (lambda: make_vector_env("pendulum", num_envs=2, dt=0.03), "does not divide"),
        (lambda: make_vector_env("pendulum", num_envs=2, render_mode="human"), "render_mode"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_wrong_actions_and_calls_are_refused():
    pendulum, cartpole = (make_vector_env(n, num_envs=3) for n in ("pendulum", "cartpole"))
    with pytest.raises(RuntimeError, match="before reset"):
        pendulum.step(np.zeros((3, 1), np.float32))
    pendulum.reset(seed=0)
    cartpole.reset(seed=0)
    with pytest.raises(ValueError, match=r"must be \(3, 1\)"):
        pendulum.step(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"outside 0 \.\. 1"):
        cartpole.step(np.array([0, 1, 2]))
    with pytest.raises(ValueError, match=r"outside 0 \.\. 1"):
        cartpole.step(np.array([0, -1, 1]))
    with pytest.raises(ValueError, match="must be integers"):
        cartpole.step(np.zeros(3))
    with pytest.raises(ValueError, match="unknown reset option 'low'"):
        cartpole.reset(options={"low": 0})
    with pytest.raises(ValueError, match="2 seeds"):
        cartpole.reset(seed=[1, 2])
