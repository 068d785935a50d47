"""KeyCorridor: find the key to the locked room beside the hallway, and pick up the ball there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import LOCKED, ball, key
from envs.minigrid.layouts.base import Array, Layout, Moment, Start
from envs.minigrid.layouts.room_grid import LEFT_SIDE, UP_SIDE, RoomDraft, Rooms, take_thing
from rlkit.options import option


@dataclass(frozen=True)
class KeyCorridorOptions:
    room_size: int = option("side of a room, its walls included", unit="cells", low=3)
    num_rows: int = option("rooms on each side of the hallway", low=1)
    max_steps: int | None = option(
        "length of an episode; null = 30 room_size²", unit="steps", low=1
    )


class KeyCorridor(Layout):
    ids: ClassVar = {
        f"MiniGrid-KeyCorridorS{size}R{rows}-v0": {"room_size": size, "num_rows": rows}
        for size, rows in ((3, 1), (3, 2), (3, 3), (4, 3), (5, 3), (6, 3))
    }

    def __init__(self, room_size: int, num_rows: int, max_steps: int | None = None):
        self._rooms = rooms = Rooms(room_size, num_rows, num_columns=3)
        hallway = [rooms.index(1, j) for j in range(num_rows)]
        self._open_walls = [rooms.wall_of[room][UP_SIDE] for room in hallway[1:]]
        for wall in self._open_walls:
            rooms.open_wall(wall)
        self._start_room = hallway[num_rows // 2]
        super().__init__(
            f"MiniGrid-KeyCorridorS{room_size}R{num_rows}",
            rooms.width,
            rooms.height,
            max_steps or 30 * room_size**2,
        )

    @classmethod
    def of(cls, options: KeyCorridorOptions) -> "KeyCorridor":
        return cls(options.room_size, options.num_rows, options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        rooms = self._rooms
        draft = RoomDraft(rng, rooms)
        target_room = rooms.index(2, draft.integer(0, rooms.num_rows))
        locked_wall, color = rooms.wall_of[target_room][LEFT_SIDE], draft.color()
        draft.add_door(locked_wall, color, LOCKED)
        thing = ball(draft.color())
        draft.add_object(target_room, thing)
        draft.add_object(rooms.index(0, draft.integer(0, rooms.num_rows)), key(color))
        draft.enter(self._start_room)
        draft.connect_all((*self._open_walls, locked_wall), target_room)
        return draft.start(thing=thing)

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return take_thing(moment), None
