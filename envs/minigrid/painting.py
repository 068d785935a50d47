"""Draws the grid world of copy 0: tiles of 16 pixels, what the agent sees a little lighter."""

from functools import cache

import numpy as np

from envs.minigrid.cells import (
    EMPTY,
    LOCKED,
    OPEN,
    TYPE_BALL,
    TYPE_BOX,
    TYPE_DOOR,
    TYPE_GOAL,
    TYPE_KEY,
    TYPE_LAVA,
    TYPE_WALL,
)
from envs.minigrid.grid import Worlds
from envs.minigrid.layouts.base import Array

TILE = 16
COLORS = np.array(
    [[214, 56, 44], [52, 168, 83], [52, 104, 222], [140, 74, 200], [240, 200, 50], [110, 110, 110]]
)
"""red, green, blue, purple, yellow, grey"""
LINE, LAVA_COLOR, AGENT_COLOR = (45, 45, 45), (255, 120, 20), (235, 60, 50)

_V, _U = (np.mgrid[:TILE, :TILE] + 0.5) / TILE  # of pixel centres: down, right


def paint(worlds: Worlds) -> Array:
    """A frame of copy 0, uint8 (16 H, 16 W, 3)."""
    cells_HW = worlds.inner_BHW[0]
    rows = [np.concatenate([_tile(cell) for cell in row], axis=1) for row in cells_HW.tolist()]
    frame = np.concatenate(rows, axis=0)
    x, y = worlds.place_of_agent(0)
    direction = int(worlds.direction_B[0])
    frame[TILE * y : TILE * y + TILE, TILE * x : TILE * x + TILE][_arrow(direction)] = AGENT_COLOR
    seen = np.kron(worlds.seen(0), np.ones((TILE, TILE), dtype=bool))
    frame[seen] += (255 - frame[seen]) // 4
    return frame


def _box(left: float, right: float, top: float, bottom: float) -> Array:
    return (left < _U) & (right > _U) & (top < _V) & (bottom > _V)


def _disc(x: float, y: float, radius: float) -> Array:
    return (_U - x) ** 2 + (_V - y) ** 2 < radius**2


def _ring(margin: float, width: float) -> Array:
    outer, inner = margin, margin + width
    return _box(outer, 1 - outer, outer, 1 - outer) & ~_box(inner, 1 - inner, inner, 1 - inner)


def _arrow(direction: int) -> Array:
    """The agent's triangle; quarter turns to the right from facing right."""
    right = (_U > 0.12) & (np.abs(_V - 0.5) < 0.42 * (0.95 - _U))
    return np.rot90(right, -direction)


@cache
def _tile(cell: int) -> Array:
    kind, color, state = cell & 255, COLORS[cell >> 8 & 255], cell >> 16 & 255
    tile = np.zeros((TILE, TILE, 3), dtype=np.uint8)
    tile[0] = tile[:, 0] = LINE
    if kind == EMPTY:
        return tile
    if kind in (TYPE_WALL, TYPE_GOAL):
        tile[:] = color
    elif kind == TYPE_LAVA:
        tile[:] = LAVA_COLOR
        for height in (0.3, 0.55, 0.8):
            tile[np.abs(_V - height - 0.06 * np.sin(4 * np.pi * _U)) < 0.04] = 0
    elif kind == TYPE_DOOR and state == OPEN:
        tile[_box(0.85, 1, 0, 1)] = color
    elif kind == TYPE_DOOR:
        tile[:] = color * 2 // 5 if state == LOCKED else 0
        tile[_ring(0, 0.13)] = color
        tile[_box(0.55, 0.8, 0.45, 0.58) if state == LOCKED else _disc(0.72, 0.5, 0.1)] = color
    elif kind == TYPE_KEY:
        tile[_disc(0.5, 0.3, 0.2) & ~_disc(0.5, 0.3, 0.08)] = color
        tile[_box(0.44, 0.58, 0.4, 0.9) | _box(0.58, 0.75, 0.62, 0.7)] = color
        tile[_box(0.58, 0.75, 0.8, 0.88)] = color
    elif kind == TYPE_BALL:
        tile[_disc(0.5, 0.5, 0.31)] = color
    elif kind == TYPE_BOX:
        tile[_ring(0.12, 0.12) | _box(0.12, 0.88, 0.45, 0.57)] = color
    return tile
