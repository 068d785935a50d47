"""Linear recurrent unit (Orvieto et al., 2023), with exact real-time gradients.

    λ  = exp(-exp(nu_log) + i exp(theta_log))
    h' = λ ⊙ h + exp(gamma_log) ⊙ (B x)
    y  = Re(C h') + D x

State: real and imaginary part of h (B, H) each. Traces: E (B, 2 + I, H, 2), the derivatives of h
by λ, γ and the columns of B, E ← λ E + (h, B x, γ x). Stable for every value of the parameters.

Differs from the paper: D is a matrix (the input may be wider than the output) and can be left
out; no normalisation and no layer around the recurrence.
"""

import math

import torch
from torch import Tensor, nn

from rlkit.memory import pairs
from rlkit.memory.base import LinearForm, Memory, Step
from rlkit.memory.scan import scan
from rlkit.memory.traces import complex_trace_step
from rlkit.options import ConfigError
from rlkit.types import State


class LRU(Memory):
    """A complex diagonal linear recurrence between two linear maps.

    Args:
        input_size: width of x.
        hidden_size: H, complex units.
        output_size: width of y; None: H.
        skip: whether y has the term D x.
        r_min: smallest initial |λ|.
        r_max: largest initial |λ|; for long memories a ring such as 0.9 … 0.999.
        max_phase: largest initial phase per step.
        timescale_steps: initial time constants instead of r_min, r_max and max_phase.
    """

    has_traces = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        output_size: int | None = None,
        skip: bool = True,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        pairs.check_units(hidden_size, r_min, r_max, max_phase)
        if output_size is not None and output_size <= 0:
            raise ConfigError(f"output_size is {output_size}, but must be at least 1 or null")
        I, H, O = input_size, hidden_size, output_size or hidden_size
        self.input_size, self.hidden_size, self.output_size = I, H, O
        nu_log, theta_log = pairs.draw_ring(H, r_min, r_max, max_phase, timescale_steps)
        self.nu_log, self.theta_log = nn.Parameter(nu_log), nn.Parameter(theta_log)
        self.gamma_log = nn.Parameter(0.5 * torch.log(-torch.expm1(-2 * nu_log.exp())))
        self.B_re = nn.Parameter(torch.randn(H, I) / math.sqrt(2 * I))
        self.B_im = nn.Parameter(torch.randn(H, I) / math.sqrt(2 * I))
        self.C_re = nn.Parameter(torch.randn(O, H) / math.sqrt(H))
        self.C_im = nn.Parameter(torch.randn(O, H) / math.sqrt(H))
        self.D = nn.Parameter(torch.randn(O, I)) if skip else None

    def initial_state(self, B: int) -> State:
        return pairs.zeros(self.nu_log, B, self.hidden_size)

    def project(self, x: Tensor) -> Tensor:
        gamma = self.gamma_log.exp()[:, None]
        return pairs.complex_linear(x, gamma * self.B_re, gamma * self.B_im)

    def linear_form(self) -> LinearForm:
        lam = pairs.eigenvalues(self.nu_log, self.theta_log)
        return lam, self.gamma_log.exp(), (self.B_re.T, self.B_im.T)

    def read(self, h: Tensor, x: Tensor) -> Tensor:
        """Y from the complex state and the input."""
        y = pairs.real_part(h, self.C_re, self.C_im)
        return y if self.D is None else y + nn.functional.linear(x, self.D)

    def step(self, x_BI: Tensor, state: State) -> Step:
        h = pairs.eigenvalues(self.nu_log, self.theta_log) * torch.complex(*state) + self.project(
            x_BI
        )
        return Step(self.read(h, x_BI), (h.real, h.imag))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        h = scan(
            pairs.eigenvalues(self.nu_log, self.theta_log),
            self.project(x_TBI),
            torch.complex(*state),
            start_TB,
        )
        return Step(self.read(h, x_TBI), (h[-1].real, h[-1].imag))

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        return (self.nu_log.new_zeros(B, 2 + self.input_size, self.hidden_size, 2),)

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        form = self.linear_form()
        h, E = complex_trace_step(traces[0], torch.complex(*state).detach(), *form, x_BI)
        last = h.detach()
        return Step(self.read(h, x_BI), (last.real, last.imag)), (E,)
