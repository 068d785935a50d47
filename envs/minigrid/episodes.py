"""Episodes of B copies of one task: what the batched and the single form have in common.

Shapes: B copies, K some of them, P places.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.minigrid.grid import VIEW, Worlds
from envs.minigrid.layouts.base import Array, Layout, Moment
from rlkit.observations import ObsPart

SHAPE = (VIEW, VIEW, 3)
PARTS = (ObsPart("image", "grid", SHAPE),)
FRAMES_PER_SECOND = 10  # of videos


class Episodes:
    """Steps and starts of B copies; what the batched and the single form have in common.

    Args:
        layout: the task.
        num_envs: B.
    """

    def __init__(self, layout: Layout, num_envs: int):
        self.layout = layout
        self.worlds = Worlds(layout.width, layout.height, num_envs, layout.num_places)
        self.elapsed_B = np.zeros(num_envs, dtype=np.int64)
        self._actions = None if layout.action_table is None else np.array(layout.action_table)

    def begin(self, rows_K: Array, rngs: Sequence[np.random.Generator]) -> None:
        """New episodes in some copies, each drawn from its own generator."""
        self.worlds.begin(rows_K, [self.layout.draw(rngs[i]) for i in rows_K.tolist()])
        self.elapsed_B[rows_K] = 0

    def step(self, action_B: Array) -> tuple[Array, Array, Array]:
        """(reward float64, terminated, truncated)."""
        worlds, layout = self.worlds, self.layout
        if self._actions is not None:
            action_B = self._actions.take(action_B)
        before_PB = worlds.cells.take(worlds.place_PB)
        ahead_B = worlds.act(action_B)
        self.elapsed_B += 1
        after_PB = worlds.cells.take(worlds.place_PB) if layout.num_places else before_PB
        moment = Moment(
            action_B,
            ahead_B,
            worlds.position_B,
            worlds.hand_B,
            worlds.place_PB,
            before_PB,
            after_PB,
            worlds.thing_B,
        )
        succeeded_B, failed_B = layout.outcome(moment)
        reward_B = np.where(succeeded_B, 1 - 0.9 * (self.elapsed_B / layout.max_steps), 0.0)
        terminated_B = succeeded_B if failed_B is None else succeeded_B | failed_B
        return reward_B, terminated_B, self.elapsed_B >= layout.max_steps

    def get_state(self) -> dict[str, Any]:
        return {**self.worlds.get_state(), "elapsed_steps": self.elapsed_B.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.worlds.set_state(state)
        self.elapsed_B = np.array(state["elapsed_steps"], dtype=np.int64)
