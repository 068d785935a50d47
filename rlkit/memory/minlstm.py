"""Minimal long short-term memory (Feng et al., 2024, "Were RNNs all we needed?").

    f = σ(W_f x + b_f),   i = σ(W_i x + b_i)
    h' = f / (f + i) ⊙ h + i / (f + i) ⊙ (W_h x + b_h);   y = h'

Gates and candidate see the input alone, so that the recurrence is linear in h; there is one
state, and its gates add up to 1. Rows of the weights: f, i, h; they start in U(-1/√I, 1/√I), as
torch's Linear. `chrono` = T_max (steps) starts b_f at log U(1, T_max - 1), `timescale_steps` where
f / (f + i) = exp(-1/T); both set b_i = -b_f (Tallec & Ollivier, 2018), with which f + i = 1.

Differs from the paper: the plain candidate, as in its equations, not the positive one that its
log-space scan needs.

Shapes: T time, B batch, I input, H hidden.  State: (h_BH,), zero at first.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from rlkit.memory.base import Memory, Step
from rlkit.memory.initial import check_hidden_size, gate_bias
from rlkit.memory.scan import scan
from rlkit.types import State


class MinLSTM(Memory):
    """An LSTM without recurrent weights, output gate and second state.

    Args:
        input_size: width of the input.
        hidden_size: width of the state and of the output.
        chrono: longest dependency in steps, above 2; null: biases as drawn.
        timescale_steps: range of the initial time constants in steps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        chrono: float | None = None,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        self.input_size, self.output_size = input_size, hidden_size
        self.x_to_fih = nn.Linear(input_size, 3 * hidden_size)
        bias = gate_bias(hidden_size, chrono, timescale_steps)
        if bias is not None:
            self.x_to_fih.bias.data[: 2 * hidden_size] = torch.cat((bias, -bias))

    def initial_state(self, B: int) -> State:
        return (self.x_to_fih.weight.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        """What is kept of h, and what is added, side by side."""
        f, i, candidate = self.x_to_fih(x).chunk(3, dim=-1)
        ratio = logsigmoid(f) - logsigmoid(i)  # log f/i: no 0/0 where both gates close
        return torch.cat((torch.sigmoid(ratio), torch.sigmoid(-ratio) * candidate), dim=-1)

    def recur(self, p: Tensor, state: State) -> State:
        keep, added = p.chunk(2, dim=-1)
        return (keep * state[0] + added,)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        keep, added = self.project(x_TBI).chunk(2, dim=-1)
        h_TBH = scan(keep, added, state[0], start_TB)
        return Step(h_TBH, (h_TBH[-1],))
