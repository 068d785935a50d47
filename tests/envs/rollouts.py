"""What the environment tests share: stock vectors and actions that end episodes."""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

CLASSIC = [
    "acrobot",
    "cartpole",
    "mountain_car",
    "mountain_car_continuous",
    "pendulum",
    "pendulum_two_torque",
]


def same_bits() -> bool:
    """Whether scalar and array arithmetic round alike here; the lockstep tests rest on it."""
    x = np.random.default_rng(0).uniform(-10, 10, 5000)
    power = np.array([v**2 for v in x])
    trigonometry = np.array([[np.cos(v), np.sin(v)] for v in x]).T
    return np.array_equal(np.float_power(x, 2.0), power) and np.array_equal(
        np.stack([np.cos(x), np.sin(x)]), trigonometry
    )


def stock_vector(stock_id: str, num_envs: int, mode=AutoresetMode.SAME_STEP) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gymnasium.make(stock_id, disable_env_checker=True)] * num_envs,
        autoreset_mode=mode,
    )


def actions_for(name: str, obs_BO: np.ndarray, t: int, rng: np.random.Generator) -> np.ndarray:
    """Random actions, with a push along the velocity where only that reaches the goal."""
    B = len(obs_BO)
    random_now = t % 3 == 0
    if name == "pendulum":
        return rng.uniform(-1, 1, (B, 1)).astype(np.float32)
    if name == "mountain_car_continuous":
        if random_now:
            return rng.uniform(-1, 1, (B, 1)).astype(np.float32)
        return np.where(obs_BO[:, 1:] < 0, np.float32(-0.9), np.float32(0.9))
    if name == "mountain_car":
        return rng.integers(0, 3, B) if random_now else 2 * (obs_BO[:, 1] >= 0)
    return rng.integers(0, 3 if name == "acrobot" else 2, B)


def stock_actions(name: str, action_B: np.ndarray) -> np.ndarray:
    """The same actions in the stock environment's units."""
    if name == "pendulum":
        return action_B * np.float32(2)
    if name == "pendulum_two_torque":
        return (4 * action_B[:, None] - 2).astype(np.float32)
    return action_B
