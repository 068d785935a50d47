"""SimpleCrossing and LavaCrossing: walls, or rivers of lava, and a path of openings to the goal."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.minigrid.cells import EMPTY, GOAL, LAVA, WALL
from envs.minigrid.layouts.base import Array, Draft, Layout, Moment, Start, outer_walls, reach_goal
from rlkit.options import ConfigError, option


@dataclass(frozen=True)
class SimpleCrossingOptions:
    size: int = option("odd side of the square grid, outer walls included", unit="cells", low=5)
    num_crossings: int = option("dividing walls, at most size - 3", low=0)
    max_steps: int | None = option("length of an episode; null = 4 size²", unit="steps", low=1)


@dataclass(frozen=True)
class LavaCrossingOptions:
    size: int = option("odd side of the square grid, outer walls included", unit="cells", low=5)
    num_crossings: int = option("rivers of lava, at most size - 3", low=0)
    max_steps: int | None = option("length of an episode; null = 4 size²", unit="steps", low=1)


class SimpleCrossing(Layout):
    ids: ClassVar = {
        f"MiniGrid-SimpleCrossingS{size}N{n}-v0": {"size": size, "num_crossings": n}
        for size, n in ((9, 1), (9, 2), (9, 3), (11, 5))
    }

    def __init__(self, size: int, num_crossings: int, max_steps: int | None = None):
        _check(size, num_crossings)
        name = f"MiniGrid-SimpleCrossingS{size}N{num_crossings}"
        super().__init__(name, size, size, max_steps or 4 * size**2)
        self.num_crossings = num_crossings

    @classmethod
    def of(cls, options: SimpleCrossingOptions) -> "SimpleCrossing":
        return cls(options.size, options.num_crossings, options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        return _draw(rng, self.width, self.num_crossings, WALL)

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return reach_goal(moment)


class LavaCrossing(Layout):
    ids: ClassVar = {
        f"MiniGrid-LavaCrossingS{size}N{n}-v0": {"size": size, "num_crossings": n}
        for size, n in ((9, 1), (9, 2), (9, 3), (11, 5))
    }

    def __init__(self, size: int, num_crossings: int, max_steps: int | None = None):
        _check(size, num_crossings)
        name = f"MiniGrid-LavaCrossingS{size}N{num_crossings}"
        super().__init__(name, size, size, max_steps or 4 * size**2)
        self.num_crossings = num_crossings

    @classmethod
    def of(cls, options: LavaCrossingOptions) -> "LavaCrossing":
        return cls(options.size, options.num_crossings, options.max_steps)

    def draw(self, rng: np.random.Generator) -> Start:
        return _draw(rng, self.width, self.num_crossings, LAVA)

    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        return reach_goal(moment)


def _check(size: int, num_crossings: int) -> None:
    if size % 2 == 0:
        raise ConfigError(f"env.size is {size}, but must be odd: rivers lie on even rows")
    if num_crossings > size - 3:
        raise ConfigError(
            f"env.num_crossings is {num_crossings}, but a grid of size {size}"
            f" has room for {size - 3}"
        )


def _draw(rng: np.random.Generator, size: int, num_crossings: int, obstacle: int) -> Start:
    """Upstream shuffles lists of objects and chooses from ranges; numbers draw the same."""
    draft = Draft(rng, size, size, outer_walls(size, size))
    draft.x, draft.y, draft.direction = 1, 1, 0
    draft[size - 2, size - 2] = GOAL
    even = range(2, size - 2, 2)
    rivers = [(True, x) for x in even] + [(False, y) for y in even]  # (upright, where)
    rng.shuffle(rivers)
    columns = sorted(x for upright, x in rivers[:num_crossings] if upright)
    rows = sorted(y for upright, y in rivers[:num_crossings] if not upright)
    for y in rows:
        draft.horizontal_wall(1, y, size - 2, obstacle)
    for x in columns:
        draft.vertical_wall(x, 1, size - 2, obstacle)

    path = [True] * len(columns) + [False] * len(rows)  # which kind of river is crossed next
    rng.shuffle(path)
    edges_x, edges_y = [0, *columns, size - 1], [0, *rows, size - 1]
    i = j = 0  # the field that the path has reached
    for upright in path:
        if upright:
            x, y = edges_x[i + 1], draft.integer(edges_y[j] + 1, edges_y[j + 1])
            i += 1
        else:
            x, y = draft.integer(edges_x[i] + 1, edges_x[i + 1]), edges_y[j + 1]
            j += 1
        draft[x, y] = EMPTY
    return draft.start()
