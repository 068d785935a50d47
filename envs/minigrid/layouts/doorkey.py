"""DoorKey: fetch the key, unlock the door in the dividing wall, reach the goal behind it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import GOAL, LOCKED, YELLOW, door, key
from envs.minigrid.layouts.base import Array, Draft, Layout, Moment, Start, outer_walls, reach_goal
from rlkit.options import option


@dataclass(frozen=True)
class DoorKeyOptions:
    size: int = option("side of the square grid, outer walls included", unit="cells", low=5)
    max_steps: int | None = option("length of an episode; null = 10 size²", unit="steps", low=1)


class DoorKey(Layout):
    ids: ClassVar = {f"MiniGrid-DoorKey-{n}x{n}-v0": {"size": n} for n in (5, 6, 8, 16)}

    def __init__(self, size: int, max_steps: int | None = None):
        super().__init__(f"MiniGrid-DoorKey-{size}x{size}", size, size, max_steps or 10 * size**2)
        self._room = outer_walls(size, size)
        self._room[(size - 2) * size + size - 2] = GOAL

    @classmethod
    def of(cls, options: DoorKeyOptions) -> "DoorKey":
        return cls(options.size, options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        width, height = self.width, self.height
        draft = Draft(rng, width, height, self._room)
        wall_x = draft.integer(2, width - 2)
        draft.vertical_wall(wall_x, 0, height)
        draft.place_agent(size=(wall_x, height))
        draft[wall_x, draft.integer(1, height - 2)] = door(YELLOW, LOCKED)
        draft.place(key(YELLOW), size=(wall_x, height))
        return draft.start()

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return reach_goal(moment)
