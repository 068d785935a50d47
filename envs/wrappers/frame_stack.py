"""Frame stack: the last k observations as one, oldest first.

Vectors are laid end to end, images on top of one another along their channels, each part of a
packed dictionary by itself. At the start of an episode the missing ones are zeros, or copies of
the first.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box

from envs.wrappers.transform import Array, EnvFacts, Transform
from rlkit.options import ConfigError


class FrameStack(Transform):
    """Stacks the last observations.

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
        if any(part.kind == "grid" for part in facts.obs_parts):
            raise ConfigError(
                "wrappers.frame_stack takes vectors and images, but the observation is a grid of"
                " cells, whose channels have fixed meanings"
            )
        self.frames, self.pad = frames, pad
        self._shapes = [part.shape for part in facts.obs_parts]
        self._ends = np.cumsum([part.size for part in facts.obs_parts]).tolist()
        self.obs_parts = tuple(
            part._replace(shape=(*part.shape[:-1], part.shape[-1] * frames))
            for part in facts.obs_parts
        )
        space, B = facts.observation_space, facts.num_envs
        low, high = self._stacked(space.low), self._stacked(space.high)
        if pad == "zero":
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        self.observation_space = Box(low, high, dtype=space.dtype.type)
        self._stacks = [np.zeros((B, *part.shape), dtype=space.dtype) for part in self.obs_parts]

    def _split(self, obs_BO: Array) -> list[Array]:
        """The parts, each in its own shape."""
        if len(self._shapes) == 1:
            return [obs_BO]
        B = len(obs_BO)
        return [
            piece.reshape(B, *shape)
            for piece, shape in zip(
                np.split(obs_BO, self._ends[:-1], axis=1), self._shapes, strict=True
            )
        ]

    def _joined(self, stacks: list[Array]) -> Array:
        """The reverse of `_split`, a new array."""
        if len(stacks) == 1:
            return stacks[0].copy()
        return np.concatenate([stack.reshape(len(stack), -1) for stack in stacks], axis=1)

    def _stacked(self, bound_O: Array) -> Array:
        pieces = self._split(bound_O[None])
        return self._joined([np.concatenate([p] * self.frames, axis=-1) for p in pieces])[0]

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        for stack, piece in zip(self._stacks, self._split(obs_KO), strict=True):
            fill = np.zeros_like(piece) if self.pad == "zero" else piece
            stack[rows_K] = np.concatenate([fill] * (self.frames - 1) + [piece], axis=-1)
        return self._joined([stack[rows_K] for stack in self._stacks])

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        self._stacks = [
            np.concatenate([stack[..., piece.shape[-1] :], piece], axis=-1)
            for stack, piece in zip(self._stacks, self._split(obs_BO), strict=True)
        ]
        return self._joined(self._stacks)

    def get_state(self) -> dict[str, Any]:
        return {"stacks": [stack.copy() for stack in self._stacks]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._stacks = [
            np.array(kept, dtype=stack.dtype)
            for kept, stack in zip(state["stacks"], self._stacks, strict=True)
        ]
