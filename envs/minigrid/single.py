"""The single form: one copy of a grid world as a `gymnasium.Env`."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from envs.minigrid.episodes import FRAMES_PER_SECOND, PARTS, SHAPE, Episodes
from envs.minigrid.layouts.base import Array, Layout
from envs.minigrid.painting import paint
from envs.physics import checked_actions, checked_mode, checked_options, generator_of


class SingleMiniGrid(gymnasium.Env):
    """One copy of a grid world: the same functions on arrays of length one.

    Args:
        layout: the task.
        render_mode: None or "rgb_array".
    """

    dt = stock_dt = 1.0
    reward_bounds = (0.0, 1.0)
    success_above = 0.0
    obs_parts = PARTS

    def __init__(self, layout: Layout, render_mode: str | None = None):
        self.layout = layout
        self.base_id, self.limit_steps = layout.base_id, layout.max_steps
        self.render_mode = checked_mode(render_mode)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}
        self.observation_space = Box(0, 255, SHAPE, np.uint8)
        self.action_space = Discrete(7)
        self.episodes = Episodes(layout, 1)
        self._started = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        elapsed = checked_options(options)
        self.episodes.begin(np.zeros(1, dtype=np.int64), [self.np_random])
        self.episodes.elapsed_B[:] = elapsed
        self._started = True
        return self.episodes.worlds.observe()[0], {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if not self._started:
            raise RuntimeError("step was called before reset")
        action_1 = checked_actions(np.asarray(action)[None], self.action_space, 1)
        reward_1, terminated_1, truncated_1 = self.episodes.step(action_1)
        obs_IJC = self.episodes.worlds.observe()[0]
        return obs_IJC, float(reward_1[0]), bool(terminated_1[0]), bool(truncated_1[0]), {}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as plain data."""
        if not self._started:
            raise RuntimeError("get_state was called before reset")
        return {**self.episodes.get_state(), "rng": self.np_random.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.episodes.set_state(state)
        self.np_random = generator_of(state["rng"])
        self._started = True

    def render(self) -> Any:
        if self.render_mode is None or not self._started:
            return None
        return paint(self.episodes.worlds)
