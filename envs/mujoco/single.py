"""The single form: one simulation of a body as a `gymnasium.Env`."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.mujoco.body import Array, Body
from envs.mujoco.copies import Copies
from envs.physics import checked_actions, checked_mode, checked_options, generator_of
from rlkit.observations import parts_of


class SingleMujoco(gymnasium.Env):
    """One copy of a body: the same functions on arrays of length one.

    Args:
        body: the task.
        action_repeat: steps an action is held; multiplies dt.
        render_mode: None or "rgb_array".
    """

    reward_bounds = None
    success_above = None

    def __init__(self, body: Body, action_repeat: int = 1, render_mode: str | None = None):
        self.render_mode = checked_mode(render_mode)
        self.copies = Copies(body, 1, action_repeat)
        self.body, self.base_id = body, body.base_id
        self.dt, self.stock_dt = self.copies.dt, body.stock_dt
        self.limit_steps = self.copies.limit_steps
        self.obs_parts = parts_of(body.observation_space)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 1 / self.dt}
        self.observation_space, self.action_space = body.observation_space, body.action_space
        self._started = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        elapsed = checked_options(options)
        obs_1O = self.copies.begin([0], [self.np_random])
        self.copies.elapsed_B[:] = elapsed
        self._started = True
        return obs_1O[0], {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if not self._started:
            raise RuntimeError("step was called before reset")
        action_1A = checked_actions(np.asarray(action)[None], self.action_space, 1)
        obs_1O, reward_1, terminated_1, truncated_1 = self.copies.step(action_1A)
        return obs_1O[0], float(reward_1[0]), bool(terminated_1[0]), bool(truncated_1[0]), {}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as plain data."""
        if not self._started:
            raise RuntimeError("get_state was called before reset")
        return {**self.copies.get_state(), "rng": self.np_random.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` returned."""
        self.copies.set_state(state)
        self.np_random = generator_of(state["rng"])
        self._started = True

    def render(self) -> Any:
        if self.render_mode is None or not self._started:
            return None
        return self.copies.paint()

    def close(self) -> None:
        self.copies.close()
