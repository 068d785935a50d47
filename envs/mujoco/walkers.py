"""Planar legs that must not fall: Hopper and Walker2d (Erez, Tassa, Todorov 2011; -v5).

    r = w_f dx/dt + healthy - w_c |a|^2

Healthy is who stands high and upright enough; the others' episode ends.
"""

from dataclasses import dataclass

import numpy as np

from envs.mujoco.body import Array, Body, Reading, limits, pack, square_sum, unbounded
from rlkit.options import option


@dataclass(frozen=True)
class HopperOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared action of 1")
    healthy_reward: float = option("reward of being healthy")
    terminate_when_unhealthy: bool = option("whether an episode ends then")
    healthy_state_range: tuple[float | None, ...] = option("all but x and z must lie in it")
    healthy_z_range: tuple[float | None, ...] = option("heights that are healthy", unit="m")
    healthy_angle_range: tuple[float | None, ...] = option("leanings that are", unit="rad")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x, which no reward depends on")


class Hopper(Body):
    """One leg of four links, three joints driven."""

    base_id, file, stock_dt, coarsest_dt = "Hopper", "hopper.xml", 0.008, 0.04

    def __init__(self, options: HopperOptions, dt: float):
        super().__init__(options, dt)
        self.first = int(options.exclude_current_positions_from_observation)
        self.observation_space = unbounded(self.model.nq - self.first + self.model.nv)
        self.states = limits("healthy_state_range", options.healthy_state_range)
        self.heights = limits("healthy_z_range", options.healthy_z_range)
        self.angles = limits("healthy_angle_range", options.healthy_angle_range)

    def observe(self, reading: Reading) -> Array:
        return pack(reading["qpos"][:, self.first :], np.clip(reading["qvel"], -10, 10))

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        qpos, qvel = reading["qpos"], reading["qvel"]
        healthy_B = within(qpos[:, 2:], self.states).all(axis=1)
        healthy_B &= within(qvel, self.states).all(axis=1)
        healthy_B &= within(qpos[:, 1], self.heights) & within(qpos[:, 2], self.angles)
        return upright(self.options, healthy_B, speed_B, control_BA)


@dataclass(frozen=True)
class Walker2dOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared action of 1")
    healthy_reward: float = option("reward of being healthy")
    terminate_when_unhealthy: bool = option("whether an episode ends then")
    healthy_z_range: tuple[float | None, ...] = option("heights that are healthy", unit="m")
    healthy_angle_range: tuple[float | None, ...] = option("leanings that are", unit="rad")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x, which no reward depends on")


class Walker2d(Body):
    """Two legs of seven links, six joints driven."""

    base_id, file, stock_dt, coarsest_dt = "Walker2d", "walker2d_v5.xml", 0.008, 0.04

    def __init__(self, options: Walker2dOptions, dt: float):
        super().__init__(options, dt)
        self.first = int(options.exclude_current_positions_from_observation)
        self.observation_space = unbounded(self.model.nq - self.first + self.model.nv)
        self.heights = limits("healthy_z_range", options.healthy_z_range)
        self.angles = limits("healthy_angle_range", options.healthy_angle_range)

    def observe(self, reading: Reading) -> Array:
        return pack(reading["qpos"][:, self.first :], np.clip(reading["qvel"], -10, 10))

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        qpos = reading["qpos"]
        healthy_B = within(qpos[:, 1], self.heights) & within(qpos[:, 2], self.angles)
        return upright(self.options, healthy_B, speed_B, control_BA)


def within(values: Array, ends: tuple[float, float]) -> Array:
    """Strictly between the ends."""
    return (ends[0] < values) & (values < ends[1])


def upright(
    o: HopperOptions | Walker2dOptions, healthy_B: Array, speed_B: Array, control_BA: Array
) -> tuple[Array, Array]:
    """(reward rate, terminated) of both."""
    gain_B = o.forward_reward_weight * speed_B + healthy_B * o.healthy_reward
    cost_B = o.ctrl_cost_weight * square_sum(control_BA)
    return gain_B - cost_B, ~healthy_B & o.terminate_when_unhealthy
