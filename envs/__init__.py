"""Environments: names, and how a vector or single environment is built from them.

A registered class offers `native_dt(options)`, `make_vector(options, dt, num_envs, …)` and
`make_single(options, dt, …)`; its options are the dataclass of the same name + "Options" beside
it. Importing this package registers `rlkit/Pendulum-v0` and the others with gymnasium.

The contract, beyond gymnasium's own (autoreset SAME_STEP):
    dt, stock_dt      seconds per step, here and in the stock environment
    reward_bounds     bounds of the reward rate if known, else None
    step              rewards are rates: the return is the sum of r dt; float64
    final_obs         infos["final_obs"] is a dense [B, …] array, typed like the observation,
                      where a copy ended
    obs_parts         what an observation is made of (`rlkit.observations`)
    success_above     return above which an episode succeeded; None if that is unknown
    get_state         plain data; set_state goes on from it bit for bit
    phase_plane(n)    a grid over two-dimensional states, else None
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.minigrid import LAYOUTS
from envs.mujoco import BODIES
from envs.wrappers import WrapperOptions
from rlkit.options import ConfigError, check, declared
from rlkit.registry import Registry

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

__all__ = [
    "ENVS",
    "WrapperOptions",
    "default_options",
    "make_env",
    "make_vector_env",
    "native_dt",
    "options_target",
]

ENVS = Registry(
    "environment",
    {
        "acrobot": "envs.classic:Acrobot",
        "bipedal_walker": "envs.bipedal_walker:BipedalWalker",
        "car_racing": "envs.car_racing:CarRacing",
        "cartpole": "envs.classic:CartPole",
        "gym": "envs.gym:Gym",
        "lunar_lander": "envs.lunar_lander:LunarLander",
        "minigrid": "envs.minigrid.generic:MiniGrid",
        "mountain_car": "envs.mountain_car:MountainCar",
        "mountain_car_continuous": "envs.mountain_car:MountainCarContinuous",
        "pendulum": "envs.classic:Pendulum",
        "pendulum_two_torque": "envs.classic:PendulumTwoTorque",
        **BODIES,
        **LAYOUTS,
    },
)

GYMNASIUM_IDS = {
    "acrobot": "rlkit/Acrobot-v0",
    "ant": "rlkit/Ant-v0",
    "bipedal_walker": "rlkit/BipedalWalker-v0",
    "car_racing": "rlkit/CarRacing-v0",
    "cartpole": "rlkit/CartPole-v0",
    "half_cheetah": "rlkit/HalfCheetah-v0",
    "hopper": "rlkit/Hopper-v0",
    "humanoid": "rlkit/Humanoid-v0",
    "humanoid_standup": "rlkit/HumanoidStandup-v0",
    "inverted_double_pendulum": "rlkit/InvertedDoublePendulum-v0",
    "inverted_pendulum": "rlkit/InvertedPendulum-v0",
    "lunar_lander": "rlkit/LunarLander-v0",
    "minigrid_doorkey": "rlkit/MiniGridDoorKey-v0",
    "minigrid_key_corridor": "rlkit/MiniGridKeyCorridor-v0",
    "minigrid_lava_crossing": "rlkit/MiniGridLavaCrossing-v0",
    "minigrid_memory": "rlkit/MiniGridMemory-v0",
    "minigrid_red_blue_doors": "rlkit/MiniGridRedBlueDoors-v0",
    "minigrid_simple_crossing": "rlkit/MiniGridSimpleCrossing-v0",
    "minigrid_unlock": "rlkit/MiniGridUnlock-v0",
    "minigrid_unlock_pickup": "rlkit/MiniGridUnlockPickup-v0",
    "mountain_car": "rlkit/MountainCar-v0",
    "mountain_car_continuous": "rlkit/MountainCarContinuous-v0",
    "pendulum": "rlkit/Pendulum-v0",
    "pendulum_two_torque": "rlkit/PendulumTwoTorque-v0",
    "pusher": "rlkit/Pusher-v0",
    "reacher": "rlkit/Reacher-v0",
    "swimmer": "rlkit/Swimmer-v0",
    "walker2d": "rlkit/Walker2d-v0",
}

CONFIGS = Path(__file__).parent.parent / "configs"


def options_target(name: str) -> str:
    """`"module:Class"` of the options of an environment, for `rlkit.options.declared`."""
    return ENVS.target(name) + "Options"


def default_options(name: str) -> dict[str, Any]:
    """The option values in `configs/env/<name>.yaml`; empty for an environment without one."""
    ENVS.target(name)
    return _read(CONFIGS / "env" / f"{name}.yaml")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    import yaml  # type: ignore[import-untyped]

    values = yaml.safe_load(path.read_text()) or {}
    return {k: v for k, v in values.items() if k not in ("name", "dt")}


def _checked(values: Mapping[str, Any], target: str, where: str, file: str) -> Any:
    import importlib

    check(values, declared(target), where, file)
    module, _, name = target.partition(":")
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return getattr(importlib.import_module(module), name)(**tuples)


def _env_options(name: str, options: Mapping[str, Any] | None) -> Any:
    given = {k: v for k, v in (options or {}).items() if k not in ("name", "dt")}
    values = {**default_options(name), **given}
    return _checked(values, options_target(name), "env", f"configs/env/{name}.yaml")


def _wrapper_options(options: Mapping[str, Any] | None) -> WrapperOptions:
    file = CONFIGS / "wrappers" / "default.yaml"
    values = {**_read(file), **(options or {})}
    return _checked(
        values, "envs.wrappers:WrapperOptions", "wrappers", "configs/wrappers/default.yaml"
    )


def _checked_dt(dt: float | None, native: float) -> float:
    if dt is None:
        return native
    if isinstance(dt, bool) or not isinstance(dt, int | float) or not 0 < dt < float("inf"):
        raise ConfigError(f"dt is {dt!r}, but must be a number of seconds above 0")
    return float(dt)


def native_dt(name: str, options: Mapping[str, Any] | None = None) -> float:
    """Seconds per step of the environment as its authors made it."""
    return ENVS.load(name).native_dt(_env_options(name, options))


def make_vector_env(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    dt: float | None = None,
    num_envs: int,
    wrappers: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> "VectorEnv":
    """A vector environment: base → dt → action repeat → time limit → wrappers.

    Args:
        name: a registered name.
        options: values that replace those of `configs/env/<name>.yaml`.
        dt: seconds per step; None for the native one.
        num_envs: number of copies, all advanced by one call.
        wrappers: values that replace those of `configs/wrappers/default.yaml`.
            `normalize` is the agent's affair, because replay holds raw observations.
        render_mode: None or "rgb_array".

    Raises:
        ConfigError: one sentence on what cannot be built.
    """
    from envs.wrappers import wrap_vector

    env_options, wrapper_options = _env_options(name, options), _wrapper_options(wrappers)
    family = ENVS.load(name)
    envs = family.make_vector(
        env_options,
        _checked_dt(dt, family.native_dt(env_options)),
        num_envs,
        action_repeat=wrapper_options.action_repeat,
        render_mode=render_mode,
    )
    return wrap_vector(envs, wrapper_options)


def make_env(
    name: str,
    options: Mapping[str, Any] | None = None,
    *,
    dt: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
) -> gymnasium.Env:
    """The single form of `make_vector_env`: the same process, one copy."""
    from envs.wrappers import wrap_single

    env_options, wrapper_options = _env_options(name, options), _wrapper_options(wrappers)
    family = ENVS.load(name)
    env = family.make_single(
        env_options,
        _checked_dt(dt, family.native_dt(env_options)),
        action_repeat=wrapper_options.action_repeat,
        render_mode=render_mode,
    )
    return wrap_single(env, wrapper_options)


def _registered(
    name: str,
    dt: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> gymnasium.Env:
    return make_env(name, options, dt=dt, wrappers=wrappers, render_mode=render_mode)


def _registered_vector(
    name: str,
    num_envs: int,
    dt: float | None = None,
    wrappers: Mapping[str, Any] | None = None,
    render_mode: str | None = None,
    **options: Any,
) -> "VectorEnv":
    return make_vector_env(
        name, options, dt=dt, num_envs=num_envs, wrappers=wrappers, render_mode=render_mode
    )


for _name, _id in GYMNASIUM_IDS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            _id,
            entry_point="envs:_registered",
            vector_entry_point="envs:_registered_vector",
            kwargs={"name": _name},
        )
