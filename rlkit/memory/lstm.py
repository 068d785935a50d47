"""Long short-term memory (Hochreiter & Schmidhuber, 1997; forget gate of Gers et al., 2000).

    i = σ(W_xi x + W_hi h + b_i)        f, o likewise
    c' = f ⊙ c + i ⊙ tanh(W_xg x + W_hg h + b_g)
    h' = o ⊙ tanh(c');   y = h'

Rows of the weights: i, f, g, o, as in torch; each gate has two biases that add up; no peepholes.
b_f starts at `forget_bias` (1: the usual baseline), or with `chrono` = T_max (steps) at
log U(1, T_max - 1), or with `timescale_steps` where f = exp(-1/T); the latter two set b_i = -b_f
(Tallec & Ollivier, 2018, eq. 5.16). All else starts in U(-1/√H, 1/√H).

The fused form of `forward` has first derivatives only; `step` has them all.

Shapes: T time, B batch, I input, H hidden.  State: (h_BH, c_BH), zero at first.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from rlkit.memory.base import Memory, Step, select, vmapped
from rlkit.memory.initial import check_hidden_size, gate_bias, uniform
from rlkit.memory.reset_tokens import lstm_with_tokens
from rlkit.types import State


class LSTM(Memory):
    """The memory of most published agents.

    Args:
        input_size: width of the input.
        hidden_size: width of h, of c and of the output.
        forget_bias: initial bias of the forget gate, unless set by one of the following.
        chrono: longest dependency in steps, above 2.
        timescale_steps: range of the initial time constants in steps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        forget_bias: float = 1.0,
        chrono: float | None = None,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        H = self.output_size = hidden_size
        self.input_size = input_size
        self.weight_ih = uniform(H, 4 * H, input_size)
        self.weight_hh = uniform(H, 4 * H, H)
        self.bias_ih = uniform(H, 4 * H)
        self.bias_hh = uniform(H, 4 * H)
        keep = gate_bias(H, chrono, timescale_steps)
        self.bias_ih.data[H : 2 * H] = forget_bias if keep is None else keep
        self.bias_hh.data[H : 2 * H] = 0
        if keep is not None:
            self.bias_ih.data[:H], self.bias_hh.data[:H] = -keep, 0

    def initial_state(self, B: int) -> State:
        new_zeros = self.weight_hh.new_zeros
        return new_zeros(B, self.output_size), new_zeros(B, self.output_size)

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.weight_ih, self.bias_ih + self.bias_hh)

    def recur(self, p: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = (p + linear(h, self.weight_hh)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def step(self, x_BI: Tensor, state: State) -> Step:
        if vmapped(x_BI):
            return super().step(x_BI, state)
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        h_BH, c_BH = torch.lstm_cell(x_BI, state, *weights)  # the same in one call: acting
        return Step(h_BH, (h_BH, c_BH))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        if start_TB is not None:
            state = select(start_TB[0], self.initial_state(x_TBI.shape[1]), state)
        h, c = state
        if not all(v.detach().sum().isfinite() for v in (x_TBI, h, c)):
            return super().forward(x_TBI, state, start_TB)  # a token forgets numbers, not NaN
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        later = None if start_TB is None else start_TB[1:]
        h_TBH, c_BH = lstm_with_tokens(x_TBI, h, c, weights, later)
        return Step(h_TBH, (h_TBH[-1], c_BH))
