"""GateL0RD, gated L0-regularised dynamics (Gumbsch, Butz & Martius, 2021).

    x ← f_pre(x)
    s = g([x, h]) - ε,  ε ~ N(0, gate_noise_std²) in training, 0 in evaluation
    Λ = max(0, tanh s)                        a closed gate keeps its unit exactly
    h' = Λ ⊙ r([x, h]) + (1 - Λ) ⊙ h
    y = f_post(p([x, h']) ⊙ o([x, h']))
    penalty = coefficient · mean over units of Θ = 1[Λ > 0]

r, p end in tanh, o in σ; Θ and the step gate are straight-through; at first h = 0 or f_init(x).
Differs from the paper: gate noise of standard deviation 0.1, as in its code (the text: variance);
L2 squares the mean of one row and step (the code: of the batch), so that rows stay independent.

Shapes: T time, B batch, I input, F features, H hidden.  State: (h_BH,).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.memory.gated_update import unroll_gates
from rlkit.memory.gates import at_least, cost, halving, openness, set_open, tanh_net
from rlkit.memory.timescale import draw
from rlkit.options import ConfigError
from rlkit.types import State


class GateL0RD(Memory):
    """A memory that changes rarely; see docs/memory/gatel0rd.md for the options."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        feature_size: int | None = None,
        gate_layers: int = 1,
        f_pre: int = 0,
        f_post: int = 0,
        f_init: int = 0,
        gate: Literal["retanh", "step", "sigmoid"] = "retanh",
        penalty: Literal["L0", "L1", "L2"] = "L0",
        penalty_coefficient: float = 0.01,
        concat_gates: bool | None = None,
        straight_through: Literal["identity", "relu"] | None = None,
        gate_noise_std: float = 0.1,
        output_gate: bool = True,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        H, F = hidden_size, hidden_size if feature_size is None else feature_size
        at_least(1, hidden_size=H, feature_size=F, gate_layers=gate_layers)
        at_least(0, f_pre=f_pre, f_post=f_post, f_init=f_init)
        at_least(0, gate_noise_std=gate_noise_std, penalty_coefficient=penalty_coefficient)
        if (gate == "sigmoid") == (penalty == "L0"):
            raise ConfigError(f"gate {gate} has no {penalty} penalty: sigmoid L1, L2, others L0")
        self.input_size, self.output_size, self.hidden_size = input_size, F, H
        self.gate, self.penalty, self.gate_noise_std = gate, penalty, gate_noise_std
        self.penalty_coefficient = penalty_coefficient
        self.concat_gates = penalty == "L0" if concat_gates is None else concat_gates
        self.straight_through = straight_through or ("identity" if self.concat_gates else "relu")
        wide = (F if f_pre else input_size) + H
        self.f_pre = tanh_net([input_size, *halving(f_pre, F)], nn.Tanh())
        self.g = tanh_net([wide, *halving(gate_layers, H)], nn.Identity())
        self.r = tanh_net([wide, *halving(gate_layers, H)], nn.Tanh())
        self.p = tanh_net([wide, F], nn.Tanh())
        self.o = tanh_net([wide, F], nn.Sigmoid()) if output_gate else None
        self.f_post = tanh_net([F, *halving(f_post - 1, F), F][: f_post + 1], nn.Identity())
        first = [input_size, *halving(f_init, F)[:-1], H]
        self.f_init = tanh_net(first, nn.Tanh()) if f_init else None
        if timescale_steps is not None:
            set_open(gate, self.g, draw(H, timescale_steps))

    def initial_state(self, B: int) -> State:
        return (next(self.r.parameters()).new_zeros(B, self.hidden_size),)

    def fresh_state(self, x_BI: Tensor) -> State:
        return self.initial_state(x_BI.shape[0]) if self.f_init is None else (self.f_init(x_BI),)

    def step(self, x_BI: Tensor, state: State, noise_BH: Tensor | None = None) -> Step:
        """One step; a given `noise_BH` (already times its deviation) is ε, in evaluation too."""
        x_BF = self.f_pre(x_BI)
        h_BH, s_BH = self._update(x_BF, state[0], noise_BH)
        return Step(self._output(x_BF, h_BH), (h_BH,), self._cost(s_BH))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        x_TBF, pairs = self.f_pre(x_TBI), []
        if len(self.g) == 2 and self.f_init is None and self.gate != "step":  # one layer each
            std = self.gate_noise_std if self.training else 0.0
            fast = unroll_gates(self.gate, self.g, self.r, x_TBF, state[0], start_TB, std)
            return Step(self._output(x_TBF, fast[0]), (fast[0][-1],), self._cost(fast[1]))
        for t in range(x_TBI.shape[0]):
            (h_BH,) = self.restart(state, start_TB, x_TBI, t)
            pairs.append(self._update(x_TBF[t], h_BH))
            state = pairs[-1][:1]
        h_TBH, s_TBH = (torch.stack(v) for v in zip(*pairs, strict=True))
        return Step(self._output(x_TBF, h_TBH), state, self._cost(s_TBH))

    def gate_openings(self, x_BI: Tensor, state: State) -> Tensor:
        """How far the gates open in this step, Λ_BH without noise; for logging."""
        return openness(self.gate, self.g(torch.cat((self.f_pre(x_BI), state[0]), -1)))

    def _update(self, x: Tensor, h: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        xh = torch.cat((x, h), -1)
        s = self.g(xh)
        if noise is None and self.training and self.gate_noise_std:
            noise = self.gate_noise_std * torch.randn_like(s)
        s = s if noise is None else s - noise
        gate = openness(self.gate, s)
        return gate * self.r(xh) + (1 - gate) * h, s

    def _output(self, x: Tensor, h: Tensor) -> Tensor:
        xh = torch.cat((x, h), -1)
        return self.f_post(self.p(xh) if self.o is None else self.p(xh) * self.o(xh))

    def _cost(self, s: Tensor) -> Tensor:
        v = openness(self.gate, s) if self.concat_gates else s
        return self.penalty_coefficient * cost(self.penalty, v, self.straight_through)
