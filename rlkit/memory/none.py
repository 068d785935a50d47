"""No memory: the output is the input. Every agent keeps one code path.

    y = x

State: the empty tuple.
"""

from torch import Tensor

from rlkit.memory.base import Memory, Step
from rlkit.types import State


class NoMemory(Memory):
    """The feed-forward control: what an agent achieves without remembering."""

    def __init__(self, input_size: int):
        super().__init__()
        self.input_size = self.output_size = input_size

    def initial_state(self, B: int) -> State:
        return ()

    def step(self, x_BI: Tensor, state: State) -> Step:
        return Step(x_BI, ())

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        return Step(x_TBI, ())
