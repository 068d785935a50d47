"""Equal rooms in rows and columns, joined by doors: the ground plan of a family of tasks.

`Rooms` is what all episodes share, a `RoomDraft` one episode being drawn. Sides of a room are
numbered as directions: right, down, left, up. The wall between two rooms has one number for both;
walls are numbered in the order in which the places of their doors are drawn.
"""

from collections.abc import Collection

import numpy as np

from envs.minigrid.cells import CLOSED, EMPTY, WALL, door
from envs.minigrid.layouts.base import PICKUP, Array, Draft, Moment

RIGHT_SIDE, DOWN_SIDE, LEFT_SIDE, UP_SIDE = range(4)

MAX_TRIES = 1000
"""In the search for a place in a room; upstream's."""


def take_thing(moment: Moment) -> Array:
    """The end rule of two tasks: the one object of its kind is picked up; bool [B]."""
    return (moment.action_B == PICKUP) & (moment.hand_B == moment.thing_B)


class Rooms:
    """The ground plan.

    Args:
        size: side of a room, both its walls counted; neighbours share theirs.
        num_rows: rooms from top to bottom.
        num_columns: rooms from left to right.
    """

    def __init__(self, size: int, num_rows: int, num_columns: int):
        self.size, self.num_rows, self.num_columns = size, num_rows, num_columns
        self.pitch = pitch = size - 1
        self.width, self.height = pitch * num_columns + 1, pitch * num_rows + 1
        self.cells = [
            WALL if x % pitch == 0 or y % pitch == 0 else EMPTY
            for y in range(self.height)
            for x in range(self.width)
        ]
        self.middle = (num_columns // 2 * pitch + size // 2, num_rows // 2 * pitch + size // 2)
        """Where the agent counts as being until it is placed: no object comes next to it."""
        self.wall_of = [[-1] * 4 for _ in range(num_rows * num_columns)]
        """(room, side) → wall; -1 for the outer walls."""
        self.ends: list[tuple[int, int]] = []
        """wall → the two rooms beside it."""
        self.door_sites: list[list[tuple[int, int]]] = []
        """wall → all places where its door may be."""
        inside = range(1, pitch)
        for j in range(num_rows):
            for i in range(num_columns):
                x, y = (i + 1) * pitch, (j + 1) * pitch  # lower right corner
                if i < num_columns - 1:
                    self._join(self.index(i, j), RIGHT_SIDE, self.index(i + 1, j))
                    self.door_sites.append([(x, j * pitch + n) for n in inside])
                if j < num_rows - 1:
                    self._join(self.index(i, j), DOWN_SIDE, self.index(i, j + 1))
                    self.door_sites.append([(i * pitch + n, y) for n in inside])

    def index(self, i: int, j: int) -> int:
        """The room in column i and row j."""
        return j * self.num_columns + i

    def corner(self, room: int) -> tuple[int, int]:
        """The upper left corner of a room."""
        j, i = divmod(room, self.num_columns)
        return i * self.pitch, j * self.pitch

    def _join(self, room: int, side: int, neighbor: int) -> None:
        self.wall_of[room][side] = self.wall_of[neighbor][side + 2] = len(self.ends)
        self.ends.append((room, neighbor))

    def open_wall(self, wall: int) -> None:
        """Takes a wall out of the plan, corners excepted."""
        for x, y in self.door_sites[wall]:
            self.cells[y * self.width + x] = EMPTY


class RoomDraft(Draft):
    """A grid of rooms being drawn.

    Args:
        rng: the copy's generator.
        rooms: the ground plan.
    """

    def __init__(self, rng: np.random.Generator, rooms: Rooms):
        super().__init__(rng, rooms.width, rooms.height, rooms.cells)
        self.rooms = rooms
        self.x, self.y = rooms.middle
        integers, num_sites = self._integers, rooms.size - 2
        self.door_places = [sites[integers(0, num_sites)] for sites in rooms.door_sites]

    def add_object(self, room: int, cell: int) -> None:
        """Puts an object into a room, not next to the agent."""
        size = self.rooms.size
        self.place(cell, self.rooms.corner(room), (size, size), self._is_near, MAX_TRIES)

    def _is_near(self, x: int, y: int) -> bool:
        return abs(self.x - x) + abs(self.y - y) < 2

    def add_door(self, wall: int, color: int, state: int) -> tuple[int, int]:
        """Puts a door into a wall; returns its place."""
        place = self.door_places[wall]
        self[place] = door(color, state)
        return place

    def enter(self, room: int) -> None:
        """Puts the agent into a room, facing neither an object nor a door."""
        corner, size = self.rooms.corner(room), self.rooms.size
        while True:
            self.place_agent(corner, (size, size), MAX_TRIES)
            if self.front() in (EMPTY, WALL):
                return

    def connect_all(self, passages: Collection[int], locked_room: int) -> None:
        """Adds shut doors at random walls until every room can be reached.

        Args:
            passages: walls that need no door.
            locked_room: this room gets no other door.
        """
        rooms, integers = self.rooms, self._integers
        num_columns, num_rows, wall_of = rooms.num_columns, rooms.num_rows, rooms.wall_of
        can_have_door = [locked_room not in ends for ends in rooms.ends] + [False]  # last: outer
        group = list(range(len(wall_of)))  # room → the least room known to be reachable from it
        for wall in passages:
            can_have_door[wall] = False
            _merge(group, *rooms.ends[wall])
        while any(group):
            column, row, side = integers(0, num_columns), integers(0, num_rows), integers(0, 4)
            wall = wall_of[row * num_columns + column][side]
            if can_have_door[wall]:
                can_have_door[wall] = False
                self.add_door(wall, self.color(), CLOSED)
                _merge(group, *rooms.ends[wall])


def _merge(group: list[int], room: int, other: int) -> None:
    a, b = group[room], group[other]
    if a != b:
        low, high = (a, b) if a < b else (b, a)
        group[:] = [low if g == high else g for g in group]
