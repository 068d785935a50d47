"""Pendulum, CartPole, Acrobot and the mountain cars against gymnasium's own."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs import make_vector_env
from envs.batched import BatchedEnv
from tests.envs.rollouts import CLASSIC, actions_for, same_bits, stock_actions, stock_vector

STEPS = {"acrobot": 2000, "cartpole": 400, "mountain_car": 700}
exact = pytest.mark.skipif(not same_bits(), reason="scalar and array arithmetic round differently")


@exact
@pytest.mark.parametrize("name", CLASSIC)
def test_equals_gymnasium_to_the_last_bit_across_resets(name):
    B, resets = 7, 0
    ours = make_vector_env(name, num_envs=B)
    stock = stock_vector(ours.physics.stock_id, B)
    obs_BO, _ = ours.reset(seed=3)
    np.testing.assert_array_equal(obs_BO, stock.reset(seed=3)[0])
    rng = np.random.default_rng(0)
    for t in range(STEPS.get(name, 650)):
        action_B = actions_for(name, obs_BO, t, rng)
        obs_BO, reward_B, terminated_B, truncated_B, infos = ours.step(action_B)
        want = stock.step(stock_actions(name, action_B))
        np.testing.assert_array_equal(obs_BO, want[0])
        # the stock pendulum sums its cost in another order of rounding
        np.testing.assert_allclose(reward_B, want[1], rtol=0, atol=3e-10 * ("pend" in name))
        np.testing.assert_array_equal(terminated_B, want[2])
        np.testing.assert_array_equal(truncated_B, want[3])
        assert ("final_obs" in infos) == ("final_obs" in want[4])
        if "final_obs" in infos:
            ended = want[4]["_final_obs"]
            resets += ended.sum()
            np.testing.assert_array_equal(infos["_final_obs"], ended)
            stock_final = np.stack(list(want[4]["final_obs"][ended]))
            np.testing.assert_array_equal(infos["final_obs"][ended], stock_final)
            np.testing.assert_array_equal(infos["final_obs"][~ended], obs_BO[~ended])
    assert resets >= 20


@exact
@pytest.mark.parametrize("name", ["cartpole", "pendulum"])
def test_next_step_autoreset_equals_gymnasium(name):
    B, ends = 5, 0
    physics = make_vector_env(name, num_envs=1).physics
    ours = BatchedEnv(physics, B, autoreset_mode=AutoresetMode.NEXT_STEP)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    stock = stock_vector(physics.stock_id, B, AutoresetMode.NEXT_STEP)
    obs_BO, _ = ours.reset(seed=11)
    np.testing.assert_array_equal(obs_BO, stock.reset(seed=11)[0])
    rng = np.random.default_rng(1)
    for t in range(450):
        action_B = actions_for(name, obs_BO, t, rng)
        got, want = ours.step(action_B), stock.step(stock_actions(name, action_B))
        obs_BO = got[0]
        np.testing.assert_allclose(got[1], want[1], rtol=0, atol=3e-10)
        for i in (0, 2, 3):
            np.testing.assert_array_equal(got[i], want[i])
        ends += (got[2] | got[3]).sum()
    assert ends >= 10


STATES = {
    "acrobot": ([-3, -3, -10, -20], [3, 3, 10, 20]),
    "cartpole": ([-2, -2, -0.2, -2], [2, 2, 0.2, 2]),
    "mountain_car": ([-1.2, -0.07], [0.6, 0.07]),
    "mountain_car_continuous": ([-1.2, -0.07], [0.6, 0.07]),
    "pendulum": ([-9, -8], [9, 8]),
    "pendulum_two_torque": ([-9, -8], [9, 8]),
}


@pytest.mark.parametrize("name", CLASSIC)
def test_one_step_from_any_state_agrees_with_gymnasium(name):
    B = 40
    envs = make_vector_env(name, num_envs=B)
    rng = np.random.default_rng(5)
    low, high = STATES[name]
    state_SB = rng.uniform(low, high, (B, len(low))).T
    if name == "mountain_car_continuous":  # upstream's state is float32
        state_SB = state_SB.astype(np.float32).astype(np.float64)
    action_B = actions_for(name, rng.normal(size=(B, 2)), 0, rng)
    next_SB, reward_B, terminated_B = envs.physics.step(state_SB, action_B)
    stock = gymnasium.make(envs.physics.stock_id).unwrapped
    for i, action in enumerate(stock_actions(name, action_B)):
        stock.reset(seed=0)
        dtype = np.float32 if name == "mountain_car_continuous" else np.float64
        stock.state = state_SB[:, i].astype(dtype)
        _, reward, terminated, _, _ = stock.step(action)
        np.testing.assert_allclose(next_SB[:, i], stock.state, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(reward_B[i], reward, rtol=1e-9)
        assert terminated_B[i] == terminated


@pytest.mark.parametrize("name", CLASSIC)
@pytest.mark.parametrize("share", [1, 4])
def test_rates_stay_within_their_bounds(name, share):
    B = 33
    envs = make_vector_env(name, num_envs=B)
    envs = make_vector_env(name, num_envs=B, dt=envs.stock_dt / share)
    low, high = envs.reward_bounds
    rng = np.random.default_rng(2)
    obs_BO, _ = envs.reset(seed=0)
    for t in range(150):
        obs_BO, reward_B, *_ = envs.step(actions_for(name, obs_BO, t, rng))
        assert reward_B.dtype == np.float64
        assert obs_BO.dtype == np.float32
        assert (reward_B >= low).all()
        assert (reward_B <= high).all()


def pendulum_return(dt: float) -> tuple[float, float]:
    """Sum of r dt and of r over 5 s from hanging at rest, torque 2 sin 3t."""
    envs = make_vector_env("pendulum", {"time_limit_seconds": None}, dt=dt, num_envs=1)
    envs.reset(seed=0)
    envs.set_state({**envs.get_state(), "state": np.array([[math.pi], [0.0]])})
    total = 0.0
    for t in range(round(5 / dt)):
        torque = np.full((1, 1), math.sin(3 * t * dt), dtype=np.float32)
        total += envs.step(torque)[1][0]
    return total * dt, total


def test_pendulum_return_converges_as_dt_shrinks_while_the_plain_sum_diverges():
    finest, _ = pendulum_return(0.0005)
    gaps, sums = [], []
    for dt in (0.05, 0.02, 0.01, 0.005, 0.002):
        integral, plain = pendulum_return(dt)
        gaps.append(abs(integral - finest))
        sums.append(abs(plain))
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] < 0.05 * abs(finest)
    assert sums[-1] > 20 * sums[0]


def seconds_until_the_end(name: str, dt: float, action: int, state: list[float]) -> float:
    envs = make_vector_env(name, {"time_limit_seconds": None}, dt=dt, num_envs=1)
    envs.reset(seed=0)
    envs.set_state({**envs.get_state(), "state": np.array([state]).T})
    total = 0.0
    for _ in range(round(20 / dt)):
        _, reward_B, terminated_B, _, _ = envs.step(np.array([action]))
        total += reward_B[0] * dt
        if terminated_B[0]:
            return total
    raise AssertionError("did not end")


@pytest.mark.parametrize(
    ("name", "action", "state", "dts"),
    [
        ("cartpole", 1, [0.0, 0.0, 0.02, 0.0], (0.05, 0.02, 0.005, 0.001)),
        ("acrobot", 2, [2.0, 0.5, 2.0, 1.0], (0.2, 0.05, 0.02, 0.005)),
    ],
)
def test_return_converges_as_dt_shrinks(name, action, state, dts):
    finest = seconds_until_the_end(name, 0.0002, action, state)
    gaps = [abs(seconds_until_the_end(name, dt, action, state) - finest) for dt in dts]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 3 * dts[-1]


def test_unit_scale_divides_the_observation():
    stock, unit = (
        make_vector_env("cartpole", {"observation_scale": s}, num_envs=5) for s in ("stock", "unit")
    )
    want = stock.reset(seed=1)[0] / np.array([2.4, 2, 0.21, 2], dtype=np.float32)
    np.testing.assert_allclose(unit.reset(seed=1)[0], want, rtol=1e-6)
    assert unit.single_observation_space.high[0] == pytest.approx(2.0)


def test_gravity_of_the_pendulum_is_an_option():
    free = make_vector_env("pendulum", {"gravity": 0.0}, num_envs=3)
    free.reset(seed=0)
    before = free.get_state()["state"]
    free.step(np.zeros((3, 1), np.float32))
    np.testing.assert_array_equal(free.get_state()["state"][1], before[1])


def test_two_torques_are_the_extremes_of_the_continuous_pendulum():
    two, one = (make_vector_env(n, num_envs=6) for n in ("pendulum_two_torque", "pendulum"))
    np.testing.assert_array_equal(two.reset(seed=4)[0], one.reset(seed=4)[0])
    action_B = np.array([0, 1, 1, 0, 1, 0])
    got, want = two.step(action_B), one.step((2.0 * action_B - 1)[:, None].astype(np.float32))
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])
