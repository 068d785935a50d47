"""Unlock: find the key in the room and open its locked door."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import LOCKED, OPAQUE, key
from envs.minigrid.layouts.base import TOGGLE, Array, Layout, Moment, Start
from envs.minigrid.layouts.room_grid import RoomDraft, Rooms
from rlkit.options import option

ROOM_SIZE = 6
DIVIDING_WALL = 0


@dataclass(frozen=True)
class UnlockOptions:
    max_steps: int | None = option("length of an episode; null = 288", unit="steps", low=1)


class Unlock(Layout):
    ids: ClassVar = {"MiniGrid-Unlock-v0": {}}
    num_places = 1

    def __init__(self, max_steps: int | None = None):
        self._rooms = Rooms(ROOM_SIZE, num_rows=1, num_columns=2)
        super().__init__(
            "MiniGrid-Unlock",
            self._rooms.width,
            self._rooms.height,
            max_steps or 8 * ROOM_SIZE**2,
        )

    @classmethod
    def of(cls, options: UnlockOptions) -> "Unlock":
        return cls(options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        draft = RoomDraft(rng, self._rooms)
        color = draft.color()
        door_place = draft.add_door(DIVIDING_WALL, color, LOCKED)
        draft.add_object(0, key(color))
        draft.enter(0)
        return draft.start((door_place,))

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return (moment.action_B == TOGGLE) & (moment.after_PB[0] < OPAQUE), None
