"""The generic route: any registered gymnasium environment, `env=gym env.id=LunarLander-v3`.

Rewards are taken as rates as they come. Continuous actions are rescaled to [-1, 1], observations
become float32. State is saved by `envs.wrappers.replay`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.physics import Array, PhasePlane
from envs.wrappers.action_repeat import ActionRepeat
from envs.wrappers.replay import Replay
from envs.wrappers.time_discretization import PhysicalTimeLimit, discretise
from rlkit.options import ConfigError, nearest, option


@dataclass(frozen=True)
class GymOptions:
    id: str = option("a registered gymnasium id")
    native_dt: float | None = option("seconds per step; null = read from it", unit="s", above=0)
    time_limit_seconds: float | None = option(
        "episode length; null = its max_episode_steps", unit="s", above=0
    )
    kwargs: Mapping[str, Any] = option("arguments of its constructor")


class Gym:
    """Builds vectors and single environments from a gymnasium id."""

    @classmethod
    def native_dt(cls, options: GymOptions) -> float:
        env = _make(options, None)
        try:
            stated, fps = _stated_dt(env), env.metadata.get("render_fps")
        finally:
            env.close()
        given = options.native_dt
        if stated is not None and given is not None and abs(stated - given) > 1e-9 * stated:
            raise ConfigError(
                f"env.native_dt is {given:g}, but the step of {options.id} is {stated:g} s"
            )
        if given is not None or stated is not None:
            return float(given or stated or 0)
        if not fps:
            raise ConfigError(
                f"{options.id} does not say how long its step is: give env.native_dt=…"
            )
        return 1.0 / float(fps)

    @classmethod
    def make_vector(
        cls,
        options: GymOptions,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> "GymVectorEnv":
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")

        options = replace(options, native_dt=cls.native_dt(options))  # read once, not per copy

        def build(mode: str | None) -> "GymEnv":
            return cls.make_single(options, dt, action_repeat, mode)

        # only copy 0 is drawn
        return GymVectorEnv([build(render_mode if i == 0 else None) for i in range(num_envs)])

    @classmethod
    def make_single(
        cls,
        options: GymOptions,
        dt: float,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> "GymEnv":
        stock_dt = cls.native_dt(options)

        def build() -> gymnasium.Env:
            env = _make(options, render_mode)
            discretise(env, options.id, dt, stock_dt)
            return env

        limit_seconds = options.time_limit_seconds
        steps = gymnasium.spec(options.id).max_episode_steps
        if limit_seconds is None and steps is not None:
            limit_seconds = steps * stock_dt
        env: gymnasium.Env = Replay(build)
        if action_repeat > 1:
            env = ActionRepeat(env, action_repeat)
        outer_dt = dt * action_repeat  # `build` reads dt again when a state is restored
        return GymEnv(PhysicalTimeLimit(env, limit_seconds, outer_dt), outer_dt, stock_dt)


def _make(options: GymOptions, render_mode: str | None) -> gymnasium.Env:
    if options.id not in gymnasium.registry:
        raise ConfigError(
            f"env.id={options.id} is not a registered gymnasium environment"
            f"{nearest(options.id, gymnasium.registry)}"
        )
    spec = gymnasium.spec(options.id)
    try:
        return gymnasium.make(
            options.id,
            render_mode=render_mode,
            max_episode_steps=-1,  # the clock is ours, in seconds
            disable_env_checker=True,
            **options.kwargs,
        )
    except (DependencyNotInstalled, ModuleNotFoundError) as e:
        raise ConfigError(
            f"env.id={options.id} needs a package that is not installed:"
            f" pip install 'gymnasium[{_extra_of(str(spec.entry_point))}]' ({e})"
        ) from e
    except (TypeError, gymnasium.error.Error) as e:
        raise ConfigError(f"env.id={options.id} cannot be built with env.kwargs: {e}") from e


def _extra_of(entry_point: str) -> str:
    extras = {"box2d": "box2d", "mujoco": "mujoco", "toy_text": "toy-text"}
    return next((extra for part, extra in extras.items() if part in entry_point), "all")


def _stated_dt(env: gymnasium.Env) -> float | None:
    """Seconds per step if the physics says so (the frame rate of drawings is only a guess)."""
    for name in ("dt", "tau"):
        value = getattr(env.unwrapped, name, None)
        if isinstance(value, float | int) and value > 0:
            return float(value)
    return None


class GymEnv(gymnasium.Wrapper):
    """The single form of the contract: float32 observations, actions in [-1, 1], dt."""

    reward_bounds = None

    def __init__(self, env: PhysicalTimeLimit, dt: float, stock_dt: float):
        super().__init__(env)
        self.limit, self.dt, self.stock_dt = env, dt, stock_dt
        space = env.observation_space
        if not isinstance(space, Box):
            raise ConfigError(f"{_name(env)} observes {space}, but only Box is supported")
        self.observation_space = Box(
            space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32
        )
        self._scale: tuple[Array, Array] | None = None
        actions = env.action_space
        if isinstance(actions, Discrete):
            self._first = int(actions.start)
            self.action_space = Discrete(int(actions.n))
        elif isinstance(actions, Box) and len(actions.shape) == 1 and actions.is_bounded():
            low, high = actions.low.astype(np.float32), actions.high.astype(np.float32)
            self._scale = ((high + low) / 2, (high - low) / 2)
            self._action_type = actions.dtype
            self.action_space = Box(-1.0, 1.0, actions.shape, np.float32)
        else:
            raise ConfigError(
                f"{_name(env)} takes {actions}, but only Discrete and bounded flat Box actions"
                " are supported"
            )

    def _theirs(self, action: Any) -> Any:
        if self._scale is None:
            return int(action) + self._first
        middle, half = self._scale
        scaled = middle + half * np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        return scaled.astype(self._action_type)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        obs, info = self.env.reset(seed=seed, options=options)
        return np.array(obs, dtype=np.float32), info  # a copy: some environments reuse theirs

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(self._theirs(action))
        return np.array(obs, dtype=np.float32), float(reward), terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        return self.limit.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self.limit.set_state(state)


def _name(env: gymnasium.Env) -> str:
    return env.spec.id if env.spec is not None else str(env)


class GymVectorEnv(VectorEnv):
    """B instances stepped one after the other, with dense final observations.

    Args:
        envs: the instances.
    """

    reward_bounds = None

    def __init__(self, envs: Sequence[GymEnv]):
        self.copies = list(envs)
        self.sync = SyncVectorEnv(
            [lambda env=env: env for env in envs],  # type: ignore[misc]
            copy=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        self.num_envs = len(envs)
        self.dt, self.stock_dt = envs[0].dt, envs[0].stock_dt
        self.limit_steps = envs[0].limit.limit_steps
        self.spec, self.metadata = envs[0].spec, self.sync.metadata
        self.render_mode = envs[0].render_mode
        self.base_id = envs[0].spec.name if envs[0].spec is not None else ""
        self.single_observation_space = envs[0].observation_space
        self.single_action_space = envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: Any = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """As `BatchedEnv.reset`: `options={"elapsed_steps": …}` lets the clocks start apart."""
        options = dict(options or {})
        elapsed = np.broadcast_to(options.pop("elapsed_steps", 0), (self.num_envs,))
        seed = int(seed) if isinstance(seed, np.integer) else seed
        obs_BO, infos = self.sync.reset(seed=seed, options=options or None)
        for copy, steps in zip(self.copies, elapsed, strict=True):
            copy.limit.elapsed_steps = int(steps)
        return obs_BO.copy(), infos

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        obs_BO, reward_B, terminated_B, truncated_B, infos = self.sync.step(actions)
        obs_BO = obs_BO.copy()
        if "_final_obs" in infos:
            final_BO = obs_BO.copy()
            for i in np.flatnonzero(infos["_final_obs"]):
                final_BO[i] = infos["final_obs"][i]
            infos["final_obs"] = final_BO
        return obs_BO, reward_B, terminated_B, truncated_B, infos

    def get_state(self) -> dict[str, Any]:
        return {"copies": [env.get_state() for env in self.copies]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if len(state["copies"]) != self.num_envs:
            raise ValueError(f"the state is of {len(state['copies'])} copies, not {self.num_envs}")
        for env, one in zip(self.copies, state["copies"], strict=True):
            env.set_state(one)

    def phase_plane(self, n: int) -> PhasePlane | None:
        """None: the state of a foreign environment is unknown."""
        return None

    def render(self) -> tuple[Array, ...] | None:
        """A tuple of one frame, of copy 0."""
        if self.render_mode is None:
            return None
        return (np.asarray(self.copies[0].render(), dtype=np.uint8),)

    def close_extras(self, **kwargs: Any) -> None:
        self.sync.close()
