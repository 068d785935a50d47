"""What an action does to a grid world, and what an agent sees of it, on arrays over all copies.

The grids of all copies lie in one array, each with `BORDER` cells of wall around it, so that no
step and no view can leave it. A position is an index into that array.

An agent sees the 7 × 7 cells before it, itself in the middle of the last row. What it sees of them
is found row by row, from its own to the farthest. In a row, the known cells are swept from left to
right and back; one that can be seen through reveals its neighbour in the direction of the sweep,
the cell behind it and the cell behind the neighbour. As a row has 7 cells, both sweeps together
are two tables over (known, opaque).

Shapes: B copies, K some of them, P places, H rows, W columns; I and J axes of the view (I from left
to right, J from far to near).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.minigrid.cells import (
    EMPTY,
    LOCKED,
    OPAQUE,
    PORTABLE,
    TYPE_BALL,
    TYPE_BOX,
    TYPE_DOOR,
    TYPE_KEY,
    WALL,
)
from envs.minigrid.layouts.base import DIRECTIONS, DROP, FORWARD, PICKUP, TOGGLE, Start

Array = NDArray[Any]

VIEW = 7
BORDER = 7
CELL = np.dtype("<u4")  # little endian: its bytes are type, colour, state, solid

_TURN = np.array([3, 1, 0, 0, 0, 0, 0])  # of each action, in quarters to the right
_ANSWERS = np.zeros((7, 16), dtype=bool)  # (action, type): whether that action may change the cell
_ANSWERS[PICKUP, [TYPE_KEY, TYPE_BALL, TYPE_BOX]] = True
_ANSWERS[DROP, EMPTY] = True
_ANSWERS[TOGGLE, [TYPE_DOOR, TYPE_BOX]] = True


def _sweep_tables() -> tuple[Array, Array]:
    """Over known << 7 | opaque: the row as known in the end, and what is known of the next."""
    index = np.arange(1 << 2 * VIEW)
    row, opaque, behind = index >> VIEW, index & (1 << VIEW) - 1, np.zeros_like(index)
    for sweep, toward in ((range(VIEW - 1), 1), (range(VIEW - 1, 0, -1), -1)):
        for i in sweep:
            through = row >> i & ~(opaque >> i) & 1
            row = row | through << i + toward
            behind |= through << i | through << i + toward
    return row.astype(np.uint8), behind << VIEW  # the second as the upper half of the next index


_ROW, _BEHIND = _sweep_tables()
_OWN_CELL = 1 << VIEW // 2 << VIEW  # all that is known before the first row
_BITS = (1 << np.arange(VIEW)).astype(np.uint8)
_SHOWN = np.array([[row >> i & 1 for i in range(VIEW)] for row in range(1 << VIEW)]).astype(CELL)


class Worlds:
    """B grids of one size, with an agent in each.

    Args:
        width: columns of a grid, outer walls included.
        height: rows, likewise.
        num_envs: B.
        num_places: P, the cells of each grid that the end rule looks at.
    """

    def __init__(self, width: int, height: int, num_envs: int, num_places: int = 0):
        self.width, self.height, self.num_envs = width, height, num_envs
        self._stride = stride = width + 2 * BORDER
        padded = np.full((num_envs, height + 2 * BORDER, stride), WALL, dtype=CELL)
        self.inner_BHW = padded[:, BORDER:-BORDER, BORDER:-BORDER]
        self.cells = padded.reshape(-1)
        self._corner_B = np.arange(num_envs) * padded[0].size + BORDER * stride + BORDER
        self.position_B = self._corner_B.copy()
        self.direction_B = np.zeros(num_envs, dtype=np.int64)
        self.hand_B = np.full(num_envs, EMPTY, dtype=CELL)
        self.place_PB = np.zeros((num_places, num_envs), dtype=np.int64)
        self.thing_B = np.full(num_envs, EMPTY, dtype=CELL)

        self._ahead = np.array([x + y * stride for x, y in DIRECTIONS])
        i, j = np.arange(VIEW)[:, None], np.arange(VIEW)[None, :]
        far, right = VIEW - 1 - j, i - VIEW // 2
        self._view = np.array(
            [
                (x * far - y * right + (y * far + x * right) * stride).reshape(-1)
                for x, y in DIRECTIONS
            ]
        )

    def begin(self, rows_K: Array, starts: Sequence[Start]) -> None:
        """Begins an episode in some copies."""
        cells, x, y, direction, places, thing = zip(*starts, strict=True)
        self.inner_BHW[rows_K] = np.array(cells, dtype=CELL).reshape(-1, self.height, self.width)
        corner_K, xy = self._corner_B[rows_K], np.array([1, self._stride])
        self.position_B[rows_K] = corner_K + np.stack([x, y], axis=1) @ xy
        self.direction_B[rows_K] = direction
        self.hand_B[rows_K] = EMPTY
        if len(self.place_PB):
            self.place_PB[:, rows_K] = corner_K + (np.array(places) @ xy).T
        self.thing_B[rows_K] = thing

    def act(self, action_B: Array) -> Array:
        """One step of all copies; returns the cells that the agents faced before it."""
        faced_B = self.position_B + self._ahead.take(self.direction_B)
        ahead_B = self.cells.take(faced_B)
        enters_B = (action_B == FORWARD) & (ahead_B < OPAQUE)
        self.position_B = np.where(enters_B, faced_B, self.position_B)
        self.direction_B = self.direction_B + _TURN.take(action_B) & 3
        (rows_K,) = _ANSWERS[action_B, ahead_B & 15].nonzero()
        if rows_K.size:
            self._handle(rows_K, faced_B[rows_K], action_B[rows_K], ahead_B[rows_K])
        return ahead_B

    def _handle(self, rows_K: Array, faced_K: Array, action_K: Array, ahead_K: Array) -> None:
        """Actions of the hands, on cells that may answer to them."""
        hand_K = self.hand_B[rows_K]
        toggle_K = action_K == TOGGLE
        exchange_K = ~toggle_K & ((hand_K == EMPTY) | (ahead_K == EMPTY))
        self.hand_B[rows_K] = np.where(exchange_K, ahead_K, hand_K)
        cell_K = np.where(exchange_K, hand_K, ahead_K)
        if np.count_nonzero(toggle_K):
            cell_K = np.where(toggle_K, _toggled(ahead_K, hand_K), cell_K)
        self.cells[faced_K] = cell_K

    def observe(self, rows_K: Array | None = None) -> Array:
        """What agents see: uint8 (B, 7, 7, 3), a new array; of some copies if `rows_K` is given."""
        agents: tuple[Array, ...] = (self.position_B, self.direction_B, self.hand_B)
        position_B, direction_B, hand_B = (a if rows_K is None else a[rows_K] for a in agents)
        B = len(position_B)
        index_BV = self._view.take(direction_B, axis=0)
        index_BV += position_B[:, None]
        view_BV = self.cells.take(index_BV)
        view_BIJ = view_BV.reshape(B, VIEW, VIEW)
        view_BIJ *= _SHOWN.take(self._known(view_BV), axis=0).transpose(1, 2, 0)
        view_BIJ[:, VIEW // 2, VIEW - 1] = hand_B
        bytes_BIJ4 = view_BV.view(np.uint8).reshape(B, VIEW, VIEW, 4)
        obs_BIJC = np.empty((B, VIEW, VIEW, 3), dtype=np.uint8)
        for c in range(3):  # three long copies are faster than many of three bytes
            obs_BIJC[..., c] = bytes_BIJ4[..., c]
        return obs_BIJC

    def _known(self, view_BV: Array) -> Array:
        """Bits of the cells that are seen in each row, uint8 [J, B]."""
        solid_BIJ = view_BV.view(np.uint8).reshape(-1, VIEW, VIEW, 4)[..., 3]
        index_JB = ((solid_BIJ & 1).transpose(0, 2, 1) @ _BITS).T.astype(np.int64)
        index_JB[VIEW - 1] |= _OWN_CELL
        for j in range(VIEW - 1, 0, -1):
            index_JB[j - 1] |= _BEHIND.take(index_JB[j])
        return _ROW.take(index_JB)

    def place_of_agent(self, copy: int) -> tuple[int, int]:
        """Its (x, y)."""
        y, x = divmod(int(self.position_B[copy] - self._corner_B[copy]), self._stride)
        return x, y

    def seen(self, copy: int) -> Array:
        """The cells that the agent of a copy sees, bool (H, W)."""
        index_1V = self._view[self.direction_B[[copy]]] + self.position_B[copy]
        rows_J = self._known(self.cells.take(index_1V))[:, 0]
        seen = np.zeros(len(self.cells), dtype=bool)
        seen[index_1V[0]] = _SHOWN[rows_J].T.reshape(-1) > 0
        padded = seen.reshape(self.num_envs, -1, self._stride)[copy]
        return padded[BORDER:-BORDER, BORDER:-BORDER]

    def get_state(self) -> dict[str, Any]:
        """Plain data from which `set_state` goes on."""
        return {
            "cells": self.inner_BHW.copy(),
            "position": self.position_B - self._corner_B,
            "direction": self.direction_B.copy(),
            "hand": self.hand_B.copy(),
            "place": self.place_PB - self._corner_B,
            "thing": self.thing_B.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up the state of as many grids of the same size."""
        given, own = np.shape(state["cells"]), self.inner_BHW.shape
        if given[0] != own[0]:
            raise ValueError(f"the state is of {given[0]} copies, not {own[0]}")
        if given != own:
            raise ValueError(
                f"the state is of grids of {given[2]} by {given[1]} cells, not {own[2]} by {own[1]}"
            )
        self.inner_BHW[:] = state["cells"]
        self.position_B = np.array(state["position"], dtype=np.int64) + self._corner_B
        self.direction_B = np.array(state["direction"], dtype=np.int64)
        self.hand_B = np.array(state["hand"], dtype=CELL)
        self.place_PB = np.array(state["place"], dtype=np.int64) + self._corner_B
        self.thing_B = np.array(state["thing"], dtype=CELL)


def _toggled(cell_K: Array, hand_K: Array) -> Array:
    """Doors swing, locked ones if the hand holds their key; boxes are opened and vanish."""
    open_K = cell_K & 0xFFFF
    is_shut_K = cell_K >= OPAQUE
    is_locked_K = (cell_K >> 16 & 0xFF) == LOCKED
    fits_K = hand_K == (cell_K & 0xFF00 | TYPE_KEY | PORTABLE)
    door_K = np.where(is_shut_K, open_K, cell_K | 1 << 16 | OPAQUE)
    door_K = np.where(is_locked_K & ~fits_K, cell_K, door_K)
    return np.where((cell_K & 0xFF) == TYPE_DOOR, door_K, EMPTY)
