"""Box2D for any dt: what BipedalWalker and LunarLander share.

gymnasium's environments draw the start, build the bodies and paint the frames. The step is ours and
replaces theirs on the instance, because theirs takes its clock from a constant of the module. All
operations are in upstream's order, so that at the stock dt every number is its own to the last bit.

    reward    a rate r: the growth of the shaping times 0.02 / dt, minus upstream's cost of a step.
              The sum of r dt is 0.02 times the sum of upstream's rewards, whatever dt is
    lump      a sum R on ending is returned as R 0.02 / dt, and weighs 0.02 R likewise
    reset     ends with a step without action, as upstream's. Here it always lasts 0.02 s, because
              the random kick at the start is a force for that one step: every dt starts alike
"""

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box

from envs.gym_env import GymEnv, GymVectorEnv
from envs.physics import Array, checked_mode
from envs.wrappers.action_repeat import ActionRepeat
from envs.wrappers.replay import Replay
from envs.wrappers.time_discretization import PhysicalTimeLimit
from rlkit.observations import parts_of
from rlkit.options import ConfigError

STOCK_DT = 0.02
FPS = 50
"""Upstream divides observed velocities by its frame rate; so do we at every dt."""
SCALE = 30.0
"""Upstream's unit of length is 1 / SCALE metres."""
WIDTH, HEIGHT = 600 / SCALE, 400 / SCALE
"""Of the view."""
SHORTEST_DT = 0.0002
"""Shorter steps move a slow body by less than float32 resolves."""
ITERATIONS = (6 * 30, 2 * 30)
"""Of the solver, for velocities and positions."""


class Box2DEnv(gymnasium.Wrapper, ABC):
    """The contract: an environment of gymnasium that advances `dt` seconds a step.

    Args:
        options: the declared options of the environment.
        dt: seconds per step.
        render_mode: None or "rgb_array".
    """

    stock_id: ClassVar[str]
    longest_dt: ClassVar[float]
    """Seconds beyond which the physics comes apart (measured, docs/envs/box2d.md)."""
    solved: ClassVar[float]
    """Upstream's return above which the task is solved."""

    def __init__(self, options: Any, dt: float, render_mode: str | None = None):
        super().__init__(make_upstream(self.stock_id, render_mode, self.arguments(options)))
        self.base = cast(Any, self.env.unwrapped)
        self.base.step = self._step  # also for the step that upstream's reset takes
        assert isinstance(self.env.observation_space, Box)
        self.obs_parts = parts_of(self.env.observation_space)
        self.dt = self.seconds = dt
        """`seconds` is the length of the present step: STOCK_DT during a reset, else dt."""
        self.steps = 0
        """Since the reset."""
        self.lump_scale = STOCK_DT / dt if options.lump == "kept" else 1.0

    @classmethod
    @abstractmethod
    def arguments(cls, options: Any) -> dict[str, Any]:
        """For upstream's constructor."""

    @classmethod
    @abstractmethod
    def limit_seconds(cls, options: Any) -> float:
        """Length of an episode."""

    @abstractmethod
    def act(self, action: Any) -> Iterable[Any]:
        """Sets motors and engines for a step of `seconds`; returns upstream's costs of a step."""

    @abstractmethod
    def observe(self) -> tuple[list[float], float]:
        """Observation and shaping."""

    @abstractmethod
    def end(self, obs: list[float]) -> tuple[bool, int]:
        """Whether the episode terminates, and the lump paid then instead of the reward, or 0."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        self.base._destroy()
        self.base.world = type(self.base.world)()  # a used one remembers, and steps differently
        self.steps, self.seconds = 0, STOCK_DT
        obs, info = self.env.reset(seed=seed, options=options)
        self.steps, self.seconds = 0, self.dt
        return obs, info

    def _step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        costs = self.act(action)
        self.base.world.Step(self.seconds, *ITERATIONS)
        self.steps += 1
        obs, shaping = self.observe()
        before, self.base.prev_shaping = self.base.prev_shaping, shaping
        rate = 0.0 if before is None else (shaping - before) * (STOCK_DT / self.seconds)
        for cost in costs:
            rate -= cost
        terminated, lump = self.end(obs)
        if lump:
            rate = lump * self.lump_scale
        return np.array(obs, dtype=np.float32), rate, terminated, False, {}

    @classmethod
    def native_dt(cls, options: Any) -> float:
        return STOCK_DT

    @classmethod
    def make_vector(
        cls,
        options: Any,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> GymVectorEnv:
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        modes = [render_mode] + [None] * (num_envs - 1)  # only copy 0 is drawn
        return GymVectorEnv([cls.make_single(options, dt, action_repeat, mode) for mode in modes])

    @classmethod
    def make_single(
        cls, options: Any, dt: float, action_repeat: int = 1, render_mode: str | None = None
    ) -> GymEnv:
        if not SHORTEST_DT <= dt <= cls.longest_dt:
            raise ConfigError(
                f"dt={dt:g} s is not possible for {cls.stock_id}, whose physics is sound from"
                f" {SHORTEST_DT:g} to {cls.longest_dt:g} s"
            )
        env: gymnasium.Env = Replay(lambda: cls(options, dt, checked_mode(render_mode)))
        if action_repeat > 1:
            env = ActionRepeat(env, action_repeat)
        outer_dt = dt * action_repeat
        limited = PhysicalTimeLimit(env, cls.limit_seconds(options), outer_dt)
        # a vanishing lump makes another return, of which nobody has said what solves the task
        success_above = cls.solved * STOCK_DT if options.lump == "kept" else None
        return GymEnv(limited, outer_dt, STOCK_DT, success_above)


def make_upstream(env_id: str, render_mode: str | None, arguments: dict[str, Any]) -> gymnasium.Env:
    """An environment of gymnasium, without its clock."""
    try:
        with warnings.catch_warnings():
            # the bindings warn when they are imported, and crash if that becomes an error
            warnings.simplefilter("ignore", DeprecationWarning)
            importlib.import_module("gymnasium.envs.box2d")
        return gymnasium.make(
            env_id,
            render_mode=render_mode,
            max_episode_steps=-1,  # the clock is ours, in seconds
            disable_env_checker=True,
            **arguments,
        )
    except DependencyNotInstalled as e:
        raise ConfigError(
            f"{env_id} needs a package that is not installed: pip install 'gymnasium[box2d]'"
        ) from e
    except AssertionError as e:
        raise ConfigError(f"{env_id} cannot be built: {e}") from e
