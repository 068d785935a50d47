"""LunarLander for any dt."""

import gymnasium
import numpy as np
import pytest

from envs import make_env, make_vector_env
from rlkit.observations import ObsPart
from tests.envs import box2d
from tests.envs.box2d import play, stock_return

pytest.importorskip("Box2D")

WINDY = {"enable_wind": True, "wind_power": 10.0, "turbulence_power": 1.0}


def main_engine(t, obs):
    return 2


def nothing(t, obs):
    return 0


def land(t, obs):
    """Lands: leans against the drift, and sinks the slower the lower it is."""
    x, y, vx, vy, angle, spin, left, right = obs
    tilt = 0.5 * (np.clip(0.5 * x + vx, -0.4, 0.4) - angle) - spin
    hover = 0.5 * (0.55 * abs(x) - y) - 0.5 * vy
    if left or right:
        tilt, hover = 0.0, -0.5 * vy
    if hover > abs(tilt) and hover > 0.05:
        return 2
    return 3 if tilt < -0.05 else 1 if tilt > 0.05 else 0


def speed(env):
    return env.unwrapped.lander.linearVelocity


@pytest.mark.parametrize("options", [{}, {"continuous": True}, WINDY | {"continuous": True}, WINDY])
def test_equals_gymnasium_bit_for_bit_at_the_stock_step(options):
    assert box2d.lockstep("lunar_lander", options, "LunarLander-v3", options, steps=1000) > 5


def test_the_contract():
    envs = make_vector_env("lunar_lander", num_envs=3, dt=0.01)
    assert (envs.dt, envs.stock_dt, envs.limit_steps) == (0.01, 0.02, 2000)
    assert (envs.reward_bounds, envs.success_above, envs.base_id) == (None, 4.0, "LunarLander")
    assert envs.obs_parts == (ObsPart("obs", "vector", (8,)),)
    assert envs.single_action_space == gymnasium.spaces.Discrete(4)
    continuous = make_env("lunar_lander", {"continuous": True}, wrappers={"action_repeat": 2})
    assert continuous.action_space == gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    assert (continuous.dt, continuous.limit_steps) == (0.04, 500)
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 1998, 1995])})
    truncated_TB = np.stack([envs.step(np.zeros(3, np.int64))[3] for _ in range(5)])
    np.testing.assert_array_equal(truncated_TB.sum(axis=0), [0, 1, 1])
    np.testing.assert_array_equal(truncated_TB.argmax(axis=0), [0, 1, 4])


@pytest.mark.parametrize("dt", [0.05, 0.001])
def test_every_dt_starts_from_the_stock_states(dt):
    stock = gymnasium.make("LunarLander-v3")
    env = make_env("lunar_lander", dt=dt)
    for seed in (3, None, None):
        np.testing.assert_array_equal(env.reset(seed=seed)[0], stock.reset(seed=seed)[0])


def test_the_engines_push_as_much_at_every_dt():
    """With upstream's impulses per step the speeds would be 0.24, 13.5 and 36.2 m/s."""
    env = make_env("lunar_lander")
    play(env, main_engine, 0.6)
    assert speed(env).y == pytest.approx(0.24, abs=0.02)
    for dt in (0.04, 0.01, 0.005, 0.001):
        other = make_env("lunar_lander", dt=dt)
        play(other, main_engine, 0.6)
        assert tuple(speed(other)) == pytest.approx(tuple(speed(env)), abs=0.05)
        assert other.unwrapped.lander.angle == pytest.approx(env.unwrapped.lander.angle, abs=0.02)


@pytest.mark.parametrize("dt", [0.04, 0.01, 0.008, 0.002])
def test_throttles_and_wind_push_as_much_at_every_dt(dt):
    def policy(t, obs):
        return np.array([0.3, 0.7 if int(t / 0.16 + 1e-9) % 2 else -0.7], np.float32)

    options = {"continuous": True, "enable_wind": True}
    envs = [make_env("lunar_lander", options, dt=d) for d in (0.02, dt)]
    for env in envs:
        play(env, policy, 0.8, seed=2)
    stock, other = (e.unwrapped for e in envs)
    assert other.wind_idx == pytest.approx(stock.wind_idx)
    assert tuple(speed(other)) == pytest.approx(tuple(speed(stock)), abs=0.2)
    assert other.lander.angle == pytest.approx(stock.lander.angle, abs=0.03)


