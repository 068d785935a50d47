"""The single form: one copy of a physics as a `gymnasium.Env`."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs import drawing
from envs.physics import (
    Array,
    Physics,
    checked_actions,
    checked_mode,
    checked_options,
    generator_of,
    limit_steps,
    repeat_step,
)
from rlkit.observations import parts_of


class SingleEnv(gymnasium.Env):
    """One copy of a physics as a `gymnasium.Env`: the same functions on arrays of length one.

    Args:
        physics: what a step does.
        action_repeat: physics steps per step of the environment; multiplies dt.
        render_mode: None or "rgb_array".
    """

    def __init__(self, physics: Physics, action_repeat: int = 1, render_mode: str | None = None):
        self.physics, self.action_repeat = physics, action_repeat
        self.dt, self.stock_dt = physics.dt * action_repeat, physics.stock_dt
        self.base_id, self.reward_bounds = physics.base_id, physics.reward_bounds
        self.obs_parts = parts_of(physics.observation_space)
        self.success_above = physics.success_above
        self.limit_steps = limit_steps(physics, self.dt)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 1 / self.dt}
        self.render_mode = checked_mode(render_mode)
        self.observation_space, self.action_space = physics.observation_space, physics.action_space
        self._state_S1: Array | None = None
        self._elapsed_steps = 0
        self._artist: gymnasium.Env | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self._elapsed_steps = int(checked_options(options))
        self._state_S1 = self.physics.draw(self.np_random)[:, None]
        return self.physics.observe_start(self._state_S1)[0], {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._state_S1 is None:
            raise RuntimeError("step was called before reset")
        action_1 = checked_actions(np.asarray(action)[None], self.action_space, 1)
        self._state_S1, reward_1, terminated_1 = repeat_step(
            self.physics, self.action_repeat, self._state_S1, action_1
        )
        self._elapsed_steps += 1
        limit = self.limit_steps
        truncated = limit is not None and self._elapsed_steps >= limit
        obs_O = self.physics.observe(self._state_S1)[0]
        return obs_O, float(reward_1[0]), bool(terminated_1[0]), truncated, {}

    def get_state(self) -> dict[str, Any]:
        if self._state_S1 is None:
            raise RuntimeError("get_state was called before reset")
        return {
            "state": self._state_S1.copy(),
            "elapsed_steps": self._elapsed_steps,
            "rng": self.np_random.bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._state_S1 = np.array(state["state"], dtype=np.float64)
        self._elapsed_steps = int(state["elapsed_steps"])
        self.np_random = generator_of(state["rng"])

    def render(self) -> Any:
        if self.render_mode is None or self._state_S1 is None:
            return None
        self._artist = self._artist or drawing.make_artist(self.physics)
        return drawing.paint(self._artist, self._state_S1[:, 0])

    def close(self) -> None:
        if self._artist is not None:
            self._artist.close()
