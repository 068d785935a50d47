"""Classic control: Pendulum, CartPole and Acrobot, for any dt.

The equations and the order of every operation are gymnasium's, so that at the stock dt the
observations are its own to the last bit. Rewards are rates: sum of r dt is the return.

    Pendulum    th'' = 3 g / (2 l) sin th + 3 / (m l^2) u    r = -(th^2 + 0.1 th'^2 + 0.001 u^2)
    CartPole    Barto, Sutton, Anderson 1983, explicit Euler r = 1
    Acrobot     Sutton 1996 (the book's equations), RK4      r = -1, 0 on reaching the goal

Shapes: states are [S, B], a row per variable; every function is elementwise over B.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.physics import Array, Axis, Physics
from rlkit.options import option

QUARTER, HALF, ONE, WEIGHT = (np.array(c) for c in (0.25, 0.5, 1.0, 9.8))
# arrays without dimension: a Python float would be converted anew in every operation, which at
# 64 copies costs as much again as the multiplication

UNIT_ACTION = Box(-1.0, 1.0, (1,), np.float32)


def symmetric_box(*high: float) -> Box:
    """The box between -high and high."""
    high_O = np.array(high, dtype=np.float32)
    return Box(-high_O, high_O, dtype=np.float32)


@dataclass(frozen=True)
class PendulumOptions:
    native_dt: float = option("step of the stock environment", unit="s", above=0)
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    gravity: float = option("acceleration of gravity", unit="m/s^2", low=0)


PENDULUM_SPACE = symmetric_box(1.0, 1.0, 8.0)
PENDULUM_WORST_RATE = -(math.pi**2 + 0.1 * 8.0**2 + 0.001 * 2.0**2)


def draw_pendulum(rng: np.random.Generator) -> Array:
    """Any angle, slow."""
    high = np.array([np.pi, 1.0])
    return rng.uniform(low=-high, high=high)


def step_pendulum(
    state_SB: Array, torque_B: Array, dt: float, gravity: float
) -> tuple[Array, Array, Array]:
    """Semi-implicit Euler, mass and length 1; `torque_B` is float32 as upstream."""
    th, thdot = state_SB
    angle = (th + np.pi) % (2 * np.pi) - np.pi
    cost_B = angle * angle + 0.1 * (thdot * thdot) + 0.001 * (torque_B * torque_B)
    next_SB = np.empty_like(state_SB)
    thdot = thdot + (3 * gravity / 2 * np.sin(th) + np.float32(3.0) * torque_B) * dt
    next_SB[1] = thdot = np.minimum(np.maximum(thdot, -8.0), 8.0)
    next_SB[0] = th + thdot * dt
    return next_SB, -cost_B, np.zeros(th.shape, dtype=bool)


def observe_pendulum(state_SB: Array) -> Array:
    """(cos, sin, angular velocity)."""
    th, thdot = state_SB
    obs_BO = np.empty((th.shape[0], 3), dtype=np.float32)
    obs_BO[:, 0] = np.cos(th)
    obs_BO[:, 1] = np.sin(th)
    obs_BO[:, 2] = thdot
    return obs_BO


class Pendulum(Physics):
    """Swing-up with an action in [-1, 1] for a torque in [-2, 2]."""

    base_id, stock_id, stock_dt = "Pendulum", "Pendulum-v1", 0.05
    phase_axes = (Axis("angle (rad)", -math.pi, math.pi), Axis("angular velocity (rad/s)", -8, 8))
    observation_space, action_space = PENDULUM_SPACE, UNIT_ACTION
    reward_bounds = (PENDULUM_WORST_RATE, 0.0)

    def draw(self, rng: np.random.Generator) -> Array:
        return draw_pendulum(rng)

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        torque_B = np.minimum(np.maximum(action_B[:, 0] * 2, -2), 2)
        return step_pendulum(state_SB, torque_B, self.dt, self.options.gravity)

    def observe(self, state_SB: Array) -> Array:
        return observe_pendulum(state_SB)


@dataclass(frozen=True)
class PendulumTwoTorqueOptions:
    native_dt: float = option("step of the stock environment", unit="s", above=0)
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    gravity: float = option("acceleration of gravity", unit="m/s^2", low=0)


class PendulumTwoTorque(Physics):
    """Swing-up with two actions: torque -2 or +2."""

    base_id, stock_id, stock_dt = "Pendulum", "Pendulum-v1", 0.05
    phase_axes = Pendulum.phase_axes
    observation_space, action_space = PENDULUM_SPACE, Discrete(2)
    reward_bounds = (PENDULUM_WORST_RATE, 0.0)

    def draw(self, rng: np.random.Generator) -> Array:
        return draw_pendulum(rng)

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        torque_B = (4 * action_B - 2).astype(np.float32)
        return step_pendulum(state_SB, torque_B, self.dt, self.options.gravity)

    def observe(self, state_SB: Array) -> Array:
        return observe_pendulum(state_SB)


@dataclass(frozen=True)
class CartPoleOptions:
    native_dt: float = option("step of the stock environment", unit="s", above=0)
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)
    observation_scale: Literal["stock", "unit"] = option(
        "stock, or unit: divided by (2.4, 2, 0.21, 2)"
    )


class CartPole(Physics):
    """Balancing with a force of -10 N or +10 N."""

    base_id, stock_id, stock_dt = "CartPole", "CartPole-v1", 0.02
    action_space = Discrete(2)
    reward_bounds = (1.0, 1.0)
    angle_limit = 12 * 2 * math.pi / 360
    position_limit = 2.4
    limits_2 = np.array(position_limit), np.array(angle_limit)
    force_of_action = np.array([-10.0, 10.0])
    mass_pole, mass, half_length = np.array(0.1), np.array(0.1 + 1.0), HALF
    pole_moment, four_thirds = np.array(0.1 * 0.5), np.array(4.0 / 3.0)
    unit_scale_O = np.array([2.4, 2.0, 0.21, 2.0])

    def __init__(self, options: Any, dt: float):
        super().__init__(options, dt)
        self.step_seconds = np.array(self.dt)
        high = np.array([2 * self.position_limit, np.inf, 2 * self.angle_limit, np.inf])
        if options.observation_scale == "unit":
            high = high / self.unit_scale_O
        self.observation_space = symmetric_box(*high)

    def draw(self, rng: np.random.Generator) -> Array:
        return rng.uniform(low=-0.05, high=0.05, size=(4,))

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        _, _, theta, theta_dot = state_SB
        mass, mass_pole, pole_moment = self.mass, self.mass_pole, self.pole_moment
        cos, sin = np.cos(theta), np.sin(theta)
        # (force + pole_moment * theta_dot**2 * sin) / mass
        temp = np.square(theta_dot)
        temp *= pole_moment
        temp *= sin
        temp += self.force_of_action.take(action_B)
        temp /= mass
        # half_length * (4/3 - mass_pole * cos**2 / mass)
        inertia = np.square(cos)
        inertia *= mass_pole
        inertia /= mass
        np.subtract(self.four_thirds, inertia, out=inertia)
        inertia *= self.half_length
        next_SB = np.empty_like(state_SB)  # holds the rates first
        next_SB[0::2] = state_SB[1::2]
        theta_acc = np.multiply(WEIGHT, sin, out=next_SB[3])
        theta_acc -= cos * temp
        theta_acc /= inertia
        # x_acc = temp - pole_moment * theta_acc * cos / mass
        cos *= pole_moment * theta_acc
        cos /= mass
        np.subtract(temp, cos, out=next_SB[1])
        next_SB *= self.step_seconds
        next_SB += state_SB
        beyond_B = np.abs(next_SB[0]) > self.limits_2[0]
        beyond_B |= np.abs(next_SB[2]) > self.limits_2[1]
        reward_B = np.empty_like(temp)
        reward_B.fill(1.0)
        return next_SB, reward_B, beyond_B

    def observe(self, state_SB: Array) -> Array:
        if self.options.observation_scale == "unit":
            state_SB = state_SB / self.unit_scale_O[:, None]
        return np.ascontiguousarray(state_SB.T, dtype=np.float32)


@dataclass(frozen=True)
class AcrobotOptions:
    native_dt: float = option("step of the stock environment", unit="s", above=0)
    time_limit_seconds: float | None = option("episode length; null = endless", unit="s", above=0)


FIVE_QUARTERS, HALF_TURN = np.array(1.25), np.array(np.pi / 2.0)
ACROBOT_WEIGHTS = np.array([[0.5 * 9.8], [1.5 * 9.8]])


def acrobot_rates(state_SB: Array, torque_B: Array) -> Array:
    """d/dt of (theta1, theta2, theta1', theta2'): unit masses, lengths and moments of inertia.

    Factors of one are left out. `float_power` and not `**2`: it rounds as upstream's scalar
    power does, and the system is chaotic enough to show the difference.
    """
    cos_3B = np.empty((3, state_SB.shape[1]))
    np.add(state_SB[0], state_SB[1], out=cos_3B[0])
    cos_3B[1:] = state_SB[:2]
    cos_3B[:2] -= HALF_TURN
    np.cos(cos_3B, out=cos_3B)
    cos_3B[:2] *= ACROBOT_WEIGHTS
    phi2, weight1, cos2 = cos_3B
    sin2 = np.sin(state_SB[1])
    drag_2B = np.float_power(state_SB[2:], 2.0)  # 0.5 * dtheta**2 * sin2
    drag_2B *= HALF
    drag_2B *= sin2
    d1 = cos2 + FIVE_QUARTERS
    d1 += QUARTER
    d1 += ONE
    d1 += ONE
    d2 = np.multiply(HALF, cos2, out=cos2)
    d2 += QUARTER
    d2 += ONE
    # -0.5 * dtheta2**2 * sin2 - dtheta2 * dtheta1 * sin2 + weight1 + phi2
    phi1 = state_SB[3] * state_SB[2]
    phi1 *= sin2
    phi1 += drag_2B[1]
    np.subtract(weight1, phi1, out=phi1)
    phi1 += phi2
    rate_SB = np.empty_like(state_SB)
    rate_SB[:2] = state_SB[2:]
    # (torque + d2 / d1 * phi1 - 0.5 * dtheta1**2 * sin2 - phi2) / (1.25 - d2**2 / d1)
    ddtheta2 = np.divide(d2, d1, out=rate_SB[3])
    ddtheta2 *= phi1
    ddtheta2 += torque_B
    ddtheta2 -= drag_2B[0]
    ddtheta2 -= phi2
    inertia = np.float_power(d2, 2.0)
    inertia /= d1
    ddtheta2 /= np.subtract(FIVE_QUARTERS, inertia, out=inertia)
    # -(d2 * ddtheta2 + phi1) / d1
    d2 *= ddtheta2
    d2 += phi1
    d2 /= d1
    np.negative(d2, out=rate_SB[2])
    return rate_SB


class Acrobot(Physics):
    """Swing the free end above the goal line with a torque of -1, 0 or 1 between the links."""

    base_id, stock_id, stock_dt = "Acrobot", "Acrobot-v1", 0.2
    observation_space = symmetric_box(1.0, 1.0, 1.0, 1.0, 4 * np.pi, 9 * np.pi)
    action_space = Discrete(3)
    reward_bounds = (-1.0, 0.0)
    speed_limit_2 = np.array([[4 * np.pi], [9 * np.pi]])

    def draw(self, rng: np.random.Generator) -> Array:
        start_S = rng.uniform(low=-0.1, high=0.1, size=(4,)).astype(np.float32)
        return start_S.astype(np.float64)  # float32 values, as upstream starts with

    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        torque_B = action_B - 1.0
        dt, half = self.dt, self.dt / 2.0
        k1 = acrobot_rates(state_SB, torque_B)
        k2 = acrobot_rates(state_SB + half * k1, torque_B)
        k3 = acrobot_rates(state_SB + half * k2, torque_B)
        k4 = acrobot_rates(state_SB + dt * k3, torque_B)
        next_SB = k1 + 2 * k2
        next_SB += 2 * k3
        next_SB += k4
        next_SB *= dt / 6.0
        next_SB += state_SB
        angle_2B = next_SB[:2]
        while np.count_nonzero(beyond := angle_2B > np.pi):
            angle_2B -= np.where(beyond, 2 * np.pi, 0.0)
        while np.count_nonzero(beyond := angle_2B < -np.pi):
            angle_2B += np.where(beyond, 2 * np.pi, 0.0)
        speed_2B = next_SB[2:]
        np.maximum(speed_2B, -self.speed_limit_2, out=speed_2B)
        np.minimum(speed_2B, self.speed_limit_2, out=speed_2B)
        goal_B = -np.cos(next_SB[0]) - np.cos(next_SB[1] + next_SB[0]) > 1.0
        return next_SB, goal_B - 1.0, goal_B

    def observe(self, state_SB: Array) -> Array:
        obs_BO = np.empty((state_SB.shape[1], 6), dtype=np.float32)
        angle_2B = state_SB[:2]
        obs_OB = obs_BO.T
        obs_OB[0:4:2] = np.cos(angle_2B)
        obs_OB[1:4:2] = np.sin(angle_2B)
        obs_OB[4:] = state_SB[2:]
        return obs_BO

    def observe_start(self, state_SB: Array) -> Array:
        return self.observe(state_SB.astype(np.float32))
