"""Linear attention (Katharopoulos et al., 2020) with decay, a transformer of constant cost.

    k = φ(W_k x),  q = φ(W_q x),  v = W_v x,  φ(a) = elu(a) + 1        per head
    S' = f ⊙ S + k vᵀ,  n' = f ⊙ n + k
    y = W_o [S'ᵀ q / (n' · q)] + W_s x

f multiplies the rows of S (one number per key unit): 1 (decay none, the paper's), σ(b) (learnt)
or σ(W_f x + b) (gated, after Yang et al., 2024, and Pramanik et al., 2023). Without a timescale,
b is drawn such that σ(b) = exp(-1/T), T ~ U(2, 100) steps.

Differs from the papers: one attention layer with a linear path W_s around it, no block of norms
and multilayer perceptrons; W_k, W_q, W_v have no bias, so that a zero input writes v = 0.

Shapes: N heads, D = H/N.  State: (S_BNDD, n_BND), zero at first.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import elu

from rlkit.memory.base import Memory
from rlkit.memory.timescale import draw, keep_bias
from rlkit.options import ConfigError
from rlkit.types import State

OWN_STEPS = (2.0, 100.0)
EPS = 1e-6


class LinearAttention(Memory):
    """Fast weights, normalised.

    Args:
        input_size: width of the input.
        hidden_size: width of keys, queries, values and of the output, all heads together.
        heads: how many; the state has hidden_size²/heads + hidden_size floats.
        decay: none: sums over the whole episode; learnt: constant rates; gated: by the input.
        timescale_steps: range of the initial time constants in steps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 64,
        heads: int = 2,
        decay: Literal["none", "learnt", "gated"] = "gated",
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        H = hidden_size
        if heads < 1 or H < 1 or H % heads:
            raise ConfigError(f"hidden_size is {H}, but must be a multiple of heads = {heads}")
        if decay == "none" and timescale_steps is not None:
            raise ConfigError("decay is none: a timescale needs decay learnt or gated")
        self.input_size, self.output_size, self.heads = input_size, H, heads
        self.to_kv = nn.Linear(input_size, 2 * H, bias=False)
        self.to_q = nn.Linear(input_size, H, bias=False)
        self.to_y = nn.Linear(H, H)
        self.skip = nn.Linear(input_size, H, bias=False)
        self.to_f = nn.Linear(input_size, H, bias=False) if decay == "gated" else None
        bias = None if decay == "none" else keep_bias(draw(H, timescale_steps or OWN_STEPS))
        self.keep_bias = None if bias is None else nn.Parameter(bias)

    def initial_state(self, B: int) -> State:
        D = self.output_size // self.heads
        zeros = self.to_q.weight.new_zeros
        return zeros(B, self.heads, D, D), zeros(B, self.heads, D)

    def project(self, x: Tensor) -> Tensor:
        k, v = self.to_kv(x).chunk(2, dim=-1)
        if self.keep_bias is None:
            f = torch.ones_like(k)
        else:
            rate = self.keep_bias if self.to_f is None else self.keep_bias + self.to_f(x)
            f = torch.sigmoid(rate).expand_as(k)
        return torch.stack((elu(k) + 1, v, f), dim=-2).unflatten(-1, (self.heads, -1))

    def recur(self, p: Tensor, state: State) -> State:
        S_BNDD, n_BND = state
        k, v, f = p.unbind(-3)
        kv = k.unsqueeze(-1) * v.unsqueeze(-2)
        return torch.addcmul(kv, f.unsqueeze(-1), S_BNDD), torch.addcmul(k, f, n_BND)

    def readout(self, state: State, x: Tensor) -> Tensor:
        S, n = state
        q = (elu(self.to_q(x)) + 1).unflatten(-1, (self.heads, -1))
        read = (q.unsqueeze(-2) @ S).squeeze(-2)
        weight = (q * n).sum(-1, keepdim=True) + EPS
        return self.to_y((read / weight).flatten(-2)) + self.skip(x)
