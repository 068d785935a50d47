"""Observation noise: obs + std · N(0, 1) at every entry and step, resets included.

Each copy has its own generator, seeded with the copy's seed but independent of the environment's
draws, and uses one row of noise per observation. An end takes two: one for the last observation,
one for the first of the next episode. So the noise of an episode depends on its seed alone,
whatever the number of copies.

Rows are drawn ahead, `BLOCK_STEPS` at a time, because a draw costs far more to begin than to go
on with. Shapes: B copies, K of them, N rows of a block, O observation.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from envs.physics import generator_of
from envs.wrappers.transform import Array, EnvFacts, Seed, Transform
from rlkit.options import ConfigError

BLOCK_STEPS = 256

_STREAM = (0x6E6F697365,)  # spawn key: keeps the stream apart from the environment's own


class ObservationNoise(Transform):
    """Adds Gaussian noise; the observation space loses its bounds.

    Args:
        facts: the environment below.
        std: standard deviation, in units of the observation.
    """

    def __init__(self, facts: EnvFacts, std: float):
        super().__init__(facts)
        if not std >= 0:
            raise ConfigError(f"wrappers.observation_noise is {std!r}, but must be at least 0")
        facts.check_vectors("observation_noise")
        self.std = np.float32(std)
        self.observation_space = Box(-np.inf, np.inf, facts.observation_space.shape, np.float32)
        B, (O,) = facts.num_envs, facts.observation_space.shape
        self._rngs = [np.random.default_rng() for _ in range(B)]
        self._origins: list[Any] = [None] * B
        """States of the generators before the present block, from which it can be drawn again."""
        self._noise_BNO = np.zeros((B, BLOCK_STEPS, O), dtype=np.float32)
        self._rows_RO = self._noise_BNO.reshape(-1, O)  # a view: all rows of all copies
        self._begin_B = np.arange(B) * BLOCK_STEPS
        self._next_B = self._begin_B + BLOCK_STEPS  # rows of `_rows_RO`; nothing is drawn yet
        self._left = 0
        """Steps until some copy needs a new block."""

    def seed(self, seed: Seed) -> None:
        if seed is None:
            return
        B = len(self._rngs)
        seeds = range(seed, seed + B) if isinstance(seed, int | np.integer) else seed
        for i, s in enumerate(seeds):
            if s is not None:
                sequence = np.random.SeedSequence(int(s), spawn_key=_STREAM)
                self._rngs[i] = np.random.Generator(np.random.PCG64(sequence))
                self._next_B[i] = self._begin_B[i] + BLOCK_STEPS  # what was drawn ahead is void
        self._left = 0

    def _refill(self) -> None:
        """Draws the next block of the copies that have used theirs up."""
        used_B = self._next_B - self._begin_B
        for i in np.flatnonzero(used_B == BLOCK_STEPS).tolist():
            self._origins[i] = self._rngs[i].bit_generator.state
            self._draw(i)
            self._next_B[i] = self._begin_B[i]
            used_B[i] = 0
        self._left = BLOCK_STEPS - int(used_B.max())

    def _draw(self, i: int) -> None:
        noise_NO = self._noise_BNO[i]
        self._rngs[i].standard_normal(dtype=np.float32, out=noise_NO)
        noise_NO *= self.std

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        if not self._left:
            self._refill()
        noisy_KO = self._rows_RO.take(self._next_B[rows_K], axis=0)
        noisy_KO += obs_KO
        self._next_B[rows_K] += 1
        self._left = min(
            self._left, BLOCK_STEPS - int((self._next_B - self._begin_B)[rows_K].max())
        )
        return noisy_KO

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        if not self._left:
            self._refill()
        noisy_BO = self._rows_RO.take(self._next_B, axis=0)
        noisy_BO += obs_BO
        self._next_B += 1
        self._left -= 1
        return noisy_BO

    def get_state(self) -> dict[str, Any]:
        return {"rngs": list(self._origins), "used": self._next_B - self._begin_B}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Draws the present blocks again."""
        for i, origin in enumerate(state["rngs"]):
            self._rngs[i], self._origins[i] = generator_of(origin), origin
            self._draw(i)
        self._next_B = self._begin_B + np.array(state["used"], dtype=np.int64)
        self._left = BLOCK_STEPS - int(state["used"].max())
