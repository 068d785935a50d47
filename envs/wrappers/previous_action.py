"""Previous action and reward: [obs, last action, last reward], zeros at the start of an episode.

A discrete action is appended one-hot, a continuous one as it was executed, within its bounds; the
reward is the rate. To a packed dictionary they are one more part, called `previous`.
"""

import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.wrappers.transform import Array, EnvFacts, Transform
from rlkit.observations import ObsPart, parts_of
from rlkit.options import ConfigError


class PreviousAction(Transform):
    """Appends what was done and what came of it."""

    def __init__(self, facts: EnvFacts):
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
        nothing_KE = np.zeros((len(obs_KO), self._extra), dtype=np.float32)
        return np.concatenate([obs_KO, nothing_KE], axis=1, dtype=np.float32)

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        if self._one_hot is None:
            did_BA = np.asarray(action_BA).reshape(len(obs_BO), -1).clip(self._low, self._high)
        else:
            did_BA = self._one_hot[action_BA]
        return np.concatenate([obs_BO, did_BA, reward_B[:, None]], axis=1, dtype=np.float32)
