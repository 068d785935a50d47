"""Mountain car (Moore, 1990), with three pushes or a continuous force, for any dt.

    x'' = 0.001 a - 0.0025 cos 3x      a in -1, 0, 1     r = -1
    x'' = 0.0015 a - 0.0025 cos 3x     a in [-1, 1]      r = -0.1 a^2, and 100 at the goal

Upstream has no seconds: one of its steps is one unit of time. The equations and the order of
every operation are gymnasium's.

Shapes: states are [S, B], a row per variable.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.physics import Array, Axis, Physics
from rlkit.options import option


@dataclass(frozen=True)
class MountainCarOptions:
    native_dt: float = option("step of the stock environment", unit="time units", above=0)
    time_limit_seconds: float | None = option(
        "episode length; null = endless", unit="time units", above=0
    )


MOUNTAIN_AXES = (Axis("position", -1.2, 0.6), Axis("velocity", -0.07, 0.07))


def draw_car(rng: np.random.Generator) -> Array:
    """At rest in the valley."""
    return np.array([rng.uniform(low=-0.6, high=-0.4), 0.0])


def observe_car(state_SB: Array) -> Array:
    """(position, velocity)."""
    return np.ascontiguousarray(state_SB.T, dtype=np.float32)


class MountainCar(Physics):
    """An underpowered car in a valley, push left, coast or push right; one step is one unit."""

    base_id, stock_id, stock_dt = "MountainCar", "MountainCar-v0", 1.0
    phase_axes = MOUNTAIN_AXES
    observation_space = Box(
        np.array([-1.2, -0.07], np.float32), np.array([0.6, 0.07], np.float32), dtype=np.float32
    )
    action_space = Discrete(3)
    reward_bounds = (-1.0, -1.0)

    def draw(self, rng: np.random.Generator) -> Array:
        return draw_car(rng)

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        position, velocity = state_SB
        push = (action_B - 1) * 0.001 + np.cos(3 * position) * -0.0025
        next_SB = np.empty_like(state_SB)
        velocity = np.minimum(np.maximum(velocity + self.dt * push, -0.07), 0.07)
        position = np.minimum(np.maximum(position + self.dt * velocity, -1.2), 0.6)
        next_SB[0] = position
        next_SB[1] = np.where((position == -1.2) & (velocity < 0), 0.0, velocity)
        goal_B = (position >= 0.5) & (next_SB[1] >= 0)
        return next_SB, np.full(position.shape, -1.0), goal_B

    def observe(self, state_SB: Array) -> Array:
        return observe_car(state_SB)


@dataclass(frozen=True)
class MountainCarContinuousOptions:
    native_dt: float = option("step of the stock environment", unit="time units", above=0)
    time_limit_seconds: float | None = option(
        "episode length; null = endless", unit="time units", above=0
    )
    lump: Literal["kept", "vanishing"] = option(
        "the 100 at the goal: kept = the same share of the return at every dt, vanishing = 100 dt"
    )


class MountainCarContinuous(Physics):
    """The car with a force in [-1, 1].

    Upstream stores its state in float32. So does this class at the stock step, where it is
    then upstream's to the last bit; at other steps the state is float64, because increments
    shrink with dt and float32 would swallow them.
    """

    base_id, stock_id, stock_dt = "MountainCarContinuous", "MountainCarContinuous-v0", 1.0
    phase_axes = MOUNTAIN_AXES
    observation_space, action_space = (
        MountainCar.observation_space,
        Box(-1.0, 1.0, (1,), np.float32),
    )
    bounds = (np.float32(-1.2), np.float32(0.6), np.float32(0.07), np.float32(0.45))

    def __init__(self, options: Any, dt: float):
        super().__init__(options, dt)
        self.lump = 100.0 * (self.stock_dt / self.dt if options.lump == "kept" else 1.0)
        self.reward_bounds = (-0.1, self.lump)

    def draw(self, rng: np.random.Generator) -> Array:
        return draw_car(rng)

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        position, velocity = state_SB
        left, right, fastest, goal = (float(b) for b in self.bounds)
        force = np.minimum(np.maximum(action_B[:, 0], -1), 1)
        if self.dt == self.stock_dt:
            push = self._stock_push(position, force)
            velocity = (velocity + push).astype(np.float32).astype(np.float64)
        else:
            push = force * 0.0015 - 0.0025 * np.cos(3 * position)
            velocity = velocity + self.dt * push
        velocity = np.minimum(np.maximum(velocity, -fastest), fastest)
        position = np.minimum(np.maximum(position + self.dt * velocity, left), right)
        if self.dt == self.stock_dt:
            position = position.astype(np.float32).astype(np.float64)
        next_SB = np.empty_like(state_SB)
        next_SB[0] = position
        next_SB[1] = np.where((position == left) & (velocity < 0), 0.0, velocity)
        goal_B = (position >= goal) & (next_SB[1] >= 0)
        effort_B = action_B[:, 0].astype(np.float64)
        return next_SB, self.lump * goal_B - effort_B * effort_B * 0.1, goal_B

    def _stock_push(self, position: Array, force: Array) -> Array:
        """The increment in upstream's mixed precision.

        A position that float32 can hold went through upstream's float32 state; another one is
        fresh from a reset.
        """
        position32 = position.astype(np.float32)
        slope = np.where(position32 == position, (3 * position32).astype(np.float64), 3 * position)
        pull = (0.0025 * np.cos(slope)).astype(np.float32)
        return force * np.float32(0.0015) - pull

    def observe(self, state_SB: Array) -> Array:
        return observe_car(state_SB)
