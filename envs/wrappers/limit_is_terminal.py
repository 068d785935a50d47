"""A time limit that counts as an end of the task, as some reference implementations have it.

Nothing is expected beyond a termination, while beyond a time limit the value goes on. Learning
with this wrapper is therefore for comparison only.
"""

from typing import Any

from envs.wrappers.transform import Array, Transform


class LimitIsTerminal(Transform):
    """Every truncation is reported as a termination; observations pass unchanged."""

    stateless = True

    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        return obs_KO

    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        return obs_BO

    def ends(self, terminated: Any, truncated: Any) -> tuple[Any, Any]:
        return terminated | truncated, truncated & False
