"""Minimal gated recurrent unit (Feng et al., 2024, "Were RNNs all we needed?").

    z = σ(W_z x + b_z)
    h' = (1 - z) ⊙ h + z ⊙ (W_h x + b_h);   y = h'

Gate and candidate see the input alone, so that the recurrence is linear in h. Rows of the
weights: z, h; they start in U(-1/√I, 1/√I), as torch's Linear. Here z writes: `chrono` = T_max
(steps) starts its bias at -log U(1, T_max - 1) (Tallec & Ollivier, 2018), `timescale_steps` where
1 - z = exp(-1/T).

Exact real-time gradients: with v = (x, 1), E_z ← (1 - z) ⊙ E_z + z (1 - z) (n - h) v and
E_n ← (1 - z) ⊙ E_n + z v, where n is the candidate.

Differs from the paper: the plain candidate of its section 3.1 as in its equations, not the
positive one that its log-space scan needs.

Shapes: T time, B batch, I input, H hidden, V = I + 1.  State: (h_BH,), zero at first.
Traces: (E_BGHV,), G gate and candidate.
"""

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.memory.initial import check_hidden_size, gate_bias
from rlkit.memory.scan import scan
from rlkit.types import State


class MinGRU(Memory):
    """A GRU without recurrent weights.

    Args:
        input_size: width of the input.
        hidden_size: width of the state and of the output.
        chrono: longest dependency in steps, above 2; null: biases as drawn.
        timescale_steps: range of the initial time constants in steps.
    """

    has_traces = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        chrono: float | None = None,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        check_hidden_size(hidden_size)
        self.input_size, self.output_size = input_size, hidden_size
        self.x_to_zh = nn.Linear(input_size, 2 * hidden_size)
        bias = gate_bias(hidden_size, chrono, timescale_steps)
        if bias is not None:
            self.x_to_zh.bias.data[:hidden_size] = -bias

    def initial_state(self, B: int) -> State:
        return (self.x_to_zh.weight.new_zeros(B, self.output_size),)

    def project(self, x: Tensor) -> Tensor:
        """What is kept of h, and what is added, side by side."""
        z, candidate = self.x_to_zh(x).chunk(2, dim=-1)
        return torch.cat((torch.sigmoid(-z), torch.sigmoid(z) * candidate), dim=-1)

    def recur(self, p: Tensor, state: State) -> State:
        keep, added = p.chunk(2, dim=-1)
        return (keep * state[0] + added,)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        keep, added = self.project(x_TBI).chunk(2, dim=-1)
        h_TBH = scan(keep, added, state[0], start_TB)
        return Step(h_TBH, (h_TBH[-1],))

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        weight = self.x_to_zh.weight
        return (weight.new_zeros(B, 2, len(weight) // 2, self.input_size + 1),)

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        (h,), (E,) = state, traces
        matrix = torch.cat((self.x_to_zh.weight, self.x_to_zh.bias.unsqueeze(1)), 1)
        matrix = matrix.unflatten(0, (2, -1))
        with torch.no_grad():
            v_BV = torch.cat((x_BI, torch.ones_like(x_BI[:, :1])), 1)
            gate, n = torch.einsum("bv,ghv->gbh", v_BV, matrix)
            z = torch.sigmoid(gate)
            direct = torch.stack((z * (1 - z) * (n - h), z), 1)
            E = (1 - z)[:, None, :, None] * E + direct.unsqueeze(3) * v_BV[:, None, None]
            h = torch.lerp(h, n, z)
        moved = torch.einsum("bghv,ghv->bh", E, matrix - matrix.detach())
        by_input = torch.einsum("bi,ghi->bgh", x_BI - x_BI.detach(), matrix[..., :-1].detach())
        return Step(h + moved + (direct * by_input).sum(1), (h,)), (E,)
