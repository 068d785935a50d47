"""Block-diagonal recurrent network (Elelimy, 2023, section 4.2), exact real-time gradients.

    a1 = A ⊙ c1 + B ⊙ c2 + W1 x
    a2 = C ⊙ c1 + D ⊙ c2 + W2 x
    linear:      c' = a,     y = f([a1, a2])
    nonlinear:   c' = f(a),  y = [c1', c2']

A recurrent trace unit whose 2×2 blocks are free. State: c1, c2 (B, H) each; W1, W2 are stored
(I, H). Traces: E (B, 4 + 2I, 2, H), the derivatives of (c1, c2) by A, B, C, D, W1 and W2.

Differs from the thesis: the initialisation, which it does not give, is that of the trace unit (a
rotation, A = D = r cos θ, C = -B = r sin θ). The blocks can leave the unit circle while learning:
`spectral_radius` is there to watch them.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory import pairs
from rlkit.memory.base import Memory, Step
from rlkit.memory.block_scan import block_scan
from rlkit.memory.traces import block_trace_step, sides
from rlkit.types import State


class BlockDiagonal(Memory):
    """Free 2×2 blocks, one per unit; y has width 2 H.

    Args:
        input_size: width of x.
        hidden_size: H, units of two numbers.
        kind: where the activation sits: on the output or in the recurrence.
        f: the activation.
        r_min: smallest initial modulus of a block.
        r_max: largest initial modulus.
        max_phase: largest initial phase per step.
        timescale_steps: initial time constants instead of r_min, r_max and max_phase.
    """

    has_traces = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        kind: Literal["linear", "nonlinear"] = "linear",
        f: Literal["relu", "tanh"] = "relu",
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        pairs.check_units(hidden_size, r_min, r_max, max_phase)
        pairs.check_kind(kind, f)
        I, H = input_size, hidden_size
        self.input_size, self.hidden_size, self.output_size = I, H, 2 * H
        self.f: pairs.Activation = f
        self.recurrent_f: pairs.Activation = "linear" if kind == "linear" else f
        nu_log, theta_log = pairs.draw_ring(H, r_min, r_max, max_phase, timescale_steps)
        lam = pairs.eigenvalues(nu_log, theta_log)
        self.A, self.D = nn.Parameter(lam.real.clone()), nn.Parameter(lam.real.clone())
        self.B, self.C = nn.Parameter(-lam.imag), nn.Parameter(lam.imag.clone())
        self.W1, self.W2 = nn.Parameter(pairs.lecun(I, H)), nn.Parameter(pairs.lecun(I, H))

    def initial_state(self, B: int) -> State:
        return pairs.zeros(self.A, B, self.hidden_size)

    def block(self) -> tuple[Tensor, Tensor]:
        """Diagonal (A, D) and cross (B, C)."""
        return torch.stack((self.A, self.D)), torch.stack((self.B, self.C))

    def spectral_radius(self) -> Tensor:
        """Largest modulus of the eigenvalues of each block (H,); above 1 it is unstable."""
        rows = torch.stack((self.A, self.B)), torch.stack((self.C, self.D))
        return torch.linalg.eigvals(torch.stack(rows).permute(2, 0, 1).detach()).abs().amax(-1)

    def read(self, c: Tensor) -> Tensor:
        y = c.flatten(-2)
        return pairs.activate(self.f, y) if self.recurrent_f == "linear" else y

    def step(self, x_BI: Tensor, state: State) -> Step:
        p = torch.stack((x_BI @ self.W1, x_BI @ self.W2), -2)
        c = pairs.activate(self.recurrent_f, pairs.turn(*self.block(), torch.stack(state, 1)) + p)
        return Step(self.read(c), c.unbind(1))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        p = torch.stack((x_TBI @ self.W1, x_TBI @ self.W2), -2)
        c = block_scan(self.block(), p, torch.stack(state, 1), start_TB, self.recurrent_f)
        return Step(self.read(c), c[-1].unbind(1))

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        return (self.A.new_zeros(B, 4 + 2 * self.input_size, 2, self.hidden_size),)

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        c = torch.stack(state, 1).detach()
        p = torch.stack((x_BI @ self.W1.detach(), x_BI @ self.W2.detach()), 1)
        with torch.no_grad():
            M = self.block()
            x = x_BI[:, :, None].expand(-1, -1, self.hidden_size)
            S = torch.cat((sides(c, c), sides(x, x)), 1)
        P = torch.cat((torch.stack((self.A, self.B, self.C, self.D)), self.W1, self.W2))
        c, E = block_trace_step(traces[0], c, M, p, S, P, self.recurrent_f)
        return Step(self.read(c), c.detach().unbind(1)), (E,)
