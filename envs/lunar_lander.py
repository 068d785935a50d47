"""LunarLander (Oleg Klimov): bring a lander down between two flags, for any dt.

    shaping   -100 |position| - 100 |velocity| - 100 |angle| + 10 per leg on the ground
    cost      0.3 main engine + 0.03 side engine, per 0.02 s
    lump      -100 on a crash or on leaving the view, 100 on coming to rest

An engine gives an impulse per step, here in proportion to dt. It is noisy: one draw holds for
0.02 s, and a longer step takes the mean of its draws, so that the noise is of the same strength
and, for one seed, the same at every dt. Wind blows by the clock.

Observed are position, velocity, angle, angular velocity, and which legs touch the ground.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from envs.box2d import FPS, HEIGHT, SCALE, STOCK_DT, WIDTH, Box2DEnv
from rlkit.options import option

MAIN_BELOW, SIDE_AWAY = 4 / SCALE, 12 / SCALE
LEG_LENGTH = 18 / SCALE
ENGINES = ((0.0, 0, 0.0), (0.0, -1, 1.0), (1.0, 0, 0.0), (0.0, 1, 1.0))
"""Main throttle, side and side throttle of the discrete actions."""


class Engine(NamedTuple):
    power: float
    smoke: float
    """Mass of a drawn particle."""


MAIN, SIDE = Engine(13.0, 3.5), Engine(0.6, 0.7)


@dataclass(frozen=True)
class LunarLanderOptions:
    time_limit_seconds: float | None = option(
        "episode length; null = upstream's, 20 s", unit="s", above=0
    )
    continuous: bool = option("two throttles in [-1, 1] instead of four actions")
    gravity: float = option("between -12 and 0", unit="m/s^2", low=-12, high=0)
    enable_wind: bool = option("wind and turbulence while no leg touches the ground")
    wind_power: float = option("largest sideward force", unit="N", low=0)
    turbulence_power: float = option("largest torque", unit="N m", low=0)
    lump: Literal["kept", "vanishing"] = option(
        "the -100 and 100 at the end: kept = the same share of the return at every dt,"
        " vanishing = the sum times dt"
    )


class LunarLander(Box2DEnv):
    """Land; actions are nothing, left, main and right engine, or two throttles."""

    stock_id, longest_dt, solved = "LunarLander-v3", 0.05, 200.0
    noise_2: tuple[float, float]
    """Of the present 0.02 s."""
    renewed: bool
    """Whether it was drawn in this step."""

    @classmethod
    def arguments(cls, options: Any) -> dict[str, Any]:
        names = ("continuous", "gravity", "enable_wind", "wind_power", "turbulence_power")
        return {name: getattr(options, name) for name in names}

    @classmethod
    def limit_seconds(cls, options: Any) -> float:
        return options.time_limit_seconds or 20.0

    def act(self, action: Any) -> tuple[Any, Any]:
        self._blow()
        self._draw_noise()
        a, b = self.noise_2
        lander = self.base.lander
        sin, cos = math.sin(lander.angle), math.cos(lander.angle)
        x, y = lander.position
        main, direction, side = self._throttles(action)
        if main:
            along = MAIN_BELOW + 2 * a
            exhaust = ox, oy = sin * along - cos * b, -cos * along - sin * b
            self._fire(MAIN, main, exhaust, (x + ox, y + oy))
        if side:
            across = 3 * b + direction * SIDE_AWAY
            exhaust = ox, oy = sin * a - cos * across, -cos * a - sin * across
            at = (x + ox - sin * 17 / SCALE, y + oy + cos * 14 / SCALE)
            self._fire(SIDE, side, exhaust, at)
        return main * 0.30, side * 0.03

    def _blow(self) -> None:
        base = self.base
        if not base.enable_wind or any(leg.ground_contact for leg in base.legs):
            return
        base.lander.ApplyForceToCenter((_gust(base.wind_idx) * base.wind_power, 0.0), True)
        base.wind_idx += self.seconds / STOCK_DT
        base.lander.ApplyTorque(_gust(base.torque_idx) * base.turbulence_power, True)
        base.torque_idx += self.seconds / STOCK_DT

    def _draw_noise(self) -> None:
        """One draw for each 0.02 s that begins in this step."""
        begin, end = (k * self.seconds / STOCK_DT - 1e-9 for k in (self.steps, self.steps + 1))
        count = math.ceil(end) - math.ceil(begin)
        self.renewed = count > 0
        if count:
            uniform = self.base.np_random.uniform
            draws = [[uniform(-1.0, 1.0) / SCALE for _ in range(2)] for _ in range(count)]
            a, b = (sum(column) / count for column in zip(*draws, strict=True))
            self.noise_2 = (a, b)

    def _throttles(self, action: Any) -> tuple[Any, Any, Any]:
        """Throttle of the main engine, side that fires and its throttle."""
        if not self.base.continuous:
            return ENGINES[action]
        main, side = action.astype(np.float64)
        return (
            (main + 1.0) * 0.5 if main > 0 else 0.0,
            np.sign(side),
            abs(side) if abs(side) > 0.5 else 0.0,
        )

    def _fire(
        self,
        engine: Engine,
        throttle: Any,
        exhaust: tuple[float, float],
        at: tuple[float, float],
    ) -> None:
        """Pushes the lander at a point, away from the exhaust."""
        jx, jy = (e * engine.power * throttle for e in exhaust)
        if self.renewed and self.base.render_mode is not None:  # smoke
            particle = self.base._create_particle(engine.smoke, *at, throttle)
            particle.ApplyLinearImpulse((jx, jy), at, True)
        share = self.seconds / STOCK_DT
        self.base.lander.ApplyLinearImpulse((-jx * share, -jy * share), at, True)

    def observe(self) -> tuple[list[float], float]:
        base = self.base
        lander, position, velocity = base.lander, base.lander.position, base.lander.linearVelocity
        x = (position.x - WIDTH / 2) / (WIDTH / 2)
        y = (position.y - (base.helipad_y + LEG_LENGTH)) / (HEIGHT / 2)
        vx = velocity.x * (WIDTH / 2) / FPS
        vy = velocity.y * (HEIGHT / 2) / FPS
        left, right = (1.0 if leg.ground_contact else 0.0 for leg in base.legs)
        shaping = (
            -100 * np.sqrt(x * x + y * y)
            - 100 * np.sqrt(vx * vx + vy * vy)
            - 100 * abs(lander.angle)
            + 10 * left
            + 10 * right
        )
        spin = 20.0 * lander.angularVelocity / FPS
        return [x, y, vx, vy, lander.angle, spin, left, right], shaping

    def end(self, obs: list[float]) -> tuple[bool, int]:
        if not self.base.lander.awake:
            return True, 100
        crashed = self.base.game_over or abs(obs[0]) >= 1.0
        return crashed, -100 if crashed else 0


def _gust(index: float) -> float:
    """Upstream's wind, in [-1, 1]; `index` counts 0.02 s."""
    return math.tanh(math.sin(0.02 * index) + math.sin(math.pi * 0.01 * index))
