"""The contract of a task in a grid world: how an episode begins, and when it ends.

A `Layout` holds no state. `draw` makes one start from the copy's generator, with the draws of the
MiniGrid package in their order, so that a seed gives the same grid in both. `outcome` is the end
rule, on arrays over all copies. Both forms, `BatchedMiniGrid` and `SingleMiniGrid`, use them.

A family of tasks is one file: `<Family>Options`, the declared options, and `<Family>(Layout)`.
To add one: write that file, name it in `envs.minigrid.LAYOUTS`, and give it
`configs/env/<name>.yaml`.

Shapes: B copies, P named places.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.minigrid.cells import EMPTY, GOAL, LAVA, RANDOM_COLORS, WALL
from envs.minigrid.layouts.integers import integer_source
from rlkit.options import ConfigError

if TYPE_CHECKING:
    from envs.minigrid.batched import BatchedMiniGrid
    from envs.minigrid.single import SingleMiniGrid

Array = NDArray[Any]

LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE, DONE = range(7)
"""The actions."""

DIRECTIONS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""(x, y) of one step: facing right, down, left, up."""


class Start(NamedTuple):
    """The beginning of one episode; plain numbers."""

    cells: list[int]
    """width * height packed cells (`envs.minigrid.cells`), row by row."""
    x: int
    y: int
    direction: int
    places: tuple[tuple[int, int], ...] = ()
    """(x, y) of the cells that the end rule looks at; as many as `Layout.num_places`."""
    thing: int = EMPTY
    """The packed object that the end rule looks for."""


class Moment(NamedTuple):
    """All copies around one step: what an end rule may look at.

    Positions are numbers that can only be compared with each other.
    """

    action_B: Array
    """int64, what was done (after `Layout.action_table`)."""
    ahead_B: Array
    """uint32, the cell in front of the agent before the step: what the action was done to."""
    position_B: Array
    """int64, of the agent after the step."""
    hand_B: Array
    """uint32, the carried object after the step; EMPTY if there is none."""
    place_PB: Array
    """int64, positions of `Start.places`."""
    before_PB: Array
    """uint32, the cells at these places before the step."""
    after_PB: Array
    """uint32, the cells at these places after the step."""
    thing_B: Array
    """uint32, `Start.thing`."""


