"""Real-gated linear recurrent unit of Griffin (De, Smith et al., 2024).

    u  = W_u x + b_u
    r  = sigmoid(W_a u + b_a),   i = sigmoid(W_i u + b_i)
    a  = sigmoid(Λ)^(8 r) = exp(-8 r softplus(-Λ))
    h' = a ⊙ h + sqrt(1 - a²) ⊙ (i ⊙ u)
    y  = h'
    block: u is followed by a causal convolution of width 4, and y = W_y (gelu(W_g x + b_g) ⊙ h')

Λ starts such that sigmoid(Λ)^8 is uniform in 0.9 … 0.999.
State: h (B, H); with the block also the last 3 inputs of the convolution (B, 3, H).

Differs from the paper: u is always a projection, because x has another width; with `block` false
(the default) only the recurrent unit, without the block around it. The published code draws
sigmoid(Λ) itself from 0.9 … 0.999, and leaves out sqrt(1 - a²) at an episode's first step; here
that step is like the others.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from rlkit.memory.base import Memory, Step
from rlkit.memory.conv import causal_conv
from rlkit.memory.initial import check_hidden_size
from rlkit.memory.scan import scan
from rlkit.memory.timescale import draw
from rlkit.options import ConfigError
from rlkit.types import State

POWER = 8.0
WIDTH = 4


class RGLRU(Memory):
    """A real diagonal recurrence whose decay and input are gated by the input.

    Args:
        input_size: width of x.
        hidden_size: H.
        heads: diagonal blocks of the gates' matrices.
        block: whether to add Griffin's convolution, gated branch and output map.
        timescale_steps: initial time constants at zero input.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        heads: int = 1,
        block: bool = False,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        if heads <= 0 or hidden_size % heads:
            raise ConfigError(f"heads is {heads}, but must divide hidden_size {hidden_size}")
        I, H = input_size, hidden_size
        self.input_size = I
        self.output_size = self.hidden_size = H
        if timescale_steps is None:
            decay = -torch.log(0.9 + 0.099 * torch.rand(H)) / POWER
        else:  # at zero input the gate r is 1/2
            decay = 2 / (POWER * draw(H, timescale_steps))
        self.Lam = nn.Parameter(-torch.log(torch.expm1(decay)))
        self.W_u = nn.Linear(I, H)
        nn.init.zeros_(self.W_u.bias)
        self.gates = nn.Parameter(torch.randn(2, heads, H // heads, H // heads))
        self.gates.data /= math.sqrt(H // heads)
        self.gate_bias = nn.Parameter(torch.zeros(2, H))
        self.block = block
        if block:
            self.conv = nn.Parameter((2 * torch.rand(WIDTH, H) - 1) / math.sqrt(WIDTH))
            self.conv_bias = nn.Parameter(torch.zeros(H))
            self.W_g, self.W_y = nn.Linear(I, H), nn.Linear(H, H)

    def initial_state(self, B: int) -> State:
        h = self.Lam.new_zeros(B, self.hidden_size)
        return (h, h.new_zeros(B, WIDTH - 1, self.hidden_size)) if self.block else (h,)

    def coefficients(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """A and b of h' = a ⊙ h + b."""
        heads = u.unflatten(-1, (self.gates.shape[1], -1))
        pre = torch.einsum("...hi,ghij->...ghj", heads, self.gates).flatten(-2)
        r, i = torch.sigmoid(pre + self.gate_bias).unbind(-2)
        log_a = -POWER * r * softplus(-self.Lam)
        # the clamp bounds the derivative of the root by 1000, as the published code does
        return log_a.exp(), torch.sqrt((-torch.expm1(2 * log_a)).clamp(min=2.5e-7)) * i * u

    def enter(self, x: Tensor, state: State, start_TB: Tensor | None) -> tuple[Tensor, State]:
        """U (T, B, H) and the convolution's next state."""
        u = self.W_u(x)
        if not self.block:
            return u, ()
        u, past = causal_conv(u, state[1], start_TB, self.conv, self.conv_bias)
        return u, (past,)

    def readout(self, state: State, x: Tensor) -> Tensor:
        return self.W_y(gelu(self.W_g(x)) * state[0]) if self.block else state[0]

    def step(self, x_BI: Tensor, state: State) -> Step:
        u, past = self.enter(x_BI[None], state, None)
        a, b = self.coefficients(u[0])
        h = a * state[0] + b
        return Step(self.readout((h,), x_BI), (h, *past))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        u, past = self.enter(x_TBI, state, start_TB)
        h = scan(*self.coefficients(u), state[0], start_TB)
        return Step(self.readout((h,), x_TBI), (h[-1], *past))
