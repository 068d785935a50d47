"""The contract of a task: what it observes, what it rewards, how an episode begins.

A `Body` holds no simulation. It names the numbers of a copy that matter (`views`), and computes
on them for all copies at once. The order of every operation is gymnasium's, so that at the stock
dt observations, rewards and ends are its own to the last bit (observations as float32).

A family is one file: `<Name>Options`, the declared options, and `<Name>(Body)`. To add one: write
it, name it in `envs.mujoco.BODIES`, and give it `configs/env/<name>.yaml`.

Shapes: B copies, O observation, A actuators; what is read of each copy is [B, n].
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from envs.mujoco.model import model_at, mujoco_for, stock_model, sub_steps
from rlkit.options import ConfigError

if TYPE_CHECKING:
    from envs.mujoco.pool import MujocoPool
    from envs.mujoco.single import SingleMujoco

Array = NDArray[Any]
Reading = Mapping[str, Array]
"""Name of a view → its numbers in all copies, float64 [B, n]."""


class Body(ABC):
    """The contract.

    Args:
        options: the declared options of the environment.
        dt: seconds per step.
    """

    observation_space: Box

    base_id: ClassVar[str]
    """Key of the velocity table: the stock id without version."""
    file: ClassVar[str]
    """The model, among gymnasium's."""
    stock_dt: ClassVar[float]
    coarsest_dt: ClassVar[float]
    """Largest dt worth having: the shortest time in which one held action was seen to end an
    episode; ten stock steps where no episode ends by itself."""

    contacts: bool = False
    """Whether contact forces (`cfrc_ext`) matter, which MuJoCo computes on demand only."""

    def __init__(self, options: Any, dt: float):
        self.options, self.dt = options, float(dt)
        self.time_limit_seconds: float | None = options.time_limit_seconds
        self.stock_id = f"{self.base_id}-v5"
        if dt > self.coarsest_dt * (1 + 1e-9):
            raise ConfigError(
                f"dt={dt:g} s is too coarse for {self.base_id}: one action held so long decides an"
                f" episode (at most {self.coarsest_dt:g} s; stock {self.stock_dt:g} s)"
            )
        mujoco_for(self.stock_id)
        self.frame_skip, timestep = sub_steps(self.dt, stock_model(self.file).opt.timestep)
        self.model = model = model_at(self.file, timestep)
        self.step_seconds = timestep * self.frame_skip
        """dt up to rounding: the product that gymnasium divides by."""
        low_A, high_A = model.actuator_ctrlrange.astype(np.float32).T
        self._middle_A, self._half_A = (high_A + low_A) / 2, (high_A - low_A) / 2
        self.action_space = Box(-1.0, 1.0, (model.nu,), np.float32)

    def controls_of(self, action_BA: Array) -> Array:
        """Actions in [-1, 1] (beyond is clipped) in the units of the actuators, float32."""
        clipped_BA = np.clip(np.ascontiguousarray(action_BA), -1.0, 1.0)
        return self._middle_A + self._half_A * clipped_BA

    def views(self, data: Any) -> dict[str, Array]:
        """The numbers of one simulation that `observe`, `place` and `outcome` need."""
        return {"qpos": data.qpos, "qvel": data.qvel}

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Initial (positions, velocities): uniform noise; drawn in upstream's order."""
        model, noise = self.model, self.options.reset_noise_scale
        qpos = model.qpos0 + rng.uniform(low=-noise, high=noise, size=model.nq)
        return qpos, rng.uniform(low=-noise, high=noise, size=model.nv)

    def place(self, reading: Reading) -> Array:
        """What the forward reward is the rate of [B]; nothing to most bodies without one."""
        return reading["qpos"][:, 0]

    @abstractmethod
    def observe(self, reading: Reading) -> Array:
        """The observation [B, O] float32, a new array."""

    @abstractmethod
    def outcome(self, reading: Reading, speed_B: Array, control_BA: Array) -> tuple[Array, Array]:
        """What a step ended in.

        Args:
            reading: after the step.
            speed_B: change of `place` per second.
            control_BA: float32, in the units of the actuators.

        Returns:
            (reward rate float64 [B], terminated [B]).
        """

    @classmethod
    def native_dt(cls, options: Any) -> float:
        return cls.stock_dt

    @classmethod
    def make_vector(
        cls,
        options: Any,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> "MujocoPool":
        from envs.mujoco.pool import MujocoPool

        return MujocoPool(
            cls(options, dt), num_envs, action_repeat, render_mode, options.num_threads
        )

    @classmethod
    def make_single(
        cls, options: Any, dt: float, action_repeat: int = 1, render_mode: str | None = None
    ) -> "SingleMujoco":
        from envs.mujoco.single import SingleMujoco

        return SingleMujoco(cls(options, dt), action_repeat, render_mode)


def normal_speeds(body: Body, rng: np.random.Generator) -> tuple[Array, Array]:
    """Initial (positions, velocities) where upstream draws velocities from a normal."""
    model, noise = body.model, body.options.reset_noise_scale
    qpos = model.qpos0 + rng.uniform(low=-noise, high=noise, size=model.nq)
    return qpos, noise * rng.standard_normal(model.nv)


def unbounded(size: int) -> Box:
    """The space of so many numbers of any value."""
    return Box(-np.inf, np.inf, (size,), np.float32)


def pack(*parts_B: Array) -> Array:
    """One float32 row a copy, from the parts laid end to end."""
    return np.concatenate(parts_B, axis=1, dtype=np.float32)


def square_sum(values_BN: Array) -> Array:
    """The sum of squares of each row, in the type of the numbers."""
    return np.square(values_BN).sum(axis=1)


def never(speed_B: Array) -> Array:
    """No copy terminates."""
    return np.zeros(speed_B.shape, dtype=bool)


def limits(name: str, given: tuple[float | None, ...]) -> tuple[float, float]:
    """A range whose open ends are written null.

    Args:
        name: of the option, for the message.
        given: the two ends.
    """
    if len(given) == 2:
        low = -np.inf if given[0] is None else given[0]
        high = np.inf if given[1] is None else given[1]
        if low < high:
            return low, high
    raise ConfigError(
        f"env.{name} is {list(given)}, but must be [low, high] with low < high, null for no bound"
    )