class Layout(ABC):
    """The contract.

    Args:
        base_id: the MiniGrid id without version.
        width: cells from the left to the right outer wall, both counted.
        height: likewise from top to bottom.
        max_steps: an episode is truncated after so many; also the scale of the reward.
    """

    ids: ClassVar[Mapping[str, Mapping[str, Any]]]
    """MiniGrid's registered ids of this family, and the options that make them."""
    num_places: ClassVar[int] = 0
    """Length of `Start.places`."""
    action_table: ClassVar[tuple[int, ...] | None] = None
    """What each action does instead, e.g. Memory's pickup is a toggle; None if itself."""

    def __init__(self, base_id: str, width: int, height: int, max_steps: int):
        self.base_id, self.width, self.height = base_id, width, height
        self.max_steps = max_steps

    @classmethod
    @abstractmethod
    def of(cls, options: Any) -> "Layout":
        """The layout that declared options ask for; refuses impossible sizes in a sentence."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Start:
        """One start; draws as the package does, call by call."""

    @abstractmethod
    def outcome(self, moment: Moment) -> tuple[Array, Array | None]:
        """(succeeded bool [B], failed bool [B] or None), disjoint.

        Both end the episode; the first is rewarded with 1 - 0.9 t / max_steps, the second with 0.
        """

    @classmethod
    def native_dt(cls, options: Any) -> float:
        return 1.0

    @classmethod
    def make_vector(
        cls,
        options: Any,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> "BatchedMiniGrid":
        from envs.minigrid.batched import BatchedMiniGrid

        check_time(dt, action_repeat)
        return BatchedMiniGrid(cls.of(options), num_envs, render_mode)

    @classmethod
    def make_single(
        cls, options: Any, dt: float, action_repeat: int = 1, render_mode: str | None = None
    ) -> "SingleMiniGrid":
        from envs.minigrid.single import SingleMiniGrid

        check_time(dt, action_repeat)
        return SingleMiniGrid(cls.of(options), render_mode)


def check_time(dt: float, action_repeat: int) -> None:
    """A grid world counts steps, and an action held twice is another action."""
    if dt != 1.0:
        raise ConfigError(
            f"dt is {dt:g}, but a grid world has no time step to change: leave dt out, or give 1"
        )
    if action_repeat != 1:
        raise ConfigError(
            f"wrappers.action_repeat is {action_repeat}, but must be 1 in a grid world,"
            " where a turn held twice is another turn"
        )


def reach_goal(moment: Moment) -> tuple[Array, Array]:
    """The end rule of most tasks: the goal succeeds, lava fails."""
    moved_B = moment.action_B == FORWARD
    return moved_B & (moment.ahead_B == GOAL), moved_B & (moment.ahead_B == LAVA)


class Draft:
    """A grid being drawn, with MiniGrid's ways of drawing from the generator.

    Args:
        rng: the copy's generator.
        width: number of columns.
        height: number of rows.
        cells: what is there already (copied), e.g. walls kept by the layout; None for nothing.
    """

    def __init__(
        self, rng: np.random.Generator, width: int, height: int, cells: list[int] | None = None
    ):
        self._integers = integer_source(rng)
        self.width, self.height = width, height
        self.cells = [EMPTY] * (width * height) if cells is None else cells.copy()
        self.x, self.y, self.direction = -1, -1, -1

    def __getitem__(self, place: tuple[int, int]) -> int:
        """The cell at (x, y)."""
        return self.cells[place[1] * self.width + place[0]]

    def __setitem__(self, place: tuple[int, int], cell: int) -> None:
        self.cells[place[1] * self.width + place[0]] = cell

    def integer(self, low: int, high: int) -> int:
        """One of low, …, high - 1."""
        return self._integers(low, high)

    def boolean(self) -> bool:
        return self._integers(0, 2) == 0

    def element(self, items: Sequence[Any]) -> Any:
        return items[self._integers(0, len(items))]

    def color(self) -> int:
        return RANDOM_COLORS[self._integers(0, 6)]

    def horizontal_wall(self, x: int, y: int, length: int, cell: int = WALL) -> None:
        start = y * self.width + x
        self.cells[start : start + length] = [cell] * length

    def vertical_wall(self, x: int, y: int, length: int, cell: int = WALL) -> None:
        for j in range(y, y + length):
            self.cells[j * self.width + x] = cell

    def wall_rectangle(self, x: int, y: int, width: int, height: int) -> None:
        """The four walls of a room; (x, y) is its upper left corner."""
        self.horizontal_wall(x, y, width)
        self.horizontal_wall(x, y + height - 1, width)
        self.vertical_wall(x, y, height)
        self.vertical_wall(x + width - 1, y, height)

    def free_place(
        self,
        top: tuple[int, int] = (0, 0),
        size: tuple[int, int] | None = None,
        reject: Callable[[int, int], bool] | None = None,
        max_tries: int | None = None,
    ) -> tuple[int, int]:
        """An empty place in a rectangle, where the agent is not, by rejection.

        Args:
            top: upper left corner of the rectangle; negative numbers count as 0.
            size: its width and height, cut at the grid's edge; None for the whole grid.
            reject: places that will not do.
            max_tries: an error after so many in vain, as upstream; None tries on.
        """
        left, upper = max(top[0], 0), max(top[1], 0)
        right = self.width if size is None else min(left + size[0], self.width)
        lower = self.height if size is None else min(upper + size[1], self.height)
        integer, cells, width = self._integers, self.cells, self.width
        tries = 0
        while max_tries is None or tries <= max_tries:
            tries += 1
            x, y = integer(left, right), integer(upper, lower)
            if cells[y * width + x] != EMPTY or (x == self.x and y == self.y):
                continue
            if reject is None or not reject(x, y):
                return x, y
        raise RecursionError(f"no free place was found in {max_tries} tries")

    def place(
        self,
        cell: int,
        top: tuple[int, int] = (0, 0),
        size: tuple[int, int] | None = None,
        reject: Callable[[int, int], bool] | None = None,
        max_tries: int | None = None,
    ) -> tuple[int, int]:
        """Puts an object on a free place of a rectangle (see `free_place`); returns it."""
        x, y = self.free_place(top, size, reject, max_tries)
        self.cells[y * self.width + x] = cell
        return x, y

    def place_agent(
        self,
        top: tuple[int, int] = (0, 0),
        size: tuple[int, int] | None = None,
        max_tries: int | None = None,
    ) -> None:
        """Puts the agent on a free place of a rectangle, then draws its direction."""
        self.x = self.y = -1  # its old place is free again
        self.x, self.y = self.free_place(top, size, max_tries=max_tries)
        self.direction = self._integers(0, 4)

    def front(self) -> int:
        """The cell before the agent."""
        dx, dy = DIRECTIONS[self.direction]
        return self.cells[(self.y + dy) * self.width + self.x + dx]

    def start(self, places: tuple[tuple[int, int], ...] = (), thing: int = EMPTY) -> Start:
        return Start(self.cells, self.x, self.y, self.direction, places, thing)


def outer_walls(width: int, height: int) -> list[int]:
    """Cells of an empty room."""
    inside = [WALL] + [EMPTY] * (width - 2) + [WALL]
    return [WALL] * width + inside * (height - 2) + [WALL] * width
