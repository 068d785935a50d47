"""Arms that reach for something: Reacher and Pusher (gymnasium's -v5).

    Reacher    r = -w_d |fingertip - target| - w_c |a|^2
    Pusher     r = -w_n |object - fingertip| - w_d |object - goal| - w_c |u|^2

u is in upstream's units, between -2 and 2. No episode ends early.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.mujoco.body import Array, Body, Reading, never, pack, square_sum, unbounded
from rlkit.options import option


@dataclass(frozen=True)
class ReacherOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    reward_dist_weight: float = option("cost of a distance of 1 m from the target")
    reward_control_weight: float = option("cost of a squared action of 1")


class Reacher(Body):
    """A planar arm of two links; the target lies anywhere in reach."""

    base_id, file, stock_dt, coarsest_dt = "Reacher", "reacher.xml", 0.02, 0.2

    def __init__(self, options: ReacherOptions, dt: float):
        super().__init__(options, dt)
        self.observation_space = unbounded(10)

    def views(self, data: Any) -> dict[str, Array]:
        places = {name: data.body(name).xpos for name in ("fingertip", "target")}
        return {"qpos": data.qpos, "qvel": data.qvel, **places}

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        model = self.model
        qpos = rng.uniform(low=-0.1, high=0.1, size=model.nq) + model.qpos0
        while True:
            goal_2 = rng.uniform(low=-0.2, high=0.2, size=2)
            if np.linalg.norm(goal_2) < 0.2:
                break
        qpos[-2:] = goal_2
        qvel = rng.uniform(low=-0.005, high=0.005, size=model.nv)
        qvel[-2:] = 0
        return qpos, qvel

    def observe(self, reading: Reading) -> Array:
        qpos, angles = reading["qpos"], reading["qpos"][:, :2]
        away = (reading["fingertip"] - reading["target"])[:, :2]
        return pack(np.cos(angles), np.sin(angles), qpos[:, 2:], reading["qvel"][:, :2], away)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        o = self.options
        distance_B = lengths(reading["fingertip"] - reading["target"])
        control_B = square_sum(control_BA) * o.reward_control_weight
        return -distance_B * o.reward_dist_weight - control_B, never(speed_B)


@dataclass(frozen=True)
class PusherOptions:
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    num_threads: int = option("threads that step the copies; the results are the same", low=1)
    reward_near_weight: float = option("cost of a distance of 1 m between fingertip and object")
    reward_dist_weight: float = option("cost of a distance of 1 m between object and goal")
    reward_control_weight: float = option("cost of a squared control of 1; controls reach 2")


class Pusher(Body):
    """An arm of seven joints pushes a cylinder to a fixed goal."""

    base_id, file, stock_dt, coarsest_dt = "Pusher", "pusher_v5.xml", 0.05, 0.5

    def __init__(self, options: PusherOptions, dt: float):
        super().__init__(options, dt)
        self.observation_space = unbounded(23)

    def views(self, data: Any) -> dict[str, Array]:
        places = {name: data.body(name).xpos for name in ("tips_arm", "object", "goal")}
        return {"qpos": data.qpos, "qvel": data.qvel, **places}

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        model = self.model
        while True:
            x = rng.uniform(low=-0.3, high=0, size=1)
            cylinder_2 = np.concatenate([x, rng.uniform(low=-0.2, high=0.2, size=1)])
            if np.linalg.norm(cylinder_2) > 0.17:
                break
        qpos = model.qpos0.copy()
        qpos[-4:-2], qpos[-2:] = cylinder_2, 0
        qvel = rng.uniform(low=-0.005, high=0.005, size=model.nv)
        qvel[-4:] = 0
        return qpos, qvel

    def observe(self, reading: Reading) -> Array:
        places = (reading[name] for name in ("tips_arm", "object", "goal"))
        return pack(reading["qpos"][:, :7], reading["qvel"][:, :7], *places)

    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        o, thing = self.options, reading["object"]
        near_B = lengths(thing - reading["tips_arm"]) * o.reward_near_weight
        distance_B = lengths(thing - reading["goal"]) * o.reward_dist_weight
        control_B = square_sum(control_BA) * o.reward_control_weight
        return -distance_B - control_B - near_B, never(speed_B)


def lengths(vectors_B3: Array) -> Array:
    """Euclidean lengths, one after the other: so they round as upstream's do."""
    return np.array([np.linalg.norm(vector) for vector in vectors_B3])
