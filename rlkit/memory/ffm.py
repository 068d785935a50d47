"""Fast and forgetful memory (Morad et al., 2023).

    x̃ = (W₁ x) ⊙ σ(W₂ x + b₂)
    S' = Γ ⊙ S + x̃ 1ᵀ,  Γ_mc = exp(-|α_m|) e^{-iω_c}                    complex
    g = σ(W₄ x + b₄)
    y = LN(W₃ [Re S', Im S'] + b₃) ⊙ g + (W₅ x + b₅) ⊙ (1 - g)

α and ω are learnt. As in its code they start at α = 1e-6 … 0.5 and ω = 2π/period, periods from 1
to `max_period` steps, both evenly spaced. With `timescale_steps`, |α| = 1/T and ω is uniform up to
2π/T_min, below π: the same seed gives the same physical rates at every dt, and the same
frequencies where T_min is at least two steps.

Differs from the paper: W₁ has no bias, so that a zero input writes nothing.

Shapes: M memory, C context, O output.  State: (re_BMC, im_BMC), zero at first.
"""

import math

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory
from rlkit.memory.gates import at_least
from rlkit.memory.timescale import draw
from rlkit.types import State


class FFM(Memory):
    """Decaying and turning sums of the input, read through gates.

    Args:
        input_size: width of the input.
        hidden_size: width of the output.
        memory_size: rates of decay, one per entry of x̃.
        context_size: frequencies; the state has 2 · memory_size · context_size floats.
        max_period: longest initial period in steps, without a timescale.
        timescale_steps: range of the initial time constants in steps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        memory_size: int = 32,
        context_size: int = 4,
        max_period: float = 1024.0,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        at_least(1, hidden_size=hidden_size, memory_size=memory_size, context_size=context_size)
        at_least(1, max_period=max_period)
        self.input_size, self.output_size = input_size, hidden_size
        if timescale_steps is None:
            alpha = torch.linspace(1e-6, 0.5, memory_size)
            omega = 2 * math.pi / torch.linspace(1, max_period, context_size)
        else:
            alpha = 1 / draw(memory_size, timescale_steps)
            omega = torch.rand(context_size) * 2 * math.pi / timescale_steps[0]
            omega = omega.clamp(max=0.999 * math.pi)
        self.alpha, self.omega = nn.Parameter(alpha), nn.Parameter(omega)
        self.write = nn.Linear(input_size, memory_size, bias=False)
        self.write_gate = nn.Linear(input_size, memory_size)
        self.mix = nn.Linear(2 * memory_size * context_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, elementwise_affine=False)
        self.gate = nn.Linear(input_size, hidden_size)
        self.skip = nn.Linear(input_size, hidden_size)

    def initial_state(self, B: int) -> State:
        zeros = self.alpha.new_zeros(B, self.alpha.shape[0], self.omega.shape[0])
        return zeros, zeros

    def project(self, x: Tensor) -> Tensor:
        return self.write(x) * torch.sigmoid(self.write_gate(x))

    def recur(self, p: Tensor, state: State) -> State:
        re, im = state
        r = torch.exp(-self.alpha.abs()).unsqueeze(-1)
        cos, sin = r * torch.cos(self.omega), r * torch.sin(self.omega)
        return cos * re + sin * im + p.unsqueeze(-1), cos * im - sin * re

    def readout(self, state: State, x: Tensor) -> Tensor:
        seen = torch.cat(state, dim=-1).flatten(-2)
        g = torch.sigmoid(self.gate(x))
        return self.norm(self.mix(seen)) * g + self.skip(x) * (1 - g)
