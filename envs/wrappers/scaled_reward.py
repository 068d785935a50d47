"""Scaled reward: r dt instead of the rate r, for agents that know nothing of dt."""

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv, VectorWrapper

from envs.physics import Array, PhasePlane


class ScaledReward(gymnasium.Wrapper):
    """A single environment whose rewards add up to the return."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.dt: float = env.get_wrapper_attr("dt")

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, float(reward) * self.dt, terminated, truncated, info


class VectorScaledReward(VectorWrapper):
    """A vector environment whose rewards add up to the return."""

    def __init__(self, envs: VectorEnv):
        super().__init__(envs)
        self.dt: float = envs.dt  # type: ignore[attr-defined]
        self.stock_dt: float = envs.stock_dt  # type: ignore[attr-defined]

    @property
    def reward_bounds(self) -> tuple[float, float] | None:
        """Bounds of r dt."""
        bounds = self.env.reward_bounds  # type: ignore[attr-defined]
        return None if bounds is None else (bounds[0] * self.dt, bounds[1] * self.dt)

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        obs_BO, reward_B, terminated_B, truncated_B, infos = self.env.step(actions)
        return obs_BO, reward_B * self.dt, terminated_B, truncated_B, infos

    def get_state(self) -> dict[str, Any]:
        return self.env.get_state()  # type: ignore[attr-defined]

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.env.set_state(state)  # type: ignore[attr-defined]

    def phase_plane(self, n: int) -> PhasePlane | None:
        return self.env.phase_plane(n)  # type: ignore[attr-defined]
