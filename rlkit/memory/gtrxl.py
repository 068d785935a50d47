"""Gated transformer-XL (Parisotto et al., 2020): one layer that attends to a window of the past.

    e = W_e x + b_e                               (e = x where the sizes are equal)
    a = RelativeAttention(LN[memory, e])          q from the newest, keys and values from all
    u = gate(e, relu(a))
    y = gate(u, relu(MLP(LN u)))
    gate(x, y) = (1 - z) ⊙ x + z ⊙ tanh(W_g y + U_g (r ⊙ x)),
                 r = σ(W_r y + U_r x),  z = σ(W_z y + U_z x - b)        b starts at 2: y ≈ x

Logits are ((q + u)·k_j + (q + v)·W_R R_{i-j})/√D with sinusoids R of the distance in steps (Dai et
al., 2019). Stack layers with `layers: n`; the memory of each is its own inputs e.

Differs from the paper: the past within one sequence keeps its gradient (it stops where the caller
detaches the state); before an episode's start there is nothing to attend to, instead of zeros.

Shapes: M window, N heads, D = H/N.  State: (e_BMH, valid_BM of 0 and 1), zero at first.
"""

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, Step
from rlkit.memory.gates import at_least
from rlkit.options import ConfigError
from rlkit.types import State


class Gate(nn.Module):
    def __init__(self, size: int, bias: float):
        super().__init__()
        self.from_y = nn.Linear(size, 3 * size, bias=False)
        self.from_x = nn.Linear(size, 2 * size, bias=False)
        self.from_rx = nn.Linear(size, size, bias=False)
        self.bias = nn.Parameter(torch.full((size,), float(bias)))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        y_r, y_z, y_g = self.from_y(y).chunk(3, dim=-1)
        x_r, x_z = self.from_x(x).chunk(2, dim=-1)
        z = torch.sigmoid(y_z + x_z - self.bias)
        return torch.lerp(x, torch.tanh(y_g + self.from_rx(torch.sigmoid(y_r + x_r) * x)), z)


class GTrXL(Memory):
    """A transformer that starts as the identity.

    Args:
        input_size: width of the input.
        hidden_size: width of the layer and of the output.
        heads: of the attention.
        window: previous steps attended to.
        mlp_size: width of the hidden layer of the MLP.
        gate_bias: initial b of the gates.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        heads: int = 2,
        window: int = 32,
        mlp_size: int = 128,
        gate_bias: float = 2.0,
    ):
        super().__init__()
        at_least(1, hidden_size=hidden_size, heads=heads, window=window, mlp_size=mlp_size)
        if hidden_size % heads:
            raise ConfigError(
                f"hidden_size is {hidden_size}, but must be a multiple of {heads} heads"
            )
        H = hidden_size
        self.input_size, self.output_size, self.heads, self.window = input_size, H, heads, window
        self.embed = nn.Linear(input_size, H) if input_size != H else nn.Identity()
        self.norm, self.norm_mlp = nn.LayerNorm(H), nn.LayerNorm(H)
        self.to_q, self.to_kv = nn.Linear(H, H, bias=False), nn.Linear(H, 2 * H, bias=False)
        self.to_r, self.merge = nn.Linear(H, H, bias=False), nn.Linear(H, H, bias=False)
        self.u, self.v = (nn.Parameter(torch.zeros(heads, H // heads)) for _ in range(2))
        self.mlp = nn.Sequential(nn.Linear(H, mlp_size), nn.ReLU(), nn.Linear(mlp_size, H))
        self.gate, self.gate_mlp = Gate(H, gate_bias), Gate(H, gate_bias)
        angle = torch.arange(window, -1, -1.0)[:, None] / 1e4 ** (torch.arange(0, H, 2) / H)
        R = torch.cat((angle.sin(), angle.cos()), dim=-1)[:, :H]
        self.register_buffer("R", R, persistent=False)

    def initial_state(self, B: int) -> State:
        zeros = self.u.new_zeros
        return zeros(B, self.window, self.output_size), zeros(B, self.window)

    def step(self, x_BI: Tensor, state: State) -> Step:
        e_BMH = torch.cat((state[0], self.embed(x_BI).unsqueeze(1)), dim=1)
        valid_BM = torch.cat((state[1], torch.ones_like(state[1][:, :1])), dim=1)
        y, e_BMH = self._attend(e_BMH, valid_BM > 0.5)
        return Step(y, (e_BMH[:, 1:], (valid_BM[:, 1:] > 0.5).to(y.dtype)))

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        """All steps at once: each attends to its own window of states and inputs."""
        M, (T, B, _) = self.window, x_TBI.shape
        e = torch.cat((state[0].transpose(0, 1), self.embed(x_TBI)))
        known = torch.cat((state[1].t() > 0.5, e.new_ones(T, B, dtype=torch.bool)))
        episode = torch.zeros_like(known, dtype=torch.long)
        if start_TB is not None:
            episode[M:] = start_TB.cumsum(0)
        windows = episode.unfold(0, M + 1, 1)
        valid = known.unfold(0, M + 1, 1) & (windows == windows[..., -1:])
        y, e_TBMH = self._attend(e.unfold(0, M + 1, 1).transpose(-1, -2), valid)
        return Step(y, (e_TBMH[-1, :, 1:], valid[-1, :, 1:].to(e.dtype)))

    def _attend(self, e: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """For any leading axes: y (…, H) and e (…, M + 1, H) with zeros where it is not valid."""
        e, now, split = torch.where(valid.unsqueeze(-1), e, 0.0), e[..., -1, :], (self.heads, -1)
        normed = self.norm(e)
        q = self.to_q(normed[..., -1, :]).unflatten(-1, split)
        k, v = (i.unflatten(-1, split) for i in self.to_kv(normed).chunk(2, dim=-1))
        r = self.to_r(self.R).unflatten(-1, split)
        logits = torch.einsum("...nd,...mnd->...nm", q + self.u, k)
        logits = logits + torch.einsum("...nd,mnd->...nm", q + self.v, r)
        logits = (logits / q.shape[-1] ** 0.5).masked_fill(~valid.unsqueeze(-2), float("-inf"))
        a = torch.einsum("...nm,...mnd->...nd", logits.softmax(-1), v)
        u = self.gate(now, torch.relu(self.merge(a.flatten(-2))))
        return self.gate_mlp(u, torch.relu(self.mlp(self.norm_mlp(u)))), e
