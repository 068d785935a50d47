"""CarRacing's observations: gymnasium's picture, and the same one drawn twenty times faster.

gymnasium rotates, tests and paints some 700 polygons on 1000 x 800 points, whichever are in view,
and averages areas down to the frame. `FastFrames` paints only those in view on a canvas
`supersampling` times the frame, and averages it likewise. What makes them alike:

    corners   are cut off to whole points of 1000 x 800, as there
    inset     OpenCV paints half a canvas pixel beyond an edge and pygame half a point: corners are
              moved inwards by the difference
    dimming   pygame's averaging lowers each level by a little (2 with SSE2), also of plain areas
    zoom      in the first second the camera comes down from above the whole track

A picture is 1000 x 800 points, its lowest 100 rows the dashboard, which `crop` leaves out.
Positions are complex numbers x + iy, so that turning, zooming and moving is a product and a sum.

Shapes: N polygons of the track, K in view, 4 corners.
"""

import cmath
import importlib
import math
from abc import ABC, abstractmethod
from functools import cache
from typing import Any

import numpy as np

from envs.car_track import Road
from envs.physics import Array
from rlkit.options import ConfigError

WIDTH, HEIGHT, DASHBOARD = 1000, 800, 100
CAR = complex(500, 200)
"""Where the car is drawn, counted from below."""
FAR, NEAR = 0.1 * 6.0, 2.7 * 6.0
"""Zoom at the start and after a second, in points per metre."""
PLAYFIELD = 2000 / 6.0
PATCH = PLAYFIELD / 20
LARGEST_RADIUS = 12.0
"""Of a polygon, in metres: a patch of grass."""
BEYOND = 0.48
"""How far OpenCV paints beyond an edge, in canvas pixels (measured)."""
PYGAME_BEYOND = 0.5
"""The same of pygame, in points."""
SHIFT = 4
"""OpenCV's coordinates are whole numbers of 1 / 2^SHIFT pixels."""
SIZE = 0.02
WHEEL_HALF_WIDTH, WHEEL_RADIUS = 14 * SIZE, 27 * SIZE
HULL = tuple(
    SIZE * np.array([complex(x, y) for x, y in part])
    for part in (
        ((-60, 130), (60, 130), (60, 110), (-60, 110)),
        ((-15, 120), (15, 120), (20, 20), (-20, 20)),
        ((25, 20), (50, -10), (50, -40), (20, -90), (-20, -90), (-50, -40), (-50, -10), (-25, 20)),
        ((-50, -120), (50, -120), (50, -90), (-50, -90)),
    )
)
RED, GREEN, BLUE, VIOLET = (255, 0, 0), (0, 255, 0), (0, 0, 255), (51, 0, 255)
BLACK, WHITE, MARK_COLOR, HULL_RED = (0, 0, 0), (255, 255, 255), (77, 77, 77), (204, 0, 0)
TYRE = (WHEEL_RADIUS, -WHEEL_RADIUS)
"""Front and rear end."""
SQUARE = np.array([-1 + 1j, 1 + 1j, 1 - 1j, -1 - 1j])

Color = tuple[int, ...]
Part = tuple[tuple[float, float], Color]


class Frames(ABC):
    """The contract: a drawer of observations (size, size, 3) uint8.

    Args:
        size: pixels of a side.
        crop: without the dashboard; what remains is stretched to the square.
    """

    def __init__(self, size: int, crop: bool):
        self.size, self.crop = size, crop
        self.rows = HEIGHT - DASHBOARD if crop else HEIGHT

    @abstractmethod
    def begin(self, base: Any, road: Road) -> None:
        """A new track was laid."""

    @abstractmethod
    def paint(self, base: Any) -> Array:
        """The present picture, a new array."""


class OfficialFrames(Frames):
    """gymnasium's own drawing; at 96 pixels uncropped, its own frame bit for bit."""

    def begin(self, base: Any, road: Road) -> None:
        pass

    def paint(self, base: Any) -> Array:
        type(base)._render(base, "state_pixels")
        return _averaged(base.surf.subsurface((0, 0, WIDTH, self.rows)), self.size, self.size)


