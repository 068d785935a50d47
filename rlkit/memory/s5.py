"""S5, simplified state space layer (Smith, Warrington & Linderman, 2023).

    Λ̄  = exp(Λ Δ),   B̄ = Λ⁻¹ (Λ̄ - 1) B           zero-order hold, one step size Δ per mode
    h' = Λ̄ ⊙ h + B̄ x
    y  = 2 Re(C h') + D x
    half_glu: y ← u ⊙ sigmoid(W u + b), u = gelu(y);  gelu: y ← gelu(y);  linear: y as it is

Λ starts at the eigenvalues of the normal part of HiPPO-LegS (`blocks` copies), of which one of each
conjugate pair is kept, B at V⁻¹ and C times V of real draws, V its eigenvectors; log Δ is uniform.
Re Λ = -1/2 there, so that a mode forgets with time constant 2/Δ steps. The recurrence with start
flags is that of Lu et al. (2023).

State: real and imaginary part of h (B, P) each, P = state_size / 2.

Differs from the paper: Re Λ = -exp(rate_log), negative whatever is learnt; D is a matrix, because
the output may be wider than the input; no residual path, normalisation or dropout around it.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory import pairs
from rlkit.memory.base import Memory, Step
from rlkit.memory.hippo import hippo
from rlkit.memory.initial import check_hidden_size
from rlkit.memory.scan import scan
from rlkit.memory.timescale import draw
from rlkit.options import ConfigError
from rlkit.types import State


class S5(Memory):
    """A diagonal state space between two linear maps, and an activation on the output.

    Args:
        input_size: width of x.
        hidden_size: width of y.
        state_size: real numbers of state.
        blocks: copies of HiPPO the state is made of.
        step_min: smallest initial Δ.
        step_max: largest initial Δ.
        activation: what is made of y.
        timescale_steps: initial time constants instead of step_min and step_max.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        state_size: int = 64,
        blocks: int = 1,
        step_min: float = 0.001,
        step_max: float = 0.1,
        activation: Literal["half_glu", "gelu", "linear"] = "half_glu",
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        if blocks <= 0 or state_size <= 0 or state_size % (2 * blocks):
            raise ConfigError(
                f"state_size is {state_size}, but must be a multiple of 2 x blocks ({blocks})"
            )
        if activation not in ("half_glu", "gelu", "linear"):
            raise ConfigError(f"activation is {activation!r}, but must be half_glu, gelu or linear")
        if not 0 < step_min <= step_max:
            raise ConfigError(
                f"step_min, step_max are {step_min}, {step_max}, but must be 0 < min <= max"
            )
        I, O, N = input_size, hidden_size, state_size
        self.input_size, self.output_size, self.P, self.activation = I, O, N // 2, activation
        lam, V_NP = hippo(N, blocks)
        self.rate_log, self.frequency = nn.Parameter(torch.log(-lam.real)), nn.Parameter(lam.imag)
        if timescale_steps is None:
            step_log = math.log(step_min) + torch.rand(N // 2) * math.log(step_max / step_min)
        else:
            step_log = torch.log(2 / draw(N // 2, timescale_steps))
        self.step_log = nn.Parameter(step_log)
        B = V_NP.mH @ pairs.lecun(I, N).T.to(V_NP.dtype)
        C = torch.complex(pairs.lecun(N, O), pairs.lecun(N, O)).T @ V_NP
        self.B_re, self.B_im = nn.Parameter(B.real.clone()), nn.Parameter(B.imag.clone())
        self.C_re, self.C_im = nn.Parameter(C.real.clone()), nn.Parameter(C.imag.clone())
        self.D = nn.Parameter(torch.randn(O, I) / math.sqrt(I))
        self.glu = nn.Linear(O, O) if activation == "half_glu" else None

    def initial_state(self, B: int) -> State:
        return pairs.zeros(self.rate_log, B, self.P)

    def discretize(self) -> tuple[Tensor, Tensor]:
        """Λ̄ (P,) and B̄ (P, I)."""
        lam = torch.complex(-self.rate_log.exp(), self.frequency)
        z = lam * self.step_log.exp()
        # exp(z) - 1 without cancellation at small steps
        minus_1 = torch.complex(
            torch.expm1(z.real) * torch.cos(z.imag) - 2 * torch.sin(z.imag / 2) ** 2,
            torch.exp(z.real) * torch.sin(z.imag),
        )
        return torch.exp(z), (minus_1 / lam)[:, None] * torch.complex(self.B_re, self.B_im)

    def read(self, h: Tensor, x: Tensor) -> Tensor:
        """Y from the complex state and the input."""
        y = 2 * pairs.real_part(h, self.C_re, self.C_im) + nn.functional.linear(x, self.D)
        u = y if self.activation == "linear" else nn.functional.gelu(y)
        return u if self.glu is None else u * torch.sigmoid(self.glu(u))

    def step(self, x_BI: Tensor, state: State) -> Step:
        lam, B = self.discretize()
        h = lam * torch.complex(*state) + pairs.complex_linear(x_BI, B.real, B.imag)
        return Step(self.read(h, x_BI), (h.real, h.imag))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        lam, B = self.discretize()
        b = pairs.complex_linear(x_TBI, B.real, B.imag)
        h = scan(lam, b, torch.complex(*state), start_TB)
        return Step(self.read(h, x_TBI), (h[-1].real, h[-1].imag))
