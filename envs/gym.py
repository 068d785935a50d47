"""The generic route: any registered gymnasium environment, `env=gym env.id=LunarLander-v3`.

Rewards are taken as rates as they come. Observations become one array (`envs.packing`), actions
Discrete or [-1, 1] (`envs.actions`). State is saved by `envs.wrappers.replay`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.error import DependencyNotInstalled

from envs.gym_env import GymEnv, GymVectorEnv, PackedEnv
from envs.packages import divert_mujoco_warnings, package_of
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
    drop_keys: tuple[str, ...] = option("parts of a dictionary observation to leave out")
    success_above: float | None = option(
        "return (sum of reward times dt) above which an episode succeeded; null = unknown"
    )
    kwargs: Mapping[str, Any] = option("arguments of its constructor")


class Gym:
    """Builds vectors and single environments from a gymnasium id."""

    @classmethod
    def native_dt(cls, options: GymOptions) -> float:
        env = _make(options, None)
        try:
            return _native_dt(env, options)
        finally:
            env.close()

    @classmethod
    def make_vector(
        cls,
        options: GymOptions,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> GymVectorEnv:
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        stock_dt = cls.native_dt(options)  # read once, not per copy
        modes = [render_mode] + [None] * (num_envs - 1)  # only copy 0 is drawn
        return GymVectorEnv([_single(options, dt, stock_dt, action_repeat, m) for m in modes])

    @classmethod
    def make_single(
        cls,
        options: GymOptions,
        dt: float,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> GymEnv:
        return _single(options, dt, cls.native_dt(options), action_repeat, render_mode)


def _single(
    options: GymOptions, dt: float, stock_dt: float, action_repeat: int, render_mode: str | None
) -> GymEnv:
    def build() -> gymnasium.Env:
        env = _make(options, render_mode)
        discretise(env, options.id, dt, stock_dt)
        return PackedEnv(env, options.drop_keys)

    env: gymnasium.Env = Replay(build)
    limit_seconds = options.time_limit_seconds
    steps = gymnasium.spec(options.id).max_episode_steps
    if steps is None:
        steps = package_of(options.id).episode_steps(env)
    if limit_seconds is None and steps is not None:
        limit_seconds = steps * stock_dt
    if action_repeat > 1:
        env = ActionRepeat(env, action_repeat)
    outer_dt = dt * action_repeat  # `build` reads dt again when a state is restored
    limited = PhysicalTimeLimit(env, limit_seconds, outer_dt)
    return GymEnv(limited, outer_dt, stock_dt, options.success_above)


def _make(options: GymOptions, render_mode: str | None) -> gymnasium.Env:
    package_of(options.id)
    if options.id not in gymnasium.registry:
        raise ConfigError(
            f"env.id={options.id} is not a registered gymnasium environment"
            f"{nearest(options.id, gymnasium.registry)}"
        )
    spec = gymnasium.spec(options.id)
    undrawn = ConfigError(f"env.id={options.id} cannot be drawn as {render_mode}")
    drawing = {} if render_mode is None else {"render_mode": render_mode}  # not all take one
    try:
        if drawing and not _may_draw(spec, render_mode):
            raise undrawn
        if "mujoco" in str(spec.entry_point):
            divert_mujoco_warnings()
        env = gymnasium.make(
            options.id,
            max_episode_steps=-1,  # the clock is ours, in seconds
            disable_env_checker=True,
            **drawing,
            **options.kwargs,
        )
    except (DependencyNotInstalled, ModuleNotFoundError) as e:
        raise ConfigError(
            f"env.id={options.id} needs a package that is not installed:"
            f" pip install 'gymnasium[{_extra_of(str(spec.entry_point))}]' ({e})"
        ) from e
    except (AssertionError, TypeError, gymnasium.error.Error) as e:
        why = str(e) or type(e).__name__
        raise ConfigError(f"env.id={options.id} cannot be built with env.kwargs: {why}") from e
    if env.render_mode != render_mode:  # some take the word and forget it
        raise undrawn
    return env


def _may_draw(spec: EnvSpec, render_mode: str | None) -> bool:
    """Whether the class claims the mode; what is built by a function says so only afterwards."""
    assert spec.entry_point is not None
    creator = spec.entry_point if callable(spec.entry_point) else load_env_creator(spec.entry_point)
    claimed = getattr(creator, "metadata", None)
    return claimed is None or render_mode in claimed.get("render_modes", ())


def _extra_of(entry_point: str) -> str:
    extras = {"box2d": "box2d", "mujoco": "mujoco", "toy_text": "toy-text"}
    return next((extra for part, extra in extras.items() if part in entry_point), "all")


def _native_dt(env: gymnasium.Env, options: GymOptions) -> float:
    """What the physics says, what was given, what the package is known for, the frame rate."""
    stated, given, fps = _stated_dt(env), options.native_dt, env.metadata.get("render_fps")
    if stated is not None and given is not None and abs(stated - given) > 1e-9 * stated:
        raise ConfigError(
            f"env.native_dt is {given:g}, but the step of {options.id} is {stated:g} s"
        )
    known = given or stated or package_of(options.id).native_dt
    if known is not None:
        return float(known)
    if not fps:
        raise ConfigError(f"{options.id} does not say how long its step is: give env.native_dt=…")
    return 1.0 / float(fps)


def _stated_dt(env: gymnasium.Env) -> float | None:
    """Seconds per step if the physics says so (the frame rate of drawings is only a guess)."""
    for name in ("dt", "tau"):
        value = getattr(env.unwrapped, name, None)
        if isinstance(value, float | int) and value > 0:
            return float(value)
    return None
