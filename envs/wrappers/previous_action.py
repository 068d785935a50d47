"""Previous action and reward: [obs, last action, last reward], zeros at the start of an episode.

A discrete action is appended one-hot, a continuous one as it was executed, within its bounds; the
reward is the rate. To a packed dictionary they are one more part, called `previous`. With a length,
both are means over so many steps (or since the episode's start): what a memory that ticks more
slowly than the steps should know of what was done since.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.wrappers.transform import Array, EnvFacts, Transform
from rlkit.observations import ObsPart, parts_of
from rlkit.options import ConfigError


class PreviousAction(Transform):
    """Appends what was done and what came of it.

    Args:
        facts: of the environment below.
        steps: length of the mean.
    """

    def __init__(self, facts: EnvFacts, steps: int = 1):
        super().__init__(facts)
        self._one_hot: Array | None = None
        space, action_space = facts.observation_space, facts.action_space
        facts.check_vectors("previous_action")
        if isinstance(action_space, Discrete):
            one_hot = np.eye(int(action_space.n), dtype=np.float32)
            low, high = np.zeros(len(one_hot)), np.ones(len(one_hot))
            self._one_hot = one_hot
        elif isinstance(action_space, Box):
            low, high = action_space.low.ravel(), action_space.high.ravel()
            self._low, self._high = low, high
        else:
            raise ConfigError(f"wrappers.previous_action cannot append actions of {action_space}")
        self._extra = len(low) + 1
        self._past_SBE = np.zeros((steps, facts.num_envs, self._extra))
        self._taken_B = np.zeros(facts.num_envs, dtype=np.int64)
        self.observation_space = Box(
            np.concatenate([space.low, low, [-np.inf]]).astype(np.float32),
            np.concatenate([space.high, high, [np.inf]]).astype(np.float32),
            dtype=np.float32,
        )
        if len(facts.obs_parts) == 1:
            self.obs_parts = parts_of(self.observation_space)
        else:
            self.obs_parts = (*facts.obs_parts, ObsPart("previous", "vector", (self._extra,)))

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        self._past_SBE[:, rows_K], self._taken_B[rows_K] = 0, 0
        nothing_KE = np.zeros((len(obs_KO), self._extra), dtype=np.float32)
        return np.concatenate([obs_KO, nothing_KE], axis=1, dtype=np.float32)

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        if self._one_hot is None:
            did_BA = np.asarray(action_BA).reshape(len(obs_BO), -1).clip(self._low, self._high)
        else:
            did_BA = self._one_hot[action_BA]
        last_BE = np.concatenate([did_BA, reward_B[:, None]], axis=1)
        self._past_SBE[:] = np.concatenate([self._past_SBE[1:], last_BE[None]])
        self._taken_B += 1
        count_B = np.minimum(self._taken_B, len(self._past_SBE))
        mean_BE = self._past_SBE.sum(0) / count_B[:, None]
        return np.concatenate([obs_BO, mean_BE], axis=1, dtype=np.float32)

    def get_state(self) -> dict[str, Any]:
        return {"past": self._past_SBE.copy(), "taken": self._taken_B.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._past_SBE, self._taken_B = state["past"].copy(), state["taken"].copy()
