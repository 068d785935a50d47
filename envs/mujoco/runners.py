"""Bodies that run or swim forward and never fall: HalfCheetah and Swimmer.

    r = w_f dx/dt - w_c |a|^2

HalfCheetah: Wawrzyński 2009; Swimmer: Coulom 2002; both as in gymnasium's -v5.
"""

from dataclasses import dataclass

import numpy as np

from envs.mujoco.body import (
    Array,
    Body,
    Reading,
    never,
    normal_speeds,
    pack,
    square_sum,
    unbounded,
)
from rlkit.options import option


def forward_less_control(
    options: "HalfCheetahOptions | SwimmerOptions", speed_B: Array, control_BA: Array
) -> Array:
    """The reward rate of both."""
    cost_B = options.ctrl_cost_weight * square_sum(control_BA)
    return options.forward_reward_weight * speed_B - cost_B


@dataclass(frozen=True)
class HalfCheetahOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared action of 1")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x, which no reward depends on")


class HalfCheetah(Body):
    """A planar cheetah of seven links, six of them driven."""

    base_id, file, stock_dt, coarsest_dt = "HalfCheetah", "half_cheetah.xml", 0.05, 0.5

    def __init__(self, options: HalfCheetahOptions, dt: float):
        super().__init__(options, dt)
        self.first = int(options.exclude_current_positions_from_observation)
        self.observation_space = unbounded(self.model.nq - self.first + self.model.nv)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        return normal_speeds(self, rng)

    def observe(self, reading: Reading) -> Array:
        return pack(reading["qpos"][:, self.first :], reading["qvel"])

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        return forward_less_control(self.options, speed_B, control_BA), never(speed_B)


@dataclass(frozen=True)
class SwimmerOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared action of 1")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x and y")


class Swimmer(Body):
    """Three links in a viscous fluid, two joints driven."""

    base_id, file, stock_dt, coarsest_dt = "Swimmer", "swimmer.xml", 0.04, 0.4

    def __init__(self, options: SwimmerOptions, dt: float):
        super().__init__(options, dt)
        self.first = 2 * options.exclude_current_positions_from_observation
        self.observation_space = unbounded(self.model.nq - self.first + self.model.nv)

    def observe(self, reading: Reading) -> Array:
        return pack(reading["qpos"][:, self.first :], reading["qvel"])

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        return forward_less_control(self.options, speed_B, control_BA), never(speed_B)
