"""Observation noise: obs + std · N(0, 1) at every entry and step, resets included.

One generator serves the batch, seeded from the environment's seeds but independent of its
draws. The noise of copy i therefore depends on the number of copies, unlike its physics.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from envs.wrappers.transform import Array, EnvFacts, Seed, Transform
from rlkit.options import ConfigError

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
        self.std = np.float32(std)
        self.observation_space = Box(-np.inf, np.inf, facts.observation_space.shape, np.float32)
        self._rng = np.random.default_rng()

    def seed(self, seed: Seed) -> None:
        if seed is None:
            return
        entropy = [seed] if isinstance(seed, int | np.integer) else list(seed)
        known = [int(s) for s in entropy if s is not None]
        if known:
            self._rng = np.random.default_rng(np.random.SeedSequence(known, spawn_key=_STREAM))

    def _noisy(self, obs_BO: Array) -> Array:
        noise_BO = self._rng.standard_normal(obs_BO.shape, dtype=np.float32)
        noise_BO *= self.std
        noise_BO += obs_BO
        return noise_BO

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        return self._noisy(obs_KO)

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        return self._noisy(obs_BO)

    def get_state(self) -> dict[str, Any]:
        return {"rng": self._rng.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
