"""Drawing: a state of ours, painted by the stock gymnasium environment of the same physics."""

import importlib.util

import gymnasium
import numpy as np

from envs.physics import Array, Physics
from rlkit.options import ConfigError


def make_artist(physics: Physics) -> gymnasium.Env:
    """The stock environment, which knows how to draw a state.

    Raises:
        ConfigError: its drawing library is not installed.
    """
    if importlib.util.find_spec("pygame") is None:
        raise ConfigError(
            f"drawing {physics.stock_id} needs pygame: pip install 'gymnasium[classic-control]'"
        )
    return gymnasium.make(
        physics.stock_id, render_mode="rgb_array", disable_env_checker=True
    ).unwrapped


def paint(artist: gymnasium.Env, state_S: Array) -> Array:
    """An rgb frame [height, width, 3] uint8 of a state."""
    artist.state = state_S.copy()  # type: ignore[attr-defined]
    artist.last_u = None  # type: ignore[attr-defined]  # Pendulum's arrow
    return np.asarray(artist.render(), dtype=np.uint8)
