"""Actions: any of gymnasium's flat action spaces as Discrete(n) or Box(-1, 1).

    Discrete       counted from 0
    Box, bounded   scaled to [-1, 1] and raveled
    MultiDiscrete  one number per combination, in mixed radix: the last entry changes fastest,
                   so (i, j) of MultiDiscrete([a, b]) is i b + j
    MultiBinary    likewise, all radices 2

Combinations are limited to `MOST_ACTIONS`, because each of them is an output of the policy.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space

from envs.physics import Array
from rlkit.options import ConfigError

MOST_ACTIONS = 4096


class Actions(NamedTuple):
    """Our action space, and how an action of ours becomes one of theirs."""

    space: Box | Discrete
    theirs: Callable[[Any], Any]
    one_sided: tuple[int, ...] = ()
    """components whose lowest value is their 0, such as gas: -1 is none of it"""


def actions_of(space: Space) -> Actions:
    """The actions of an environment.

    Raises:
        ConfigError: they are neither numbers within bounds nor few enough choices.
    """
    if isinstance(space, Discrete):
        first = int(space.start)
        return Actions(Discrete(int(space.n)), lambda action: int(action) + first)
    if isinstance(space, Box) and space.is_bounded():
        return _scaled(space)
    if isinstance(space, MultiDiscrete):
        return _combined(space, space.nvec.ravel(), space.start)
    if isinstance(space, MultiBinary):
        return _combined(space, np.full(math.prod(space.shape), 2), 0)
    raise ConfigError(
        f"actions in {space} are not supported (allowed: bounded Box, Discrete, MultiDiscrete,"
        " MultiBinary)"
    )


def _scaled(space: Box) -> Actions:
    low, high = space.low.astype(np.float32).ravel(), space.high.astype(np.float32).ravel()
    middle, half, shape, dtype = (high + low) / 2, (high - low) / 2, space.shape, space.dtype

    def theirs(action: Any) -> Array:
        scaled = middle + half * np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
        return scaled.reshape(shape).astype(dtype)

    one_sided = tuple(np.flatnonzero((low == 0) & (high > 0)).tolist())
    return Actions(Box(-1.0, 1.0, (low.size,), np.float32), theirs, one_sided)


def _combined(space: MultiDiscrete | MultiBinary, radix: Array, first: Any) -> Actions:
    count = math.prod(radix.tolist())
    if count > MOST_ACTIONS:
        raise ConfigError(
            f"{type(space).__name__} actions have {count} combinations, more than the"
            f" {MOST_ACTIONS} that can be one Discrete"
        )
    digits = np.stack(np.unravel_index(np.arange(count), tuple(radix.tolist())), axis=1)
    table = (digits.reshape(count, *space.shape) + first).astype(space.dtype)
    return Actions(Discrete(count), lambda action: table[int(action)].copy())
