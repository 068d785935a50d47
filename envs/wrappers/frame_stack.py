"""Frame stack: the last k observations as one, oldest first, along the last axis.

At the start of an episode the missing ones are zeros, or copies of the first.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from envs.wrappers.transform import Array, EnvFacts, Transform
from rlkit.options import ConfigError


class FrameStack(Transform):
    """Concatenates the last observations.

    Args:
        facts: the environment below.
        frames: k.
        pad: what stands before the first observation of an episode.
    """

    def __init__(self, facts: EnvFacts, frames: int, pad: Literal["zero", "first"] = "zero"):
        super().__init__(facts)
        if frames < 1:
            raise ConfigError(f"wrappers.frame_stack is {frames}, but must be at least 1")
        if pad not in ("zero", "first"):
            raise ConfigError(f"wrappers.frame_stack_pad is '{pad}' (allowed: zero, first)")
        self.frames, self.pad = frames, pad
        space = facts.observation_space
        low = np.concatenate([space.low] * frames, axis=-1)
        high = np.concatenate([space.high] * frames, axis=-1)
        if pad == "zero":
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        self.observation_space = Box(low, high, dtype=space.dtype.type)
        self._width = space.shape[-1]
        self._stack = np.zeros((facts.num_envs, *low.shape), dtype=space.dtype)

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        fill = np.zeros_like(obs_KO) if self.pad == "zero" else obs_KO
        self._stack[rows_K] = np.concatenate([fill] * (self.frames - 1) + [obs_KO], axis=-1)
        return self._stack[rows_K]

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        self._stack = np.concatenate([self._stack[..., self._width :], obs_BO], axis=-1)
        return self._stack.copy()

    def get_state(self) -> dict[str, Any]:
        return {"stack": self._stack.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._stack = np.array(state["stack"], dtype=self._stack.dtype)
