"""Mamba, selective state space (Gu & Dao, 2023).

    u, z = W_in x;   u ← silu(causal_conv(u))
    δ, B, C = W_s u;   Δ = softplus(W_Δ δ + b_Δ)
    h' = exp(Δ A) ⊙ h + (Δ u) Bᵀ,      A = -exp(A_log)      each of E channels has N modes
    y  = W_out ((h' C + D ⊙ u) ⊙ silu(z))

A starts at -(1 … N) in every channel, so that mode n forgets with time constant 1 / (n Δ) steps.
E = expand · hidden_size. State: h (B, E, N) and the convolution's last inputs (B, width - 1, E).

Differs from the paper: W_in and W_out also change the width; the convolution's bias starts at zero,
so that the time constants at zero input are those asked for; no normalisation or residual path.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu, softplus

from rlkit.memory.base import Memory, Step
from rlkit.memory.conv import causal_conv
from rlkit.memory.scan import scan
from rlkit.memory.timescale import draw
from rlkit.options import ConfigError
from rlkit.types import State


class Mamba(Memory):
    """A bank of real modes per channel whose step size, input and readout depend on the input.

    Args:
        input_size: width of x.
        hidden_size: width of y.
        expand: channels per output.
        state_size: N, modes per channel.
        conv_width: inputs the convolution sees.
        rank: width of δ; None: hidden_size / 16, rounded up.
        step_min: smallest initial Δ.
        step_max: largest initial Δ.
        timescale_steps: initial time constants 1 / Δ of the slowest modes, at zero input.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        expand: int = 2,
        state_size: int = 16,
        conv_width: int = 4,
        rank: int | None = None,
        step_min: float = 0.001,
        step_max: float = 0.1,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        sizes = {"hidden_size": hidden_size, "expand": expand, "state_size": state_size}
        for name, size in (sizes | {"conv_width": conv_width, "rank": rank}).items():
            if size is not None and size <= 0:
                raise ConfigError(f"{name} is {size}, but must be at least 1")
        if not 0 < step_min <= step_max:
            raise ConfigError(
                f"step_min, step_max are {step_min}, {step_max}, but must be 0 < min <= max"
            )
        E, N, K = expand * hidden_size, state_size, conv_width
        R = rank or math.ceil(hidden_size / 16)
        self.input_size, self.output_size, self.sizes = input_size, hidden_size, (R, N, N)
        self.W_in = nn.Linear(input_size, 2 * E, bias=False)
        self.conv = nn.Parameter((2 * torch.rand(K, E) - 1) / math.sqrt(K))
        self.conv_bias = nn.Parameter(torch.zeros(E))
        self.W_s = nn.Linear(E, R + 2 * N, bias=False)
        self.W_step = nn.Linear(R, E)
        nn.init.uniform_(self.W_step.weight, -(R**-0.5), R**-0.5)
        if timescale_steps is None:
            log_step = math.log(step_min) + torch.rand(E) * math.log(step_max / step_min)
            step = log_step.exp().clamp(min=1e-4)
        else:
            step = 1 / draw(E, timescale_steps)
        self.W_step.bias.data = step + torch.log(-torch.expm1(-step))  # inverse of softplus
        self.A_log = nn.Parameter(torch.log(torch.arange(1.0, N + 1)).repeat(E, 1))
        self.D = nn.Parameter(torch.ones(E))
        self.W_out = nn.Linear(E, hidden_size, bias=False)

    def initial_state(self, B: int) -> State:
        E, N = self.A_log.shape
        return self.D.new_zeros(B, E, N), self.D.new_zeros(B, self.conv.shape[0] - 1, E)

    def enter(self, x: Tensor, past: Tensor, start_TB: Tensor | None) -> tuple[Tensor, ...]:
        """U, z (T, B, E) and the convolution's next state."""
        u, z = self.W_in(x).chunk(2, -1)
        u, past = causal_conv(u, past, start_TB, self.conv, self.conv_bias)
        return silu(u), z, past

    def coefficients(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """A and b of h' = a ⊙ h + b (…, E, N), and C (…, N)."""
        delta, B, C = self.W_s(u).split(self.sizes, -1)
        step = softplus(self.W_step(delta))
        a = torch.exp(-step[..., None] * self.A_log.exp())
        return a, (step * u)[..., None] * B[..., None, :], C

    def read(self, h: Tensor, C: Tensor, u: Tensor, z: Tensor) -> Tensor:
        y = (h @ C[..., None]).squeeze(-1) + self.D * u
        return self.W_out(y * silu(z))

    def step(self, x_BI: Tensor, state: State) -> Step:
        u, z, past = self.enter(x_BI[None], state[1], None)
        a, b, C = self.coefficients(u[0])
        h = a * state[0] + b
        return Step(self.read(h, C, u[0], z[0]), (h, past))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        u, z, past = self.enter(x_TBI, state[1], start_TB)
        a, b, C = self.coefficients(u)
        h = scan(a, b, state[0], start_TB)
        return Step(self.read(h, C, u, z), (h[-1], past))
