"""Any MiniGrid id, `env=minigrid env.id=…`: batched where its layout is here, else the package's.

The package's environments are stepped one after the other and observe their `image` alone; the
mission text and the compass are left out, as in the batched ones.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import DependencyNotInstalled
from gymnasium.spaces import Dict

from envs.gym_env import GymEnv, GymVectorEnv
from envs.minigrid import LAYOUTS
from envs.minigrid.layouts.base import Array, Layout, check_time
from envs.packages import package_of
from envs.wrappers.replay import Replay
from envs.wrappers.time_discretization import PhysicalTimeLimit
from rlkit.observations import ObsPart
from rlkit.options import ConfigError, nearest, option

NAMESPACES = ("MiniGrid-", "BabyAI-")


@dataclass(frozen=True)
class MiniGridOptions:
    id: str = option("an id of the MiniGrid package, e.g. MiniGrid-DoorKey-8x8-v0")


class MiniGrid:
    """Builds vectors and single environments from an id."""

    @classmethod
    def native_dt(cls, options: MiniGridOptions) -> float:
        return 1.0

    @classmethod
    def make_vector(
        cls,
        options: MiniGridOptions,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> Any:
        found = layout_of(options.id)
        if found is not None:
            layout, layout_options = found
            return layout.make_vector(layout_options, dt, num_envs, action_repeat, render_mode)
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        check_time(dt, action_repeat)
        modes = [render_mode] + [None] * (num_envs - 1)  # only copy 0 is drawn
        return GymVectorEnv([_package_env(options.id, mode) for mode in modes])

    @classmethod
    def make_single(
        cls,
        options: MiniGridOptions,
        dt: float,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> gymnasium.Env:
        found = layout_of(options.id)
        if found is not None:
            layout, layout_options = found
            return layout.make_single(layout_options, dt, action_repeat, render_mode)
        check_time(dt, action_repeat)
        return _package_env(options.id, render_mode)


def batched_ids() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """MiniGrid id → target of its layout, and the options that make it."""
    return {
        env_id: (target, values)
        for target in LAYOUTS.values()
        for env_id, values in _class_of(target).ids.items()
    }


def layout_of(env_id: str) -> tuple[type[Layout], Any] | None:
    """The layout of an id and its options; None if it is not here."""
    target, values = batched_ids().get(env_id, (None, {}))
    if target is None:
        return None
    module, _, name = target.partition(":")
    options = getattr(importlib.import_module(module), f"{name}Options")
    return _class_of(target), options(**{"max_steps": None, **values})


def _class_of(target: str) -> type[Layout]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _package_env(env_id: str, render_mode: str | None) -> GymEnv:
    if not env_id.startswith(NAMESPACES):
        raise ConfigError(
            f"env.id={env_id} is no id of the MiniGrid package{nearest(env_id, batched_ids())}"
        )
    package = package_of(env_id)
    if env_id not in gymnasium.registry:
        known = [name for name in gymnasium.registry if name.startswith(NAMESPACES)]
        raise ConfigError(
            f"env.id={env_id} is no id of the MiniGrid package{nearest(env_id, known)}"
        )
    env = Replay(lambda: _Image(_make(env_id, render_mode)))
    limited = PhysicalTimeLimit(env, package.episode_steps(env), 1.0)
    return GymEnv(limited, 1.0, 1.0, success_above=0.0)


def _make(env_id: str, render_mode: str | None) -> gymnasium.Env:
    try:
        return gymnasium.make(env_id, render_mode=render_mode, disable_env_checker=True)
    except (DependencyNotInstalled, ImportError) as e:
        raise ConfigError(f"env.id={env_id} needs a package that is not installed: {e}") from e


class _Image(gymnasium.ObservationWrapper):
    """The `image` of the package's observation alone."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        assert isinstance(env.observation_space, Dict)
        self.observation_space = image = env.observation_space["image"]
        assert image.shape is not None
        self.obs_parts = (ObsPart("image", "grid", image.shape),)

    def observation(self, observation: Any) -> Array:
        return np.array(observation["image"], dtype=np.uint8)
