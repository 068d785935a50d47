"""Leaky recurrent network (Tallec & Ollivier, 2018; Tallec 2019, eq. 5.5).

    α = σ(alpha_raw)
    h' = α ⊙ tanh(W_x x + W_h h + b) + (1 - α) ⊙ h;   y = h'

1/α is the forgetting time in steps. α is learnt, one per unit or one in all (`alpha`); it starts
at 1/2, at 1/U(1, T_max) with `chrono` = T_max (steps), at 1 - exp(-1/T) with `timescale_steps`.
W, b start in U(-1/√H, 1/√H). The text derives one α in all and experiments with one per unit.

Exact real-time gradients: with v = (x, h, 1), M = (W_x, W_h, b), s = α (1 - tanh²)

    E ← J E + s_i v_j [k = i],   E_α ← J E_α + α (1 - α) (tanh - h),   J = diag(1 - α) + diag(s) W_h

is the sensitivity of h_k to M_ij; it takes B·H²·(I + H + 1) numbers.

Shapes: T time, B batch, I input, H hidden, V = I + H + 1.
State: (h_BH,), zero at first.  Traces: (E_BHHV, E_BHα).
"""

from itertools import repeat
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlkit.memory.base import Memory, Step
from rlkit.memory.initial import check_hidden_size, gate_bias, uniform
from rlkit.memory.recurrent import Kernel, Slopes, unroll
from rlkit.options import ConfigError
from rlkit.types import State


class Leaky(Memory):
    """A recurrent network that moves by a learnt fraction per step.

    Args:
        input_size: width of the input.
        hidden_size: width of the state and of the output.
        alpha: one leak per unit, or one scalar in all.
        chrono: longest dependency in steps, above 2; null: α = 1/2.
        timescale_steps: range of the initial time constants in steps.
    """

    has_traces = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        alpha: Literal["unit", "scalar"] = "unit",
        chrono: float | None = None,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        if alpha not in ("unit", "scalar"):
            raise ConfigError(f"alpha is {alpha!r}, but must be unit or scalar")
        self.input_size, self.output_size = input_size, hidden_size
        self.weight_x = uniform(hidden_size, hidden_size, input_size)
        self.weight_h = uniform(hidden_size, hidden_size, hidden_size)
        self.bias = uniform(hidden_size, hidden_size)
        n = hidden_size if alpha == "unit" else 1
        keep = gate_bias(n, chrono, timescale_steps)
        self.alpha_raw = nn.Parameter(torch.zeros(n) if keep is None else -keep)

    def initial_state(self, B: int) -> State:
        return (self.weight_h.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        return linear(x, self.weight_x, self.bias)

    def recur(self, p: Tensor, state: State) -> State:
        (h,) = state
        alpha = torch.sigmoid(self.alpha_raw)
        return (alpha * torch.tanh(p + linear(h, self.weight_h)) + (1 - alpha) * h,)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        alpha = torch.sigmoid(self.alpha_raw)
        h_TBH = unroll(KERNEL, self.project(x_TBI), self.weight_h, state[0], start_TB, alpha)
        return Step(h_TBH, (h_TBH[-1],))

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        H, zeros = self.output_size, self.weight_h.new_zeros
        return zeros(B, H, H, self.input_size + H + 1), zeros(B, H, self.alpha_raw.numel())

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        (h,), (E, E_alpha) = state, traces
        matrix = torch.cat((self.weight_x, self.weight_h, self.bias.unsqueeze(1)), 1)
        with torch.no_grad():
            v_BV = torch.cat((x_BI, h, torch.ones_like(h[:, :1])), 1)
            alpha, n = torch.sigmoid(self.alpha_raw), torch.tanh(linear(v_BV, matrix))
            s = alpha * (1 - n * n)
            J = torch.diag_embed((1 - alpha).expand_as(h)) + s.unsqueeze(2) * self.weight_h
            E = torch.einsum("bkl,bliv->bkiv", J, E)
            E.diagonal(dim1=1, dim2=2).add_((s.unsqueeze(2) * v_BV.unsqueeze(1)).transpose(1, 2))
            own = (alpha * (1 - alpha) * (n - h)).unsqueeze(2)
            E_alpha = J @ E_alpha + (torch.diag_embed(own[..., 0]) if len(alpha) > 1 else own)
            h = alpha * n + (1 - alpha) * h
        moved = torch.einsum("bkiv,iv->bk", E, matrix - matrix.detach())
        moved = moved + E_alpha @ (self.alpha_raw - self.alpha_raw.detach())
        y = h + moved + s * linear(x_BI - x_BI.detach(), self.weight_x.detach())
        return Step(y, (h,)), (E, E_alpha)


KERNEL = Kernel(
    prepare=lambda p, alpha: ((a := p.clone()), zip(a, repeat(alpha)), (a,)),
    advance=lambda part, h, out: torch.lerp(h, part[0].tanh_(), part[1], out=out),
    slopes=lambda kept, before, h, alpha: Slopes(
        (alpha * (1 - kept[0] ** 2)).unsqueeze(2), keep=1 - alpha, e_TBH=kept[0] - before
    ),
)
"""a becomes tanh(a); e is the leak."""
