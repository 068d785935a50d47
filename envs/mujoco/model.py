"""Compiled models: one per file and time step, shared by all environments of the process.

The files are gymnasium's. A model is read-only once it is here; what changes lies in the
`MjData` of each copy.
"""

import copy
import importlib
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium

from envs.packages import divert_mujoco_warnings
from rlkit.options import ConfigError

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


def mujoco_for(stock_id: str) -> Any:
    """The package `mujoco`.

    Args:
        stock_id: what needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("mujoco")
    except ImportError as e:
        raise ConfigError(
            f"{stock_id} needs a package that is not installed:"
            f" pip install 'gymnasium[mujoco]' ({e})"
        ) from e


def sub_steps(dt: float, stock_timestep: float) -> tuple[int, float]:
    """(steps of the simulation per step of the environment, seconds of each).

    As few as possible that are no longer than the stock ones, so that a small dt costs little and
    none is integrated more coarsely than its authors did.
    """
    ratio = dt / stock_timestep
    whole = round(ratio)
    if whole >= 1 and abs(ratio - whole) <= 1e-9 * ratio:
        return whole, stock_timestep  # exactly: dt / whole may be one bit off
    count = int(-(-ratio // 1))
    return count, dt / count


@cache
def stock_model(file: str) -> Any:
    """The model of one of gymnasium's files, compiled once per process."""
    divert_mujoco_warnings()  # the cheetah's would be printed
    return importlib.import_module("mujoco").MjModel.from_xml_path(str(ASSETS / file))


@cache
def model_at(file: str, timestep: float) -> Any:
    """The same model with another time step."""
    model = copy.copy(stock_model(file))
    model.opt.timestep = timestep
    return model
