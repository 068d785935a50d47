"""Poles on a cart: InvertedPendulum (Barto, Sutton, Anderson 1983) and its double; -v5.

    InvertedPendulum          r = 1, 0 where the pole leans more than 0.2 rad
    InvertedDoublePendulum    r = healthy - 0.01 x^2 - (y - 2)^2 - 0.001 w_1^2 - 0.005 w_2^2

(x, y) is the tip of the second pole, which must stay above 1, and w are joint speeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.mujoco.body import Array, Body, Reading, normal_speeds, pack, unbounded
from rlkit.options import option


@dataclass(frozen=True)
class InvertedPendulumOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)


class InvertedPendulum(Body):
    """Keep one pole upright; an action of 1 is a control of 3."""

    base_id, file = "InvertedPendulum", "inverted_pendulum.xml"
    stock_dt, coarsest_dt = 0.04, 0.1

    def __init__(self, options: InvertedPendulumOptions, dt: float):
        super().__init__(options, dt)
        self.observation_space = unbounded(4)

    def observe(self, reading: Reading) -> Array:
        return pack(reading["qpos"], reading["qvel"])

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        qpos, qvel = reading["qpos"], reading["qvel"]
        upright_B = np.abs(qpos[:, 1]) <= 0.2
        upright_B &= np.isfinite(qpos).all(axis=1) & np.isfinite(qvel).all(axis=1)
        return upright_B.astype(np.float64), ~upright_B


@dataclass(frozen=True)
class InvertedDoublePendulumOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    healthy_reward: float = option("reward of the tip being above 1")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)


class InvertedDoublePendulum(Body):
    """Keep two poles upright, one on the other."""

    base_id, file = "InvertedDoublePendulum", "inverted_double_pendulum.xml"
    stock_dt, coarsest_dt = 0.05, 0.14

    def __init__(self, options: InvertedDoublePendulumOptions, dt: float):
        super().__init__(options, dt)
        self.observation_space = unbounded(9)

    def views(self, data: Any) -> dict[str, Array]:
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "tip": data.site_xpos[0],
            "qfrc_constraint": data.qfrc_constraint,
        }

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        return normal_speeds(self, rng)

    def observe(self, reading: Reading) -> Array:
        qpos, angles = reading["qpos"], reading["qpos"][:, 1:]
        speeds = np.clip(reading["qvel"], -10, 10)
        force = np.clip(reading["qfrc_constraint"][:, :1], -10, 10)
        return pack(qpos[:, :1], np.sin(angles), np.cos(angles), speeds, force)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        x_B, y_B = reading["tip"][:, 0], reading["tip"][:, 2]
        _, v1_B, v2_B = reading["qvel"].T
        fallen_B = y_B <= 1
        # `float_power` and not `**2`: it rounds as upstream's power of single numbers does
        distance_B = 0.01 * np.float_power(x_B, 2.0) + np.float_power(y_B - 2, 2.0)
        speed_cost_B = 0.001 * np.float_power(v1_B, 2.0) + 0.005 * np.float_power(v2_B, 2.0)
        return self.options.healthy_reward * ~fallen_B - distance_B - speed_cost_B, fallen_B
