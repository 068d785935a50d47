"""BipedalWalker for any dt."""

import sys

import gymnasium
import numpy as np
import pytest

from envs import make_env, make_vector_env
from rlkit.observations import ObsPart
from tests.envs import box2d
from tests.envs.box2d import play, stock_return

pytest.importorskip("Box2D")


def swing(t, obs):
    """A weak, open-loop policy."""
    return (0.3 * np.sin(np.arange(2.0, 6.0) * t + np.arange(4))).astype(np.float32)


def sweep(t, obs):
    """A wilder one."""
    return (0.4 * np.sin(2 * np.pi * t + np.array([0, 1.5, 3, 4.5]))).astype(np.float32)


def split(t, obs):
    """Falls."""
    return np.array([1, 1, -1, -1], np.float32)


def shaping_of(env):
    hull = env.unwrapped.hull
    return 130 * hull.position[0] / 30 - 5 * abs(hull.angle)


@pytest.mark.parametrize("hardcore", [False, True])
def test_equals_gymnasium_bit_for_bit_at_the_stock_step(hardcore):
    kwargs = {"hardcore": hardcore}
    ends = box2d.lockstep("bipedal_walker", kwargs, "BipedalWalker-v3", kwargs, steps=1000)
    assert ends > 5


def test_the_contract():
    envs = make_vector_env("bipedal_walker", num_envs=3, dt=0.01)
    assert (envs.dt, envs.stock_dt, envs.limit_steps) == (0.01, 0.02, 3200)
    assert (envs.reward_bounds, envs.success_above, envs.base_id) == (None, 6.0, "BipedalWalker")
    assert envs.obs_parts == (ObsPart("obs", "vector", (24,)),)
    assert envs.single_action_space == gymnasium.spaces.Box(-1, 1, (4,), np.float32)
    assert envs.phase_plane(5) is None
    hardcore = make_env("bipedal_walker", {"hardcore": True})
    assert (hardcore.limit_steps, hardcore.dt) == (2000, 0.02)
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 3198, 3195])})
    truncated_TB = np.stack([envs.step(np.zeros((3, 4), np.float32))[3] for _ in range(5)])
    np.testing.assert_array_equal(truncated_TB.sum(axis=0), [0, 1, 1])
    np.testing.assert_array_equal(truncated_TB.argmax(axis=0), [0, 1, 4])


@pytest.mark.parametrize("dt", [0.01, 0.001])
def test_every_dt_starts_from_the_stock_states(dt):
    stock = gymnasium.make("BipedalWalker-v3")
    env = make_env("bipedal_walker", dt=dt)
    for seed in (3, None, None):
        got, _ = env.reset(seed=seed)
        if seed is not None:
            np.testing.assert_array_equal(got, stock.reset(seed=seed)[0])
        assert env.unwrapped.hull.linearVelocity.x == pytest.approx(got[2] * 50 / 6)


@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_the_return_is_growth_of_the_shaping_minus_the_torques(dt):
    env = make_env("bipedal_walker", dt=dt)
    env.reset(seed=1)
    before = shaping_of(env)
    _, action_TA, rate_T, terminated = play(env, sweep, 1.0, seed=1)
    assert not terminated
    torque_seconds = np.abs(action_TA).sum() * dt
    want = shaping_of(env) - before - 0.028 * torque_seconds / 0.02
    assert stock_return(env, rate_T) == pytest.approx(want, abs=1e-3)


def test_the_return_converges_as_dt_shrinks():
    """Upstream's rewards, summed, are the torque's -0.7 per second times 0.02 / dt instead."""
    for policy, limit, within in ((swing, -2.6, 0.2), (sweep, -2.6, 1.0)):
        returns = {}
        for dt in (0.01, 0.005, 0.002, 0.001):
            env = make_env("bipedal_walker", dt=dt)
            returns[dt] = stock_return(env, play(env, policy, 1.0)[2])
        assert returns[0.001] == pytest.approx(limit, abs=0.2)
        errors = [abs(r - returns[0.001]) for r in returns.values()]
        assert max(errors) < within
        assert errors[2] < max(errors[0], 0.05)


@pytest.mark.parametrize("dt", [0.02, 0.005])
@pytest.mark.parametrize(("lump", "weight"), [("kept", 0.02), ("vanishing", None)])
def test_a_fall_costs_as_much_at_every_dt(dt, lump, weight):
    env = make_env("bipedal_walker", {"lump": lump}, dt=dt)
    *_, rate_T, terminated = play(env, split, 5.0)
    assert terminated
    assert rate_T[-1] * dt == pytest.approx(-100 * (weight or dt))
    assert np.abs(rate_T[:-1]).max() < 10
    assert env.success_above == (6.0 if lump == "kept" else None)


@pytest.mark.parametrize("dt", [0.01, 0.002])
def test_observed_velocities_mean_the_same_at_every_dt(dt):
    env = make_env("bipedal_walker", dt=dt)
    env.reset(seed=0)
    obs_TO, centre_T2 = [], []
    for k in range(round(0.2 / dt)):
        obs_TO.append(env.step(0.1 * swing(k * dt, None))[0])
        centre_T2.append(env.unwrapped.hull.worldCenter.copy())
    obs_TO, centre_T2 = np.array(obs_TO), np.array(centre_T2)
    joints = {4: (5, 4.0), 6: (7, 6.0), 9: (10, 4.0), 11: (12, 6.0)}
    box2d.slopes_are_velocities(obs_TO, dt, {0: (1, 25.0), **joints})
    both_T4 = np.concatenate([centre_T2, obs_TO[:, 2:4]], axis=1)
    box2d.slopes_are_velocities(both_T4, dt, {0: (2, 50 / 6), 1: (3, 50 / 4)})


@pytest.mark.parametrize(("dt", "hardcore"), [(0.02, False), (0.005, True)])
def test_a_saved_state_goes_on_bit_for_bit(dt, hardcore):
    box2d.goes_on_bit_for_bit("bipedal_walker", {"hardcore": hardcore}, dt)


def test_an_episode_does_not_depend_on_those_before():
    used, fresh = (make_env("bipedal_walker") for _ in range(2))
    for seed in range(4):
        play(used, split, 2.0, seed)
    for a, b in zip(play(used, sweep, 2.0, 7)[:3], play(fresh, sweep, 2.0, 7)[:3], strict=True):
        np.testing.assert_array_equal(a, b)


def test_velocity_masks_equal_the_table():
    box2d.masks_equal_the_table("bipedal_walker", "BipedalWalker", 24)


def test_copy_0_is_drawn():
    box2d.draws_copy_0("bipedal_walker")


@pytest.mark.parametrize(
    ("dt", "message"),
    [
        (0.04, r"dt=0\.04 s is not possible for BipedalWalker-v3, .* from 0\.0002 to 0\.025 s"),
        (1e-5, r"dt=1e-05 s is not possible"),
        (0.011, "does not divide the time limit of 32 s"),
    ],
)
def test_a_dt_that_cannot_be_is_refused(dt, message):
    box2d.refuses(message, "bipedal_walker", dt=dt)


def test_a_missing_package_is_named(monkeypatch):
    for module in [m for m in sys.modules if m.startswith(("Box2D", "gymnasium.envs.box2d"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as if it were not installed
    box2d.refuses(r"pip install 'gymnasium\[box2d\]'", "bipedal_walker")
