"""Recurrent trace unit (Elelimy, White, Bowling & White, 2024), with exact real-time gradients.

    r = exp(-exp(nu_log)),  θ = exp(theta_log),  γ = sqrt(1 - r²),  g = r cos θ,  φ = r sin θ
    a1 = g ⊙ c1 - φ ⊙ c2 + γ ⊙ (W1 x)
    a2 = g ⊙ c2 + φ ⊙ c1 + γ ⊙ (W2 x)
    linear:      c' = a,     y = f([a1, a2])
    nonlinear:   c' = f(a),  y = [c1', c2']

State: c1, c2 (B, H) each; W1, W2 are stored (I, H). Traces: linear, one complex number per weight
(∂h/∂W2 = i ∂h/∂W1), E (B, 2 + I, H, 2) by λ, γ and W; nonlinear E (B, 2 + 2I, 2, H) by nu_log,
theta_log, W1 and W2. γ is tied to r and differentiated through.

Differs from the paper: the derivative by theta_log has the factor θ that the published code lacks;
γ is sqrt(-expm1(-2ν)), accurate for r near 1, instead of sqrt(1 - r²) + 1e-8.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory import pairs
from rlkit.memory.base import LinearForm, Memory, Step
from rlkit.memory.block_scan import block_scan
from rlkit.memory.scan import scan
from rlkit.memory.traces import block_trace_step, complex_trace_step, sides
from rlkit.types import State


class RTU(Memory):
    """Rotations of the plane that shrink, one per unit; y has width 2 H.

    Args:
        input_size: width of x.
        hidden_size: H, units of two numbers.
        kind: where the activation sits: on the output or in the recurrence.
        f: the activation.
        r_min: smallest initial r; r_max the largest.
        max_phase: largest initial θ per step.
        timescale_steps: initial time constants instead of these three.
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
        self.linear, self.f = kind == "linear", f
        nu_log, theta_log = pairs.draw_ring(H, r_min, r_max, max_phase, timescale_steps)
        self.nu_log, self.theta_log = nn.Parameter(nu_log), nn.Parameter(theta_log)
        self.W1, self.W2 = nn.Parameter(pairs.lecun(I, H)), nn.Parameter(pairs.lecun(I, H))

    def initial_state(self, B: int) -> State:
        return pairs.zeros(self.nu_log, B, self.hidden_size)

    def coefficients(self) -> tuple[Tensor, Tensor]:
        """λ = g + i φ and γ (H,)."""
        gamma = torch.sqrt(-torch.expm1(-2 * self.nu_log.exp()))
        return pairs.eigenvalues(self.nu_log, self.theta_log), gamma

    def linear_form(self) -> LinearForm | None:
        return (*self.coefficients(), (self.W1, self.W2)) if self.linear else None

    def step(self, x_BI: Tensor, state: State) -> Step:
        lam, gamma = self.coefficients()
        a = lam * torch.complex(*state) + gamma * torch.complex(x_BI @ self.W1, x_BI @ self.W2)
        a = torch.cat((a.real, a.imag), -1)
        y = pairs.activate(self.f, a)
        return Step(y, (a if self.linear else y).chunk(2, -1))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        lam, gamma = self.coefficients()
        W1, W2 = gamma * self.W1, gamma * self.W2
        if self.linear:
            h = scan(lam, pairs.complex_linear(x_TBI, W1.T, W2.T), torch.complex(*state), start_TB)
            return Step(self.read(h), (h[-1].real, h[-1].imag))
        p = torch.stack((x_TBI @ W1, x_TBI @ W2), -2)
        c = block_scan(pairs.rotation(lam), p, torch.stack(state, 1), start_TB, self.f)
        return Step(c.flatten(-2), c[-1].unbind(1))

    def read(self, h: Tensor) -> Tensor:
        return pairs.activate(self.f, torch.cat((h.real, h.imag), -1))

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        I, H = self.input_size, self.hidden_size
        shape = (B, 2 + I, H, 2) if self.linear else (B, 2 + 2 * I, 2, H)
        return (self.nu_log.new_zeros(shape),)

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        if (form := self.linear_form()) is not None:
            h, E = complex_trace_step(traces[0], torch.complex(*state).detach(), *form, x_BI)
            return Step(self.read(h), (h.detach().real, h.detach().imag)), (E,)
        lam, gamma = self.coefficients()
        c, M, gamma = torch.stack(state, 1).detach(), pairs.rotation(lam.detach()), gamma.detach()
        p = gamma * torch.stack((x_BI @ self.W1.detach(), x_BI @ self.W2.detach()), 1)
        with torch.no_grad():
            quarter = torch.stack((-c[:, 1], c[:, 0]), 1)
            # ∂γ/∂nu_log = ν r²/γ, and r²/γ² = γ⁻² - 1
            by_nu = self.nu_log.exp() * ((gamma**-2 - 1) * p - pairs.turn(*M, c))
            by_theta = self.theta_log.exp() * pairs.turn(*M, quarter)
            gx = gamma * x_BI[:, :, None]
            S = torch.cat((by_nu[:, None], by_theta[:, None], sides(gx, gx)), 1)
        P = torch.cat((self.nu_log[None], self.theta_log[None], self.W1, self.W2))
        c, E = block_trace_step(traces[0], c, M, p, S, P, self.f)
        return Step(c.flatten(-2), c.detach().unbind(1)), (E,)
