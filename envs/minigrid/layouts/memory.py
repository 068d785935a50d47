"""Memory: a key or a ball in the first room; at the fork behind the hallway, go to its like.

Nothing here can be carried: picking up is replaced by toggling, which does nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import EMPTY, GREEN, WALL, ball, key
from envs.minigrid.layouts.base import (
    DONE,
    DROP,
    FORWARD,
    LEFT,
    RIGHT,
    TOGGLE,
    Array,
    Draft,
    Layout,
    Moment,
    Start,
    outer_walls,
)
from rlkit.options import ConfigError, option

KEY, BALL = key(GREEN), ball(GREEN)
ROOM_END = 4
"""Column of the wall between the first room and the hallway."""


@dataclass(frozen=True)
class MemoryOptions:
    size: int = option("odd side of the square grid, outer walls included", unit="cells", low=7)
    random_length: bool = option("draw the length of the hallway anew in every episode")
    max_steps: int | None = option("length of an episode; null = 5 size²", unit="steps", low=1)


class Memory(Layout):
    ids: ClassVar = {
        f"MiniGrid-MemoryS{n}{'Random' * is_random}-v0": {"size": n, "random_length": is_random}
        for n, is_random in (
            (7, False),
            (9, False),
            (11, False),
            (13, False),
            (13, True),
            (17, True),
        )
    }
    num_places = 2
    action_table = (LEFT, RIGHT, FORWARD, TOGGLE, DROP, TOGGLE, DONE)

    def __init__(self, size: int, random_length: bool, max_steps: int | None = None):
        if size % 2 == 0:
            raise ConfigError(f"env.size is {size}, but must be odd: the hallway is in the middle")
        name = f"MiniGrid-MemoryS{size}{'Random' * random_length}"
        super().__init__(name, size, size, max_steps or 5 * size**2)
        self._random_length = random_length
        self._walls = {end: self._build(end) for end in range(ROOM_END, size - 2)}
        """column of the fork's near wall → the cells without objects."""

    @classmethod
    def of(cls, options: MemoryOptions) -> "Memory":
        return cls(options.size, options.random_length, options.max_steps)

    def _build(self, end: int) -> list[int]:
        size, middle = self.width, self.height // 2
        cells = outer_walls(size, size)
        for side in (-1, 1):
            room_row, hall_row = (middle + 2 * side) * size, (middle + side) * size
            cells[room_row + 1 : room_row + ROOM_END + 1] = [WALL] * ROOM_END
            cells[hall_row + ROOM_END : hall_row + end] = [WALL] * (end - ROOM_END)
        cells[end::size] = cells[end + 2 :: size] = [WALL] * size
        cells[middle * size + end] = EMPTY
        return cells

    def draw(self, rng: np.random.Generator) -> Start:
        size, middle = self.width, self.height // 2
        end = int(rng.integers(ROOM_END, size - 2)) if self._random_length else size - 3
        draft = Draft(rng, size, size, self._walls[end])
        draft.x, draft.y, draft.direction = draft.integer(1, end + 1), middle, 0
        shown = draft.element((KEY, BALL))
        draft[1, middle - 1] = shown
        upper, lower = draft.element(((BALL, KEY), (KEY, BALL)))
        draft[end + 1, middle - 2], draft[end + 1, middle + 2] = upper, lower
        ends = ((end + 1, middle - 1), (end + 1, middle + 1))
        return draft.start(ends if shown == upper else ends[::-1])

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        at_PB = moment.place_PB == moment.position_B
        return at_PB[0], at_PB[1]
