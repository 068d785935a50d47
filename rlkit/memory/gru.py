"""Gated recurrent unit (Cho et al., 2014), in torch's form.

    r = σ(W_ir x + b_ir + W_hr h + b_hr)
    z = σ(W_iz x + b_iz + W_hz h + b_hz)
    n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))
    h' = (1 - z) ⊙ n + z ⊙ h;   y = h'

Rows of the weights: r, z, n. Here z keeps. `chrono` = T_max (steps) starts its bias at
log U(1, T_max - 1) (Tallec & Ollivier, 2018, eq. 5.16), `timescale_steps` where z = exp(-1/T).

Differs from the paper: r multiplies W_hn h + b_hn and not h, as in torch and cuDNN; z and 1 - z
change places in half of the literature.

Shapes: T time, B batch, I input, H hidden.  State: (h_BH,), zero at first.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import linear

from rlkit.memory.base import Memory, Step, vmapped
from rlkit.memory.initial import check_hidden_size, gate_bias, uniform
from rlkit.memory.recurrent import Kernel, Slopes, unroll
from rlkit.types import State

sigmoid_backward = torch.ops.aten.sigmoid_backward
tanh_backward = torch.ops.aten.tanh_backward


class GRU(Memory):
    """The default gated memory.

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
        self.weight_ih = uniform(hidden_size, 3 * hidden_size, input_size)
        self.weight_hh = uniform(hidden_size, 3 * hidden_size, hidden_size)
        self.bias_ih = uniform(hidden_size, 3 * hidden_size)
        self.bias_hh = uniform(hidden_size, 3 * hidden_size)
        bias = gate_bias(hidden_size, chrono, timescale_steps)
        if bias is not None:
            z = slice(hidden_size, 2 * hidden_size)
            self.bias_ih.data[z], self.bias_hh.data[z] = bias, 0

    def initial_state(self, B: int) -> State:
        return (self.weight_hh.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        b_rz, b_n = self.bias_hh.split((2 * self.output_size, self.output_size))
        return linear(x, self.weight_ih, self.bias_ih + torch.cat((b_rz, torch.zeros_like(b_n))))

    def recur(self, p: Tensor, state: State) -> State:
        (h,) = state
        r_in, z_in, n_in = p.chunk(3, dim=-1)
        r_h, z_h, n_h = linear(h, self.weight_hh).chunk(3, dim=-1)
        r, z = torch.sigmoid(r_in + r_h), torch.sigmoid(z_in + z_h)
        n = torch.tanh(n_in + r * (n_h + self.bias_hh[2 * self.output_size :]))
        return ((1 - z) * n + z * h,)

    def step(self, x_BI: Tensor, state: State) -> Step:
        if vmapped(x_BI):
            return super().step(x_BI, state)
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh
        h_BH = torch.gru_cell(x_BI, state[0], *weights)  # the same in one call: acting
        return Step(h_BH, (h_BH,))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        b_n = self.bias_hh[2 * self.output_size :]
        h_TBH = unroll(KERNEL, self.project(x_TBI), self.weight_hh, state[0], start_TB, b_n)
        return Step(h_TBH, (h_TBH[-1],))


Part = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _prepare(p: Tensor, b_n: Tensor) -> tuple[Tensor, Iterable[Part], tuple[Tensor, ...]]:
    a = p.clone()
    r, z, n_h = a.chunk(3, dim=-1)
    n_in = p[..., -len(b_n) :]
    n_h.copy_(b_n.expand_as(n_h))
    n = torch.empty_like(n_h)
    return a, zip(a[..., : -len(b_n)], r, z, n_h, n_in, n, strict=True), (a, n)


def _advance(part: Part, h: Tensor, out: Tensor) -> None:
    rz, r, z, n_h, n_in, n = part
    rz.sigmoid_()
    torch.addcmul(n_in, r, n_h, out=n).tanh_()
    torch.lerp(n, h, z, out=out)


def _slopes(kept: tuple[Tensor, ...], before: Tensor, h: Tensor, b_n: Tensor) -> Slopes:
    a, n = kept
    r, z, n_h = a.chunk(3, dim=-1)
    to_n_in = tanh_backward(1 - z, n)
    to_n_h = to_n_in * r
    to_r = sigmoid_backward(to_n_in * n_h, r)
    to_z = sigmoid_backward(before - n, z)
    to_a, to_p = torch.stack((to_r, to_z, to_n_h), 2), torch.stack((to_r, to_z, to_n_in), 2)
    return Slopes(to_a, z, to_p, to_n_h)


KERNEL = Kernel(_prepare, _advance, _slopes)
"""The blocks of a become r, z and W_hn h + b_hn; e is b_hn."""
