"""Humanoid and HumanoidStandup (Tassa, Erez, Todorov 2012; gymnasium's -v5): 17 driven joints.

    Humanoid           r = w_f dx/dt + healthy - w_c |u|^2 - clip(w_k |contact forces|^2)
    HumanoidStandup    r = w_z z / h + 1 - w_c |u|^2 - clip(w_k |contact forces|^2)

x is that of the centre of mass. h is the *stock* sub-step, 0.003 s, at every dt: upstream divides
by the sub-step in use, whose reward would be another one at another dt. u is in upstream's units,
between -0.4 and 0.4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.mujoco.body import Array, Body, Reading, limits, never, pack, square_sum, unbounded
from envs.mujoco.model import stock_model
from rlkit.options import option


@dataclass(frozen=True)
class HumanoidOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    forward_reward_weight: float = option("reward of a forward speed of 1 m/s")
    ctrl_cost_weight: float = option("cost of a squared control of 1; controls reach 0.4")
    contact_cost_weight: float = option("cost of a squared contact force of 1")
    contact_cost_range: tuple[float | None, ...] = option("that cost is clipped to it")
    healthy_reward: float = option("reward of being healthy")
    terminate_when_unhealthy: bool = option("whether an episode ends then")
    healthy_z_range: tuple[float | None, ...] = option("heights that are healthy", unit="m")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x and y")
    include_cinert_in_observation: bool = option("show masses and inertias of the links")
    include_cvel_in_observation: bool = option("show velocities of the links")
    include_qfrc_actuator_in_observation: bool = option("show forces of the actuators")
    include_cfrc_ext_in_observation: bool = option("show contact forces")


class Humanoid(Body):
    """Run forward without falling."""

    base_id, file, stock_dt, coarsest_dt = "Humanoid", "humanoid.xml", 0.015, 0.18

    def __init__(self, options: HumanoidOptions, dt: float):
        super().__init__(options, dt)
        self.contacts = options.include_cfrc_ext_in_observation or options.contact_cost_weight != 0
        self.observation_space = unbounded(observation_size(self))
        self.costs = limits("contact_cost_range", options.contact_cost_range)
        self.heights = limits("healthy_z_range", options.healthy_z_range)

    def views(self, data: Any) -> dict[str, Array]:
        return {**humanoid_views(self.options, data), "centres": data.xipos}

    def place(self, reading: Reading) -> Array:
        mass, points_B3 = self.model.body_mass, reading["centres"]
        centres = points_B3.reshape(len(points_B3), -1, 3)
        # copy by copy: how a batched sum rounds is not promised, and few copies cost little
        return np.array([np.einsum("b,bj->j", mass, c)[0] for c in centres]) / mass.sum()

    def observe(self, reading: Reading) -> Array:
        return observe_humanoid(self.options, reading)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        o, height_B = self.options, reading["qpos"][:, 2]
        healthy_B = (self.heights[0] < height_B) & (height_B < self.heights[1])
        gain_B = o.forward_reward_weight * speed_B + healthy_B * o.healthy_reward
        control_B = o.ctrl_cost_weight * square_sum(control_BA.astype(np.float64))
        contact_B = o.contact_cost_weight * square_sum(reading["cfrc_ext"])
        cost_B = control_B + np.clip(contact_B, *self.costs)
        return gain_B - cost_B, ~healthy_B & o.terminate_when_unhealthy


@dataclass(frozen=True)
class HumanoidStandupOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    uph_cost_weight: float = option("reward of a height of 0.003 m")
    ctrl_cost_weight: float = option("cost of a squared control of 1; controls reach 0.4")
    impact_cost_weight: float = option("cost of a squared contact force of 1")
    impact_cost_range: tuple[float | None, ...] = option("that cost is clipped to it")
    reset_noise_scale: float = option("scale of the noise in initial states", low=0)
    exclude_current_positions_from_observation: bool = option("hide x and y")
    include_cinert_in_observation: bool = option("show masses and inertias of the links")
    include_cvel_in_observation: bool = option("show velocities of the links")
    include_qfrc_actuator_in_observation: bool = option("show forces of the actuators")
    include_cfrc_ext_in_observation: bool = option("show contact forces")


class HumanoidStandup(Body):
    """Stand up from lying on the back; no episode ends early."""

    base_id, file, stock_dt, coarsest_dt = "HumanoidStandup", "humanoidstandup.xml", 0.015, 0.15

    def __init__(self, options: HumanoidStandupOptions, dt: float):
        super().__init__(options, dt)
        self.contacts = options.include_cfrc_ext_in_observation or options.impact_cost_weight != 0
        self.observation_space = unbounded(observation_size(self))
        self.costs = limits("impact_cost_range", options.impact_cost_range)
        self.stock_timestep = float(stock_model(self.file).opt.timestep)

    def views(self, data: Any) -> dict[str, Array]:
        return humanoid_views(self.options, data)

    def observe(self, reading: Reading) -> Array:
        return observe_humanoid(self.options, reading)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        o = self.options
        gain_B = o.uph_cost_weight * (reading["qpos"][:, 2] / self.stock_timestep)
        control_B = o.ctrl_cost_weight * square_sum(control_BA.astype(np.float64))
        impact_B = o.impact_cost_weight * square_sum(reading["cfrc_ext"])
        reward_B = gain_B - control_B - np.clip(impact_B, *self.costs) + 1
        return reward_B, never(speed_B)


AnyOptions = HumanoidOptions | HumanoidStandupOptions


def humanoid_views(o: AnyOptions, data: Any) -> dict[str, Array]:
    """What both observe; the first body is the world, the first six forces are no actuator's."""
    views = {"qpos": data.qpos, "qvel": data.qvel, "cfrc_ext": data.cfrc_ext}
    if o.include_cinert_in_observation:
        views["cinert"] = data.cinert[1:]
    if o.include_cvel_in_observation:
        views["cvel"] = data.cvel[1:]
    if o.include_qfrc_actuator_in_observation:
        views["qfrc_actuator"] = data.qfrc_actuator[6:]
    return views


def observe_humanoid(o: AnyOptions, reading: Reading) -> Array:
    """The observation of both."""
    first = 2 * o.exclude_current_positions_from_observation
    parts = [reading["qpos"][:, first:], reading["qvel"]]
    parts += [reading[name] for name in ("cinert", "cvel", "qfrc_actuator") if name in reading]
    if o.include_cfrc_ext_in_observation:
        parts.append(reading["cfrc_ext"][:, 6:])
    return pack(*parts)


def observation_size(body: Humanoid | HumanoidStandup) -> int:
    """Entries of the observation of both."""
    o, model = body.options, body.model
    links = model.nbody - 1
    size = model.nq - 2 * o.exclude_current_positions_from_observation + model.nv
    size += 10 * links * o.include_cinert_in_observation
    size += 6 * links * (o.include_cvel_in_observation + o.include_cfrc_ext_in_observation)
    return int(size + (model.nv - 6) * o.include_qfrc_actuator_in_observation)
