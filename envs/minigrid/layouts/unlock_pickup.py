"""UnlockPickup: unlock the door to the other room and pick up the box that is there."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import LOCKED, box, key
from envs.minigrid.layouts.base import Array, Layout, Moment, Start
from envs.minigrid.layouts.room_grid import RoomDraft, Rooms, take_thing
from rlkit.options import option

ROOM_SIZE = 6
DIVIDING_WALL = 0


@dataclass(frozen=True)
class UnlockPickupOptions:
    max_steps: int | None = option("length of an episode; null = 288", unit="steps", low=1)


class UnlockPickup(Layout):
    ids: ClassVar = {"MiniGrid-UnlockPickup-v0": {}}

    def __init__(self, max_steps: int | None = None):
        self._rooms = Rooms(ROOM_SIZE, num_rows=1, num_columns=2)
        super().__init__(
            "MiniGrid-UnlockPickup",
            self._rooms.width,
            self._rooms.height,
            max_steps or 8 * ROOM_SIZE**2,
        )

    @classmethod
    def of(cls, options: UnlockPickupOptions) -> "UnlockPickup":
        return cls(options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        draft = RoomDraft(rng, self._rooms)
        thing = box(draft.color())
        draft.add_object(1, thing)
        color = draft.color()
        draft.add_door(DIVIDING_WALL, color, LOCKED)
        draft.add_object(0, key(color))
        draft.enter(0)
        return draft.start(thing=thing)

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return take_thing(moment), None
