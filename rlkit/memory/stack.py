"""Stacked memories: the output of one is the input of the next.

State: the states of all layers, one after the other.
"""

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.types import State


class Stack(Memory):
    """Any memories whose sizes fit.

    Args:
        cells: from the input to the output.
    """

    def __init__(self, cells: Sequence[Memory]):
        super().__init__()
        self.cells: Iterable[Memory] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.input_size, self.output_size = cells[0].input_size, cells[-1].output_size
        self.widths = [len(c.initial_state(1)) for c in cells]

    def initial_state(self, B: int) -> State:
        return tuple(s for c in self.cells for s in c.initial_state(B))

    def step(self, x_BI: Tensor, state: State) -> Step:
        return Step(*self._through(lambda cell, y, own: cell.step(y, own), x_BI, state))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        run = lambda cell, y, own: cell(y, own, start_TB)  # noqa: E731
        return Step(*self._through(run, x_TBI, state))

    def fresh_state(self, x_BI: Tensor) -> State:
        """Each layer's own; a learnt one (from its input) sees what the layers below make of x."""
        fresh: list[Tensor] = []
        for cell in self.cells:
            own = cell.fresh_state(x_BI)
            fresh += own
            if len(fresh) < sum(self.widths):
                x_BI = cell.step(x_BI, own).y
        return tuple(fresh)

    def _through(
        self, run: Callable[[Memory, Tensor, State], Step], y: Tensor, state: State
    ) -> tuple[Tensor, State, Tensor | None]:
        after: list[Tensor] = []
        penalty = None
        for cell, width in zip(self.cells, self.widths, strict=True):
            y, own, cost = run(cell, y, state[len(after) : len(after) + width])
            after += own
            if cost is not None:
                penalty = cost if penalty is None else penalty + cost
        return y, tuple(after), penalty
