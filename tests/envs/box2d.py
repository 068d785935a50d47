"""What the tests of the Box2D environments share."""

from collections.abc import Callable

import gymnasium
import numpy as np
import pytest

from envs import make_env, make_vector_env
from envs.wrappers.velocity_mask import VELOCITIES

STOCK_DT = 0.02


def lockstep(name: str, options: dict, stock_id: str, kwargs: dict, steps: int) -> int:
    """Steps ours and gymnasium's with the same actions, the latter in a new instance per episode.

    Returns:
        Episodes that ended.
    """

    def stock() -> gymnasium.Env:
        return gymnasium.make(stock_id, disable_env_checker=True, **kwargs)

    envs, stocks = make_vector_env(name, options, num_envs=2), [stock(), stock()]
    obs_BO, _ = envs.reset(seed=3)
    np.testing.assert_array_equal(obs_BO, [s.reset(seed=3 + i)[0] for i, s in enumerate(stocks)])
    envs.action_space.seed(0)
    ends = 0
    for t in range(steps):
        if t % 7 == 0:
            action_B = envs.action_space.sample()
        obs_BO, reward_B, terminated_B, truncated_B, infos = envs.step(action_B)
        for i in range(2):
            obs, *outcome, _ = stocks[i].step(action_B[i])
            assert [reward_B[i], terminated_B[i], truncated_B[i]] == outcome, (t, i)
            if any(outcome[1:]):
                ends += 1
                np.testing.assert_array_equal(infos["final_obs"][i], obs)
                bits = stocks[i].unwrapped.np_random.bit_generator.state
                stocks[i] = stock()
                stocks[i].unwrapped.np_random.bit_generator.state = bits
                obs, _ = stocks[i].reset()
            np.testing.assert_array_equal(obs_BO[i], obs)
    return ends


def goes_on_bit_for_bit(name: str, options: dict, dt: float) -> None:
    """A state saved amid an episode that is not the first, all wrappers and clocks included."""
    wrappers = {"frame_stack": 2, "observation_noise": 0.1, "action_repeat": 2}
    envs, fresh = (
        make_vector_env(name, options, dt=dt, num_envs=3, wrappers=wrappers) for _ in range(2)
    )
    limit = envs.limit_steps
    envs.reset(seed=1, options={"elapsed_steps": np.array([0, limit - 25, limit - 90])})
    envs.action_space.seed(1)
    for _ in range(60):
        envs.step(envs.action_space.sample())
    fresh.set_state(envs.get_state())
    ends = 0
    for _ in range(120):
        action_B = envs.action_space.sample()
        want, got = envs.step(action_B), fresh.step(action_B)
        for a, b in zip(want[:4], got[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        ends += int((want[2] | want[3]).sum())
    assert ends
    for a, b in zip(envs.reset()[0], fresh.reset()[0], strict=True):
        np.testing.assert_array_equal(a, b)


def play(
    env: gymnasium.Env, policy: Callable, seconds: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Observations [T + 1, O], actions, reward rates [T] and whether it terminated.

    Args:
        env: single.
        policy: (seconds since the reset, observation) → action.
        seconds: at most.
        seed: of the reset.
    """
    obs, _ = env.reset(seed=seed)
    obs_TO, action_T, rate_T, terminated = [obs], [], [], False
    for k in range(round(seconds / env.dt)):
        action_T.append(policy(k * env.dt, obs))
        obs, rate, terminated, truncated, _ = env.step(action_T[-1])
        obs_TO.append(obs)
        rate_T.append(rate)
        if terminated or truncated:
            break
    return np.array(obs_TO), np.array(action_T), np.array(rate_T), terminated


def stock_return(env: gymnasium.Env, rate_T: np.ndarray) -> float:
    """The sum of r dt in units of the stock step."""
    return float(rate_T.sum() * env.dt / STOCK_DT)


def masks_equal_the_table(name: str, base_id: str, size: int) -> None:
    listed = list(VELOCITIES[base_id, size])
    whole, masked, shown = (
        make_vector_env(name, num_envs=2, wrappers=wrappers)
        for wrappers in (
            {},
            {"velocity_mask": True},
            {"velocity_mask": True, "velocity_mask_mode": "keep_velocity"},
        )
    )
    obs_BO, _ = whole.reset(seed=0)
    np.testing.assert_array_equal(np.delete(obs_BO, listed, axis=1), masked.reset(seed=0)[0])
    np.testing.assert_array_equal(obs_BO[:, listed], shown.reset(seed=0)[0])
    single = make_env(name, wrappers={"velocity_mask": True})
    assert single.observation_space.shape == (size - len(listed),)


def slopes_are_velocities(
    obs_TO: np.ndarray, dt: float, pairs: dict[int, tuple[int, float]]
) -> None:
    """Finite differences of positions against the observed velocities.

    Args:
        obs_TO: of a piece of an episode; most of its steps are smooth.
        dt: seconds between the rows.
        pairs: position entry → (velocity entry, position units per second in one unit of it).
    """
    for position, (velocity, unit) in pairs.items():
        slope_T = np.diff(obs_TO[:, position].astype(np.float64)) / dt
        error = np.median(np.abs(slope_T - obs_TO[1:, velocity] * unit))
        assert error < 0.03 * np.median(np.abs(slope_T)), position


def draws_copy_0(name: str, options: dict | None = None) -> None:
    envs = make_vector_env(name, options, num_envs=2, render_mode="rgb_array")
    envs.reset(seed=0)
    for _ in range(3):
        envs.step(envs.action_space.sample())
        (frame,) = envs.render()
    assert (frame.shape, frame.dtype) == ((400, 600, 3), np.uint8)
    assert frame.std() > 10


def refuses(message: str, name: str, options: dict | None = None, **kwargs) -> None:
    for make in (make_env, lambda *a, **k: make_vector_env(*a, num_envs=2, **k)):
        with pytest.raises(ValueError, match=message):
            make(name, options, **kwargs)
