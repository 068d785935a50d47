"""Packages whose environments gymnasium knows only after their import, by the prefix of the id.

The table is closed: a configuration chooses an id, never a module to import.
"""

import importlib
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium

from rlkit.options import ConfigError


def _no_steps(env: gymnasium.Env) -> int | None:
    return None


def _popgym_steps(env: gymnasium.Env) -> int | None:
    """Most steps of an episode; POPGym ends its episodes itself and registers no limit."""
    base: Any = env.unwrapped
    for name in ("max_episode_length", "episode_length"):
        if hasattr(base, name):
            return int(getattr(base, name))
    return int(base.deck.num_cards) - 1 if hasattr(base, "deck") else None  # HigherLower


def _minigrid_steps(env: gymnasium.Env) -> int | None:
    """MiniGrid counts its steps itself; some of BabyAI's missions set their limit at each reset."""
    base: Any = env.unwrapped
    return int(base.max_steps) or None


class Package(NamedTuple):
    """What is known of a package of environments."""

    prefixes: tuple[str, ...]
    """Of its ids."""
    module: str
    """Its import registers them."""
    install: str
    """What pip calls it."""
    native_dt: float | None = None
    """Seconds per step where the environment states none; None = its frame rate is the guess."""
    episode_steps: Callable[[gymnasium.Env], int | None] = _no_steps
    """Where no limit is registered."""


PACKAGES = (
    Package(("ALE/",), "ale_py", "gymnasium[atari]"),
    Package(
        ("AdroitHand", "AntMaze_", "Fetch", "FrankaKitchen", "HandManipulate", "PointMaze_"),
        "gymnasium_robotics",
        "gymnasium-robotics",
    ),
    Package(("BabyAI-", "MiniGrid-"), "minigrid", "minigrid", 1.0, _minigrid_steps),
    Package(("popgym-",), "popgym", "popgym", 1.0, _popgym_steps),
)
OTHER = Package((), "", "")


def package_of(env_id: str) -> Package:
    """The package that an id belongs to, imported so that gymnasium knows its ids.

    Raises:
        ConfigError: it is not installed.
    """
    package = next((p for p in PACKAGES if env_id.startswith(p.prefixes)), OTHER)
    if package.module:
        try:
            importlib.import_module(package.module)
        except ImportError as e:
            raise ConfigError(
                f"env.id={env_id} needs a package that is not installed:"
                f" pip install '{package.install}' ({e})"
            ) from e
    return package


def divert_mujoco_warnings() -> None:
    """Sends MuJoCo's warnings to the logger `mujoco`, instead of a file in the working folder.

    One is left out: that gymnasium's model of the cheetah uses a deprecated attribute.
    """
    mujoco = importlib.import_module("mujoco")

    def log(text: str) -> None:
        if "settotalmass" not in text:
            logging.getLogger("mujoco").warning(text)

    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(log)
