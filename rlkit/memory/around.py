"""Networks before and after any memory: pre → memory → post.

    u = tanh(W_n … tanh(W_1 x));   y, state = memory(u, state);   out = W_m … tanh(V_1 y)

Every pre layer ends in tanh; the last post layer is linear. State: the memory's.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.types import State


def layers(sizes: Sequence[int], squash_last: bool) -> nn.Sequential:
    """Linear layers with tanh between them, and after the last if asked."""
    parts: list[nn.Module] = []
    for i, o in pairwise(sizes):
        parts += [nn.Linear(i, o), nn.Tanh()]
    return nn.Sequential(*(parts if squash_last else parts[:-1]))


class Around(Memory):
    """Any memory between two networks.

    Args:
        input_size: width of the input of `pre`.
        memory: takes the last width of `pre`.
        pre: widths of the layers before it; may be empty.
        post: widths of the layers after it; may be empty.
    """

    def __init__(self, input_size: int, memory: Memory, pre: Sequence[int], post: Sequence[int]):
        super().__init__()
        self.memory = memory
        self.pre = layers([input_size, *pre], squash_last=True)
        self.post = layers([memory.output_size, *post], squash_last=False)
        self.input_size = input_size
        self.output_size = post[-1] if post else memory.output_size

    def initial_state(self, B: int) -> State:
        return self.memory.initial_state(B)

    def fresh_state(self, x_BI: Tensor) -> State:
        return self.memory.fresh_state(self.pre(x_BI))

    def step(self, x_BI: Tensor, state: State) -> Step:
        y_BH, state, penalty = self.memory.step(self.pre(x_BI), state)
        return Step(self.post(y_BH), state, penalty)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        y_TBH, state, penalty = self.memory(self.pre(x_TBI), state, start_TB)
        return Step(self.post(y_TBH), state, penalty)

    def gate_openings(self, x_BI: Tensor, state: State) -> Tensor | None:
        return self.memory.gate_openings(self.pre(x_BI), state)