class FastFrames(Frames):
    """Paints what is in view with OpenCV.

    Args:
        size: pixels of a side.
        crop: without the dashboard.
        supersampling: canvas pixels per pixel and axis.
    """

    def __init__(self, size: int, crop: bool, supersampling: int):
        super().__init__(size, crop)
        try:
            self.cv2: Any = importlib.import_module("cv2")
        except ImportError as e:
            raise ConfigError(
                "env.renderer=fast needs a package that is not installed:"
                f" pip install opencv-python-headless; env.renderer=official does without ({e})"
            ) from e
        self.cv2.setNumThreads(1)  # frames are too small to share, and a second core is another's
        canvas = size * supersampling
        self.canvas = np.zeros((canvas, canvas, 3), dtype=np.uint8)
        scale_2 = canvas / np.array([WIDTH, self.rows])
        # the middle of point p is p + 1/2 from the edge; rows are counted from above
        self.scale_2 = scale_2 * (1 << SHIFT) * [1, -1]
        self.offset_2 = ((np.array([0.5, HEIGHT - 0.5])) * scale_2 - 0.5) * (1 << SHIFT)
        self.inset_2 = (BEYOND - PYGAME_BEYOND * scale_2) * (1 << SHIFT) * [1, -1]
        self.hull_color, self.mark_color = _dimmed(HULL_RED), _dimmed(MARK_COLOR)
        self.near_hull = self._hull(NEAR)
        self.text, self.text_pixels = "", self.canvas[:0]

    def begin(self, base: Any, road: Road) -> None:
        """Joins playfield, grass and road into one array, in the order of painting."""
        field_14 = PLAYFIELD * SQUARE[None]
        steps = PATCH * np.arange(-20, 20, 2)
        patch_P4 = (steps[:, None] + 1j * steps).reshape(-1, 1) + PATCH * (1 + 1j + SQUARE) / 2
        road_N4 = road.corner_N42 @ [1, 1j]
        across_N2 = road_N4[:, [1, 2]] - road_N4[:, [0, 3]]
        across_N2 /= np.maximum(np.abs(across_N2), 1e-9)  # a straight border has no width
        outward_N4 = np.stack(
            [-across_N2[:, 0], across_N2[:, 0], across_N2[:, 1], -across_N2[:, 1]], axis=1
        )
        ground = len(field_14) + len(patch_P4)
        self.corner_N4 = np.concatenate([field_14, patch_P4, road_N4])
        self.outward_N4 = np.concatenate([np.tile(SQUARE, (ground, 1)), outward_N4])
        self.middle_N = self.corner_N4.mean(axis=1)
        self.ground_colors = [_dimmed(base.bg_color)] + [_dimmed(base.grass_color)] * len(patch_P4)
        self.road_color_N3 = road.color_N3

    def paint(self, base: Any) -> Array:
        hull = base.car.hull
        zoom = FAR * max(1 - base.t, 0) + NEAR * min(base.t, 1)
        turn = cmath.rect(1, -hull.angle)
        zoomed = zoom * turn
        shift = CAR - complex(*hull.position) * zoomed
        canvas, fill = self.canvas, self.cv2.fillConvexPoly
        canvas.fill(0)

        seen_K = self._in_view(self.middle_N * zoomed + shift, LARGEST_RADIUS * zoom)
        corner_K4, outward_K4, colors = self._wheels(base.car.wheels)
        corner_K4 = np.concatenate([self.corner_N4[seen_K], corner_K4]) * zoomed + shift
        outward_K4 = np.concatenate([self.outward_N4[seen_K], outward_K4]) * turn
        for polygon, color in zip(
            self._pixels(corner_K4, outward_K4), self._colors(seen_K) + colors, strict=True
        ):
            fill(canvas, polygon, color, 8, SHIFT)
        for polygon in self.near_hull if zoom == NEAR else self._hull(zoom):
            fill(canvas, polygon, self.hull_color, 8, SHIFT)
        if not self.crop:
            self._dashboard(base)
        frame = self.cv2.resize(canvas, (self.size, self.size), interpolation=self.cv2.INTER_AREA)
        if not self.crop:
            self._score(base, frame)
        return frame

    def _in_view(self, middle_N: Array, margin: float) -> Array:
        """Indices of the polygons near enough to reach into the picture, the playfield always."""
        half_width, half_height = WIDTH / 2 + margin, self.rows / 2 + margin
        middle_y = HEIGHT - self.rows / 2
        seen_N = (np.abs(middle_N.real - WIDTH / 2) < half_width) & (
            np.abs(middle_N.imag - middle_y) < half_height
        )
        seen_N[0] = True
        return np.flatnonzero(seen_N)

    def _colors(self, seen_K: Array) -> list[Color]:
        ground = len(self.ground_colors)
        first = int(np.searchsorted(seen_K, ground))
        level_K3 = self.road_color_N3[seen_K[first:] - ground].astype(np.int64)
        roads = np.maximum(level_K3 - _dimming(), 0).tolist()
        return [self.ground_colors[k] for k in seen_K[:first].tolist()] + roads

    def _wheels(self, wheels: Any) -> tuple[Array, Array, list[Color]]:
        """Tyres and, while it is above, the white mark that turns with each."""
        places, turns, ends = [], [], []
        colors: list[Color] = []
        for wheel in wheels:
            mark = _mark(wheel.phase)
            parts: list[Part] = [(TYRE, BLACK)]
            if mark is not None:
                parts.append((mark, self.mark_color))
            for end_2, color in parts:
                places.append(complex(*wheel.position))
                turns.append(cmath.rect(1, wheel.angle))
                ends.append(end_2)
                colors.append(color)
        turn_K1 = np.array(turns)[:, None]
        corner_K4 = WHEEL_HALF_WIDTH * SQUARE.real + 1j * np.repeat(ends, 2, axis=1)
        return corner_K4 * turn_K1 + np.array(places)[:, None], SQUARE * turn_K1, colors

    def _hull(self, zoom: float) -> list[Array]:
        """Polygons of the car's body, which always stands upright at the same place."""
        return [self._pixels(CAR + part * zoom, _outward(part)) for part in HULL]

    def _pixels(self, corner_K4: Array, outward_K4: Array) -> Array:
        """Points as OpenCV's coordinates [K, 4, 2], moved inwards where OpenCV paints too much."""
        point_K42 = np.trunc(corner_K4.view(np.float64).reshape(*corner_K4.shape, 2))
        outward_K42 = outward_K4.view(np.float64).reshape(*outward_K4.shape, 2)
        pixel_K42 = point_K42 * self.scale_2 + self.offset_2 - outward_K42 * self.inset_2
        return np.rint(pixel_K42).astype(np.int32)

    def _dashboard(self, base: Any) -> None:
        """Bars for speed, the wheels' spin, the steering angle and the turning rate."""
        self.canvas[len(self.canvas) * (HEIGHT - DASHBOARD) // HEIGHT :] = 0
        car, upright = base.car, ((7, BLUE), (8, BLUE), (9, VIOLET), (10, VIOLET))
        self._bar(125, 150, 780 - 0.4 * math.hypot(*car.hull.linearVelocity), 780, WHITE)
        for (place, color), wheel in zip(upright, car.wheels, strict=True):
            self._bar(25 * place, 25 * place + 25, 780 - 0.2 * wheel.omega, 780, color)
        self._bar(500, 500 - 250 * car.wheels[0].joint.angle, 720, 760, GREEN)
        self._bar(750, 750 - 20 * car.hull.angularVelocity, 720, 760, RED)

    def _bar(self, x0: float, x1: float, y0: float, y1: float, color: Color) -> None:
        """A rectangle, rows counted from above."""
        (left, right), (top, bottom) = sorted((int(x0), int(x1))), sorted((int(y0), int(y1)))
        if left == right or top == bottom:
            return
        x_4 = np.where(SQUARE.real < 0, left, right)
        y_4 = HEIGHT - 1 - np.where(SQUARE.imag > 0, top, bottom)
        corner_42 = self._pixels(x_4 + 1j * y_4, SQUARE)
        self.cv2.fillConvexPoly(self.canvas, corner_42, _dimmed(color), 8, SHIFT)

    def _score(self, base: Any, frame: Array) -> None:
        """The sum of rewards in figures, drawn anew when they change."""
        text = f"{base.reward:04.0f}"
        if text != self.text:
            self.text, self.text_pixels = text, _figures(text, self.size)
        height, width, _ = self.text_pixels.shape
        frame[-height:, :width] = self.text_pixels


def _outward(corner_N: Array) -> Array:
    """Directions in which the corners of a part of the hull lie, as seen from its middle."""
    from_middle = corner_N - corner_N.mean()
    return np.sign(from_middle.real) + 1j * np.sign(from_middle.imag)


def _mark(phase: float) -> tuple[float, float] | None:
    """Front and rear end of a wheel's mark, which covers 1.2 rad; None while it is below."""
    begin, end = phase, phase + 1.2
    below = math.sin(begin) > 0, math.sin(end) > 0
    if all(below):
        return None
    ends = [
        math.copysign(1.0, math.cos(a)) if hidden else math.cos(a)
        for a, hidden in zip((begin, end), below, strict=True)
    ]
    return WHEEL_RADIUS * max(ends), WHEEL_RADIUS * min(ends)


def _averaged(surface: Any, width: int, height: int) -> Array:
    """The average of pygame over areas, as an array (height, width, 3)."""
    import pygame

    scaled = pygame.transform.smoothscale(surface, (width, height))
    return np.ascontiguousarray(pygame.surfarray.array3d(scaled).transpose(1, 0, 2))


@cache
def _dimming() -> int:
    """By how much pygame's average of a plain area is too low; depends on the processor."""
    import pygame

    level = 128
    surface = pygame.Surface((WIDTH, HEIGHT))
    surface.fill((level, level, level))
    return level - int(_averaged(surface, 64, 64)[32, 32, 0])


def _dimmed(color: Any) -> Color:
    return tuple(max(int(level) - _dimming(), 0) for level in color)


@cache
def _font() -> Any:
    import pygame

    pygame.font.init()
    return pygame.font.Font(pygame.font.get_default_font(), 42)


def _figures(text: str, size: int) -> Array:
    """The left eighth of the dashboard."""
    import pygame

    surface = pygame.Surface((WIDTH // 8, DASHBOARD))
    figures = _font().render(text, True, WHITE, BLACK)
    box = figures.get_rect()
    box.center = (60, DASHBOARD // 2)
    surface.blit(figures, box)
    return _averaged(surface, size // 8, size // 8)
