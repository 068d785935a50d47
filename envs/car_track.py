"""CarRacing's track, laid as gymnasium lays it, number for number, in half of the time.

Twelve checkpoints are drawn around a circle. A point drives past them for five laps and turns at
most 0.31 rad a step towards the next one; the last lap is the track if its ends meet. A tile lies
between each two points, and hard turns have a red and white border.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from envs.physics import Array

SCALE = 6.0
RADIUS = 900 / SCALE
STEP = 21 / SCALE
TURN_RATE = 0.31
HALF_WIDTH = 40 / SCALE
BORDER = 8 / SCALE
BORDER_TILES = 4
CHECKPOINTS = 12
FULL_TURN = 2 * math.pi
START_ALPHA = FULL_TURN * (-0.5) / CHECKPOINTS
MOST_POINTS = 2500

Point = tuple[float, float, float, float]
"""Angle seen from the centre, direction, x, y."""


class Road(NamedTuple):
    """What is drawn of a track: tiles and borders, in the order in which they are painted."""

    corner_N42: Array
    """Left and right of one point, right and left of the one before."""
    color_N3: Array
    """Levels 0..255 as floats; the colour of a tile is a row of this array, and changes when the
    tile is touched."""


def lay(base: Any) -> Road | None:
    """Lays a track into gymnasium's environment, or none: not every drive closes.

    Args:
        base: the unwrapped `CarRacing-v3`; replaces its `_create_track`.
    """
    base.start_alpha, base.road = START_ALPHA, []
    track = _last_lap(_drive(_checkpoints(base.np_random)))
    if track is None:
        return None
    beta, x, y = (np.array(column) for column in list(zip(*track, strict=True))[1:])
    # math's cosine and NumPy's may differ in the last bit
    cos, sin = (np.array([f(b) for b in beta.tolist()]) for f in (math.cos, math.sin))
    side = np.sign(np.roll(beta, 1) - beta)

    def quads(left: Any, right: Any) -> Array:
        """Between two offsets from the middle, from each point back to the one before."""
        back = [np.roll(column, 1) for column in (x, y, cos, sin)]
        ends = (((x, y, cos, sin), (left, right)), (back, (right, left)))
        corners = [
            np.stack([x + offset * cos, y + offset * sin], axis=1)
            for (x, y, cos, sin), offsets in ends
            for offset in offsets
        ]
        return np.stack(corners, axis=1)

    tile_N42 = quads(-HALF_WIDTH, HALF_WIDTH)
    border_N42 = quads(side * HALF_WIDTH, side * (HALF_WIDTH + BORDER))
    bordered = _bordered(beta)
    order = [(i, kind) for i in range(len(track)) for kind in range(1 + bordered[i])]
    corner_N42 = np.array([(tile_N42, border_N42)[kind][i] for i, kind in order])
    red_white = ([255.0, 255.0, 255.0], [255.0, 0.0, 0.0])
    tint = [base.road_color + 0.01 * k * 255 for k in range(3)]
    color_N3 = np.array([red_white[i % 2] if kind else tint[i % 3] for i, kind in order])

    for (i, kind), quad, color in zip(order, corner_N42.tolist(), color_N3, strict=True):
        base.road_poly.append((quad, color))
        if kind == 0:
            base.road.append(_tile(base, i, quad, color))
    base.track = track
    return Road(corner_N42, color_N3)


def _checkpoints(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Angle, x and y of each."""
    points = []
    for c in range(CHECKPOINTS):
        noise = rng.uniform(0, FULL_TURN / CHECKPOINTS)
        alpha = FULL_TURN * c / CHECKPOINTS + noise
        radius = rng.uniform(RADIUS / 3, RADIUS)
        if c in (0, CHECKPOINTS - 1):
            alpha, radius = FULL_TURN * c / CHECKPOINTS, 1.5 * RADIUS
        points.append((alpha, radius * math.cos(alpha), radius * math.sin(alpha)))
    return points


def _drive(checkpoints: Sequence[tuple[float, float, float]]) -> list[Point]:
    """Five laps."""
    x, y, beta = 1.5 * RADIUS, 0.0, 0.0
    target, laps, was_below = 0, 0, False
    points: list[Point] = []
    while laps <= 4 and len(points) < MOST_POINTS:
        alpha = math.atan2(y, x)
        if was_below and alpha > 0:
            laps += 1
            was_below = False
        if alpha < 0:
            was_below = True
            alpha += FULL_TURN
        while alpha > checkpoints[target][0]:
            target += 1
            if target == CHECKPOINTS:
                target = 0
                alpha -= FULL_TURN
        _, to_x, to_y = checkpoints[target]
        cos, sin = math.cos(beta), math.sin(beta)
        ahead = (cos * (to_x - x) + sin * (to_y - y)) * SCALE
        while beta - alpha > 1.5 * math.pi:
            beta -= FULL_TURN
        while beta - alpha < -1.5 * math.pi:
            beta += FULL_TURN
        before = beta
        if ahead > 0.3:
            beta -= min(TURN_RATE, abs(0.001 * ahead))
        if ahead < -0.3:
            beta += min(TURN_RATE, abs(0.001 * ahead))
        x -= sin * STEP
        y += cos * STEP
        points.append((alpha, before * 0.5 + beta * 0.5, x, y))
    return points


def _last_lap(points: list[Point]) -> list[Point] | None:
    """Between the last two passes of the start; None without them, or if the ends do not meet."""
    passes = (
        i
        for i in range(len(points) - 1, 0, -1)
        if points[i][0] > START_ALPHA and points[i - 1][0] <= START_ALPHA
    )
    end, start = next(passes, None), next(passes, None)
    if end is None or start is None:
        return None
    track = points[start : end - 1]
    _, beta, x, y = track[0]
    *_, last_x, last_y = track[-1]
    dx, dy = math.cos(beta) * (x - last_x), math.sin(beta) * (y - last_y)
    return None if math.sqrt(dx * dx + dy * dy) > STEP else track


def _bordered(beta_N: Array) -> list[bool]:
    """Where the track turned hard and one way for four tiles; the border covers all four."""
    turn_N = beta_N - np.roll(beta_N, 1)
    recent_4N = np.stack([np.roll(turn_N, k) for k in range(BORDER_TILES)])
    hard_N = (np.abs(recent_4N) > TURN_RATE * 0.2).all(axis=0)
    one_way_N = np.abs(np.sign(recent_4N).sum(axis=0)) == BORDER_TILES
    border: list[bool] = (hard_N & one_way_N).tolist()
    for i in range(len(border)):
        if border[i]:  # those behind the start are visited later, and spread once more
            for k in range(BORDER_TILES):
                border[i - k] = True
    return border


def _tile(base: Any, i: int, quad: list[list[float]], color: Array) -> Any:
    base.fd_tile.shape.vertices = quad
    tile = base.world.CreateStaticBody(fixtures=base.fd_tile)
    tile.userData = tile
    tile.color, tile.idx = color, i
    tile.road_visited, tile.road_friction = False, 1.0
    tile.fixtures[0].sensor = True
    return tile
