"""The batched form: B copies of one grid world, advanced by array arithmetic.

Shapes: B copies, K of them restarting; I, J, C axes of the view.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.minigrid.episodes import FRAMES_PER_SECOND, PARTS, SHAPE, Episodes
from envs.minigrid.layouts.base import Array, Layout
from envs.minigrid.painting import paint
from envs.physics import (
    PhasePlane,
    checked_actions,
    checked_mode,
    checked_options,
    generator_of,
    seeded,
)
from rlkit.options import ConfigError


class BatchedMiniGrid(VectorEnv):
    """B copies of one grid world, advanced by array arithmetic (autoreset SAME_STEP).

    Copy i of `reset(seed=s)` is the process that a single environment seeded s + i is, whatever
    B is, and that the MiniGrid package's is. Where a copy ended, the returned row is its first new
    observation and `infos["final_obs"][i]` its last one (other rows: their observation).

    Args:
        layout: the task.
        num_envs: B.
        render_mode: None or "rgb_array"; copy 0 is drawn.
    """

    dt = stock_dt = 1.0
    reward_bounds = (0.0, 1.0)
    success_above = 0.0
    obs_parts = PARTS

    def __init__(self, layout: Layout, num_envs: int, render_mode: str | None = None):
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        self.layout, self.num_envs = layout, num_envs
        self.base_id, self.limit_steps = layout.base_id, layout.max_steps
        self.render_mode = checked_mode(render_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND,
            "autoreset_mode": AutoresetMode.SAME_STEP,
        }
        self.single_observation_space = Box(0, 255, SHAPE, np.uint8)
        self.single_action_space = Discrete(7)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.episodes = Episodes(layout, num_envs)
        self._rngs: list[np.random.Generator] = []

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Starts all copies.

        Args:
            seed: s for s, s + 1, …; or one seed per copy; None goes on with the generators.
            options: `{"elapsed_steps": (B,) ints}` lets the clocks start apart.
        """
        elapsed = checked_options(options)
        self._rngs = seeded(self._rngs, seed, self.num_envs)
        self.episodes.begin(np.arange(self.num_envs), self._rngs)
        self.episodes.elapsed_B[:] = elapsed
        return self.episodes.worlds.observe(), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        if not self._rngs:
            raise RuntimeError("step was called before reset")
        action_B = checked_actions(actions, self.single_action_space, self.num_envs)
        reward_B, terminated_B, truncated_B = self.episodes.step(action_B)
        obs_BIJC = self.episodes.worlds.observe()
        ended_B = terminated_B | truncated_B
        if not np.count_nonzero(ended_B):
            return obs_BIJC, reward_B, terminated_B, truncated_B, {}
        infos = {"final_obs": obs_BIJC.copy(), "_final_obs": ended_B}
        (rows_K,) = ended_B.nonzero()
        self.episodes.begin(rows_K, self._rngs)
        obs_BIJC[rows_K] = self.episodes.worlds.observe(rows_K)
        return obs_BIJC, reward_B, terminated_B, truncated_B, infos

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as plain data."""
        if not self._rngs:
            raise RuntimeError("get_state was called before reset")
        return {
            **self.episodes.get_state(),
            "rngs": [rng.bit_generator.state for rng in self._rngs],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` of an environment with as many copies returned."""
        self.episodes.set_state(state)
        self._rngs = [generator_of(s) for s in state["rngs"]]

    def phase_plane(self, n: int) -> PhasePlane | None:
        """None: a grid world is not a plane of states."""
        return None

    def render(self) -> tuple[Array, ...] | None:
        """A tuple of one frame, of copy 0."""
        if self.render_mode is None or not self._rngs:
            return None
        return (paint(self.episodes.worlds),)
