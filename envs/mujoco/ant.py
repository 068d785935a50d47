"""Ant (Schulman et al. 2016, as in gymnasium's -v5): four legs, eight driven joints.

    r = w_f dx/dt + healthy - w_c |a|^2 - w_k |clip(contact forces)|^2

x is that of the torso as the simulation last computed it, one sub-step ago.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.mujoco.body import (
    Array,
    Body,
    Reading,
    limits,
    normal_speeds,
    pack,
    square_sum,
    unbounded,
)
from rlkit.options import option

TORSO = 1
NUMBERS_PER_FORCE = 6


@dataclass(frozen=True)
class AntOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared action of 1")
    contact_cost_weight: float = option("cost of a squared contact force of 1")
    healthy_reward: float = option("reward of being healthy")
    terminate_when_unhealthy: bool = option("whether an episode ends then")
    healthy_z_range: tuple[float | None, ...] = option("heights that are healthy", unit="m")
    contact_force_range: tuple[float | None, ...] = option("contact forces are clipped to it")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x and y")
    include_cfrc_ext_in_observation: bool = option("show contact forces")


class Ant(Body):
    """Run forward without lying down or jumping."""

    base_id, file, stock_dt, coarsest_dt = "Ant", "ant.xml", 0.05, 0.5

    def __init__(self, options: AntOptions, dt: float):
        super().__init__(options, dt)
        self.first = 2 * options.exclude_current_positions_from_observation
        self.shows_forces = options.include_cfrc_ext_in_observation
        self.contacts = self.shows_forces or options.contact_cost_weight != 0
        self.heights = limits("healthy_z_range", options.healthy_z_range)
        self.forces = limits("contact_force_range", options.contact_force_range)
        forces = NUMBERS_PER_FORCE * (self.model.nbody - 1) * self.shows_forces
        self.observation_space = unbounded(self.model.nq - self.first + self.model.nv + forces)

    def views(self, data: Any) -> dict[str, Array]:
        return {
            "qpos": data.qpos,
            "qvel": data.qvel,
            "torso": data.xpos[TORSO],
            "cfrc_ext": data.cfrc_ext,
        }

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        return normal_speeds(self, rng)

    def place(self, reading: Reading) -> Array:
        return reading["torso"][:, 0]

    def observe(self, reading: Reading) -> Array:
        qpos, qvel = reading["qpos"][:, self.first :], reading["qvel"]
        if not self.shows_forces:
            return pack(qpos, qvel)
        felt = np.clip(reading["cfrc_ext"][:, NUMBERS_PER_FORCE:], *self.forces)  # not the world's
        return pack(qpos, qvel, felt)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        o, qpos = self.options, reading["qpos"]
        low, high = self.heights
        healthy_B = (low <= qpos[:, 2]) & (qpos[:, 2] <= high)
        healthy_B &= np.isfinite(qpos).all(axis=1) & np.isfinite(reading["qvel"]).all(axis=1)
        gain_B = speed_B * o.forward_reward_weight + healthy_B * o.healthy_reward
        contact_B = o.contact_cost_weight * square_sum(np.clip(reading["cfrc_ext"], *self.forces))
        cost_B = o.ctrl_cost_weight * square_sum(control_BA) + contact_B
        return gain_B - cost_B, ~healthy_B & o.terminate_when_unhealthy
