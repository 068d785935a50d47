"""RedBlueDoors: open the red door, then the blue one; the blue one first is a failure."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import BLUE, OPAQUE, RED, WALL, door
from envs.minigrid.layouts.base import Array, Draft, Layout, Moment, Start, outer_walls
from rlkit.options import option


@dataclass(frozen=True)
class RedBlueDoorsOptions:
    size: int = option("side of the room; the grid is twice as wide", unit="cells", low=4)
    max_steps: int | None = option("length of an episode; null = 20 size²", unit="steps", low=1)


class RedBlueDoors(Layout):
    ids: ClassVar = {f"MiniGrid-RedBlueDoors-{n}x{n}-v0": {"size": n} for n in (6, 8)}
    num_places = 2

    def __init__(self, size: int, max_steps: int | None = None):
        name = f"MiniGrid-RedBlueDoors-{size}x{size}"
        super().__init__(name, 2 * size, size, max_steps or 20 * size**2)
        self._left, self._right = size // 2, size // 2 + size - 1
        self._room = outer_walls(2 * size, size)
        for column in (self._left, self._right):
            self._room[column :: 2 * size] = [WALL] * size

    @classmethod
    def of(cls, options: RedBlueDoorsOptions) -> "RedBlueDoors":
        return cls(options.size, options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        size = self.height
        draft = Draft(rng, self.width, size, self._room)
        draft.place_agent(top=(self._left, 0), size=(size, size))
        red = (self._left, draft.integer(1, size - 1))
        draft[red] = door(RED)
        blue = (self._right, draft.integer(1, size - 1))
        draft[blue] = door(BLUE)
        return draft.start((red, blue))

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        blue_B, red_before_B = moment.after_PB[1] < OPAQUE, moment.before_PB[0] < OPAQUE
        return blue_B & red_before_B, blue_B & ~red_before_B