def test_noise_is_drawn_once_in_the_stock_step():
    draws = {}
    for dt in (0.04, 0.02, 0.008, 0.001):
        env = make_env("lunar_lander", dt=dt)
        play(env, nothing, 0.4)
        draws[dt] = env.unwrapped.np_random.bit_generator.state["state"]
    assert draws[0.04] == draws[0.02] == draws[0.008] == draws[0.001]


@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_the_return_is_growth_of_the_shaping_minus_the_fuel(dt):
    env = make_env("lunar_lander", dt=dt)

    def burn(t, obs):
        return 2 if t < 0.3 else 1 if t < 0.5 else 0

    obs_TO, _, rate_T, terminated = play(env, burn, 0.8)
    assert not terminated
    x, y, vx, vy, angle = obs_TO[[0, -1], :5].T.astype(np.float64)
    shaping = -100 * (np.hypot(x, y) + np.hypot(vx, vy) + np.abs(angle))
    fuel = (0.3 * 0.3 + 0.2 * 0.03) / 0.02
    want = shaping[1] - shaping[0] - fuel
    assert stock_return(env, rate_T) == pytest.approx(want, abs=1e-3)


def test_landings_return_as_much_at_every_dt():
    for seed, within in ((1, 15), (2, 15)):
        returns = []
        for dt in (0.02, 0.01, 0.005, 0.002):
            env = make_env("lunar_lander", dt=dt)
            *_, rate_T, terminated = play(env, land, 20.0, seed)
            assert terminated
            assert rate_T[-1] * dt == pytest.approx(100 * 0.02)
            assert rate_T.sum() * dt > env.success_above
            returns.append(stock_return(env, rate_T))
        assert max(returns) - min(returns) < within


@pytest.mark.parametrize("dt", [0.02, 0.005])
@pytest.mark.parametrize(("lump", "weight"), [("kept", 0.02), ("vanishing", None)])
def test_a_crash_costs_as_much_at_every_dt(dt, lump, weight):
    env = make_env("lunar_lander", {"lump": lump}, dt=dt)
    *_, rate_T, terminated = play(env, nothing, 20.0)
    assert terminated
    assert rate_T[-1] * dt == pytest.approx(-100 * (weight or dt))
    assert env.success_above == (4.0 if lump == "kept" else None)


@pytest.mark.parametrize("dt", [0.02, 0.004])
def test_observed_velocities_mean_the_same_at_every_dt(dt):
    env = make_env("lunar_lander", dt=dt)
    obs_TO, *_ = play(env, nothing, 0.8, seed=1)
    pairs = {0: (2, 0.5), 1: (3, 1.125), 4: (5, 2.5)}
    box2d.slopes_are_velocities(obs_TO[1:], dt, pairs)


@pytest.mark.parametrize(("dt", "options"), [(0.02, {}), (0.005, {"continuous": True} | WINDY)])
def test_a_saved_state_goes_on_bit_for_bit(dt, options):
    box2d.goes_on_bit_for_bit("lunar_lander", options, dt)


@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_smoke_is_only_drawn(dt):
    plain, drawn = (make_env("lunar_lander", dt=dt, render_mode=m) for m in (None, "rgb_array"))
    for a, b in zip(
        play(plain, main_engine, 1.5)[:3], play(drawn, main_engine, 1.5)[:3], strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert len(drawn.unwrapped.particles) == 75


def test_velocity_masks_equal_the_table():
    box2d.masks_equal_the_table("lunar_lander", "LunarLander", 8)


def test_copy_0_is_drawn():
    box2d.draws_copy_0("lunar_lander", {"continuous": True})


@pytest.mark.parametrize(
    ("options", "dt", "message"),
    [
        ({}, 0.1, r"dt=0\.1 s is not possible for LunarLander-v3, .* to 0\.05 s"),
        ({}, 0.011, "does not divide the time limit of 20 s"),
        ({"gravity": 0.0}, None, "gravity .* must be between -12 and 0"),
        ({"gravity": 3.0}, None, "env.gravity is 3"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(options, dt, message):
    box2d.refuses(message, "lunar_lander", options, dt=dt)
