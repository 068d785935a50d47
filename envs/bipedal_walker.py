"""BipedalWalker (Oleg Klimov): a robot with two legs and four motors on rough ground, for any dt.

    shaping   130 x / 30 - 5 |hull angle|      the far end lies near 300
    cost      0.028 sum |a|                    per 0.02 s
    lump      -100 on falling

Observed are the hull's angle, angular velocity and velocity; per leg the angle and speed of hip
and knee and whether it touches the ground; and ten distances to the ground.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from envs.box2d import FPS, HEIGHT, SCALE, WIDTH, Box2DEnv
from rlkit.options import option

HIP_SPEED, KNEE_SPEED = 4, 6
MOTOR_SPEEDS = (HIP_SPEED, KNEE_SPEED, HIP_SPEED, KNEE_SPEED)
MOTOR_TORQUE = 80
RAY = 160 / SCALE
RAYS = tuple((math.sin(1.5 * i / 10.0) * RAY, math.cos(1.5 * i / 10.0) * RAY) for i in range(10))
FAR_END = (200 - 10) * (14 / SCALE)


@dataclass(frozen=True)
class BipedalWalkerOptions:
    time_limit_seconds: float | None = option(
        "episode length; null = upstream's, 32 s, hardcore 40 s", unit="s", above=0
    )
    hardcore: bool = option("stumps, stairs and pits in the way")
    lump: Literal["kept", "vanishing"] = option(
        "the -100 on falling: kept = the same share of the return at every dt, vanishing = -100 dt"
    )


class BipedalWalker(Box2DEnv):
    """Walk to the far end; an action is the torque of hip, knee, hip and knee."""

    stock_id, longest_dt, solved = "BipedalWalker-v3", 0.025, 300.0

    @classmethod
    def arguments(cls, options: Any) -> dict[str, Any]:
        return {"hardcore": options.hardcore}

    @classmethod
    def limit_seconds(cls, options: Any) -> float:
        return options.time_limit_seconds or (40.0 if options.hardcore else 32.0)

    def act(self, action: Any) -> list[Any]:
        for joint, speed, a in zip(self.base.joints, MOTOR_SPEEDS, action, strict=True):
            joint.motorSpeed = float(speed * np.sign(a))
            joint.maxMotorTorque = float(MOTOR_TORQUE * abs(a))
        return [0.00035 * MOTOR_TORQUE * abs(a) for a in action]

    def observe(self) -> tuple[list[float], float]:
        base = self.base
        hull, velocity = base.hull, base.hull.linearVelocity
        x, y = hull.position
        base.scroll = x - WIDTH / 5  # where upstream's drawing begins
        obs = [
            hull.angle,
            2.0 * hull.angularVelocity / FPS,
            0.3 * velocity.x * WIDTH / FPS,
            0.3 * velocity.y * HEIGHT / FPS,
        ]
        for leg in (0, 2):
            hip, knee = base.joints[leg : leg + 2]
            obs += [hip.angle, hip.speed / HIP_SPEED, knee.angle + 1.0, knee.speed / KNEE_SPEED]
            obs.append(1.0 if base.legs[leg + 1].ground_contact else 0.0)
        for ray, (dx, dy) in zip(base.lidar, RAYS, strict=True):
            ray.fraction, ray.p1, ray.p2 = 1.0, (x, y), (x + dx, y - dy)
            base.world.RayCast(ray, ray.p1, ray.p2)
            obs.append(ray.fraction)
        return obs, 130 * x / SCALE - 5.0 * abs(hull.angle)

    def end(self, obs: list[float]) -> tuple[bool, int]:
        x = self.base.hull.position[0]
        if self.base.game_over or x < 0:
            return True, -100
        return x > FAR_END, 0
