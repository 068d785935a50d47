"""Gated recurrent network (Tallec & Ollivier, 2018; Tallec 2019, eq. 5.8-5.10).

    g = σ(W_gx x + W_gh h + b_g)
    h' = g ⊙ tanh(W_x x + W_h h + b) + (1 - g) ⊙ h;   y = h'

A leaky network whose leak is computed: one gate per unit (5.10) or one in all (5.8), by `gate`.
The gate writes: `chrono` = T_max (steps) starts b_g at -log U(1, T_max - 1), `timescale_steps`
where 1 - g = exp(-1/T). All else starts in U(-1/√H, 1/√H). Rows of the weights: g, candidate.

Differs from the paper: 5.9 leaves the gate's own network open; here its state is h.

Shapes: T time, B batch, I input, H hidden.  State: (h_BH,), zero at first.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import linear

from rlkit.memory.base import Memory, Step
from rlkit.memory.initial import check_hidden_size, gate_bias, uniform
from rlkit.memory.recurrent import Kernel, Slopes, unroll
from rlkit.options import ConfigError
from rlkit.types import State

sigmoid_backward = torch.ops.aten.sigmoid_backward
tanh_backward = torch.ops.aten.tanh_backward


class Gated(Memory):
    """The smallest network that can be invariant to time warping.

    Args:
        input_size: width of the input.
        hidden_size: width of the state and of the output.
        gate: one gate per unit, or one for the whole state.
        chrono: longest dependency in steps, above 2; null: biases as drawn.
        timescale_steps: range of the initial time constants in steps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        gate: Literal["unit", "global"] = "unit",
        chrono: float | None = None,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        if gate not in ("unit", "global"):
            raise ConfigError(f"gate is {gate!r}, but must be unit or global")
        self.input_size, self.output_size = input_size, hidden_size
        self.gates = hidden_size if gate == "unit" else 1
        rows = self.gates + hidden_size
        self.weight_x = uniform(hidden_size, rows, input_size)
        self.weight_h = uniform(hidden_size, rows, hidden_size)
        self.bias = uniform(hidden_size, rows)
        bias = gate_bias(self.gates, chrono, timescale_steps)
        if bias is not None:
            self.bias.data[: self.gates] = -bias

    def initial_state(self, B: int) -> State:
        return (self.weight_h.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.weight_x, self.bias)

    def recur(self, p: Tensor, state: State) -> State:
        (h,) = state
        g, n = (p + linear(h, self.weight_h)).split((self.gates, self.output_size), dim=-1)
        g = torch.sigmoid(g)
        return (g * torch.tanh(n) + (1 - g) * h,)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        p_TBA = self.project(x_TBI)
        W_AH: Tensor = self.weight_h
        if self.gates < self.output_size:  # as many equal gates, so that slopes stay element-wise
            p_TBA, W_AH = self._repeated(p_TBA, -1), self._repeated(W_AH, 0)
        h_TBH = unroll(KERNEL, p_TBA, W_AH, state[0], start_TB)
        return Step(h_TBH, (h_TBH[-1],))

    def _repeated(self, rows: Tensor, axis: int) -> Tensor:
        g, n = rows.split((self.gates, self.output_size), dim=axis)
        return torch.cat((g.expand_as(n), n), dim=axis)


Part = tuple[Tensor, Tensor]


def _prepare(p: Tensor, e: None) -> tuple[Tensor, Iterable[Part], tuple[Tensor, ...]]:
    a = p.clone()
    return a, zip(*a.chunk(2, dim=-1), strict=True), (a,)


def _advance(part: Part, h: Tensor, out: Tensor) -> None:
    g, n = part
    torch.lerp(h, n.tanh_(), g.sigmoid_(), out=out)


def _slopes(kept: tuple[Tensor, ...], before: Tensor, h: Tensor, e: None) -> Slopes:
    g, n = kept[0].chunk(2, dim=-1)
    to_a = torch.stack((sigmoid_backward(n - before, g), tanh_backward(g, n)), 2)
    return Slopes(to_a, keep=1 - g)


KERNEL = Kernel(_prepare, _advance, _slopes)
"""The blocks of a become g and tanh."""
