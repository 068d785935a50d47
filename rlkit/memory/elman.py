"""Simple recurrent network (Elman, 1990).

    h' = tanh(W_ih x + b_ih + W_hh h + b_hh);   y = h'

All weights and biases start in U(-1/√H, 1/√H), as in torch's RNNCell. There is no gate, hence no
time constant to set.

Shapes: T time, B batch, I input, H hidden.  State: (h_BH,), zero at first.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from rlkit.memory.base import Memory, Step
from rlkit.memory.initial import check_hidden_size, uniform
from rlkit.memory.recurrent import Kernel, Slopes, unroll
from rlkit.types import State


class Elman(Memory):
    """The plain recurrent network.

    Args:
        input_size: width of the input.
        hidden_size: width of the state and of the output.
    """

    def __init__(self, input_size: int, hidden_size: int = 64):
        super().__init__()
        check_hidden_size(hidden_size)
        self.input_size, self.output_size = input_size, hidden_size
        self.weight_ih = uniform(hidden_size, hidden_size, input_size)
        self.weight_hh = uniform(hidden_size, hidden_size, hidden_size)
        self.bias_ih = uniform(hidden_size, hidden_size)
        self.bias_hh = uniform(hidden_size, hidden_size)

    def initial_state(self, B: int) -> State:
        return (self.weight_hh.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    def recur(self, p: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(p + linear(h, self.weight_hh)),)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        h_TBH = unroll(KERNEL, self.project(x_TBI), self.weight_hh, state[0], start_TB)
        return Step(h_TBH, (h_TBH[-1],))


def _prepare(p: Tensor, e: None) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    a = p.clone()
    return a, a, ()


KERNEL = Kernel(
    _prepare,
    advance=lambda a, h, out: a.tanh_(),
    slopes=lambda kept, before, h, e: Slopes(
        torch.addcmul(h.new_ones(()), h, h, value=-1).unsqueeze(2)
    ),
)
"""h' = tanh(a)"""
