"""Velocity masks: show positions only, or velocities only.

`VELOCITIES` lists, per base id and observation size, the entries of the stock observation that
are velocities. Where contact and actuator forces are observed (Ant with 105 entries, Humanoid
with 348) they stay: switch them off at construction, since they may depend on velocity.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from envs.wrappers.transform import Array, EnvFacts, Transform
from rlkit.observations import ObsPart
from rlkit.options import ConfigError

Mode = Literal["drop", "zero", "keep_velocity"]


def _span(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first, last + 1))


_STOCK: dict[tuple[str, int], tuple[int, ...]] = {
    ("Acrobot", 6): (4, 5),
    ("Ant", 27): _span(13, 26),
    ("Ant", 105): _span(13, 26),
    ("BipedalWalker", 24): (1, 2, 3, 5, 7, 10, 12),
    ("CartPole", 4): (1, 3),
    ("HalfCheetah", 17): _span(8, 16),
    ("Hopper", 11): _span(5, 10),
    ("Humanoid", 45): _span(22, 44),
    ("Humanoid", 348): _span(22, 44) + _span(175, 252),
    ("HumanoidStandup", 45): _span(22, 44),
    ("HumanoidStandup", 348): _span(22, 44) + _span(175, 252),
    ("InvertedDoublePendulum", 9): (5, 6, 7, 8),  # 8 is the constraint force, which leaks them
    ("InvertedPendulum", 4): (2, 3),
    ("LunarLander", 8): (2, 3, 5),
    ("MountainCar", 2): (1,),
    ("MountainCarContinuous", 2): (1,),
    ("Pendulum", 3): (2,),
    ("Pusher", 23): _span(7, 13),
    ("Reacher", 10): (6, 7),
    ("Swimmer", 8): _span(3, 7),
    ("Walker2d", 17): _span(8, 16),
}
_POSITIONS = {
    "Ant": 2,
    "HalfCheetah": 1,
    "Hopper": 1,
    "Humanoid": 2,
    "HumanoidStandup": 2,
    "Swimmer": 2,
    "Walker2d": 1,
}
"""Entries that `exclude_current_positions_from_observation=False` puts in front."""

VELOCITIES = _STOCK | {
    (name, size + _POSITIONS[name]): tuple(i + _POSITIONS[name] for i in indices)
    for (name, size), indices in _STOCK.items()
    if name in _POSITIONS
}


def velocity_indices(base_id: str, size: int) -> tuple[int, ...]:
    """The velocity entries of an observation.

    Args:
        base_id: environment id without namespace and version.
        size: entries of the observation.

    Raises:
        ConfigError: the table does not hold this environment with this size.
    """
    if (base_id, size) in VELOCITIES:
        return VELOCITIES[base_id, size]
    sizes = sorted(n for name, n in VELOCITIES if name == base_id)
    known = f"; known are {', '.join(map(str, sizes))} entries" if sizes else ""
    raise ConfigError(
        f"the velocities of {base_id or 'this environment'} with {size} observation entries are"
        f" unknown{known}: give wrappers.velocity_indices=[…]"
    )


def _kept_parts(parts: tuple[ObsPart, ...], kept: Array) -> tuple[ObsPart, ...]:
    """Vectors without the entries that are gone; a part that loses all of them goes too."""
    ends = np.cumsum([part.size for part in parts])
    left = [
        part._replace(shape=(int(np.count_nonzero((kept >= end - part.size) & (kept < end))),))
        for part, end in zip(parts, ends, strict=True)
    ]
    return tuple(part for part in left if part.size)


class VelocityMask(Transform):
    """Hides the velocities, or shows nothing else.

    Args:
        facts: the environment below.
        mode: drop = remove the entries, zero = keep the shape, keep_velocity = the complement.
        indices: velocity entries; None to look them up.
    """

    stateless = True

    def __init__(self, facts: EnvFacts, mode: Mode = "drop", indices: Sequence[int] | None = None):
        super().__init__(facts)
        space = facts.observation_space
        facts.check_vectors("velocity_mask")
        size = space.shape[0]
        hidden = tuple(indices) if indices is not None else velocity_indices(facts.base_id, size)
        if not hidden or not all(0 <= i < size for i in hidden):
            raise ConfigError(
                f"wrappers.velocity_indices is {list(hidden)}, but must name entries"
                f" in 0 .. {size - 1}"
            )
        if mode not in ("drop", "zero", "keep_velocity"):
            raise ConfigError(
                f"wrappers.velocity_mask_mode is '{mode}' (allowed: drop, zero, keep_velocity)"
            )
        is_velocity = np.isin(np.arange(size), hidden)
        kept = np.flatnonzero(is_velocity if mode == "keep_velocity" else ~is_velocity)
        if mode != "zero" and kept.size == 0:
            raise ConfigError(f"the velocity mask would hide all {size} observation entries")
        self._zeroed = np.flatnonzero(is_velocity) if mode == "zero" else None
        self._kept = kept
        if mode != "zero":
            low, high = space.low[kept], space.high[kept]
            self.observation_space = Box(low, high, dtype=space.dtype.type)
            self.obs_parts = _kept_parts(facts.obs_parts, kept)

    def _mask(self, obs_BO: Array) -> Array:
        if self._zeroed is None:
            return obs_BO[:, self._kept]
        obs_BO = obs_BO.copy()
        obs_BO[:, self._zeroed] = 0
        return obs_BO

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        return self._mask(obs_KO)

    def step(self, obs_BO: Array, action_BA: Any, reward_B: Array) -> Array:
        return self._mask(obs_BO)
