"""VAND, variational adaptive noise and dropout, around any memory (Kobayashi & Murata, 2025).

    σ = softplus(sigma_real),  β = sigmoid(beta_real)        both with derivative 1
    m ~ Bernoulli(β) per unit, row and step                  (evaluation: m = β)
    y, h' = inner(x, (1 - m) ⊙ h)                            no rescaling by 1/(1 - β)
    y' = y + σ ⊙ z,  z ~ N(0, I)                             (evaluation: z = 0)

The carried h' is without the noise. What is not learnt is 0.01 (c-noise, c-dropout) or absent.

Differs from the paper: learnt values are kept in σ ≥ 0.01 and 0.01 ≤ β ≤ 0.99 (0.01 is its lowest
value), with derivative 1 at these bounds too; a fresh state is not masked. H is the width of the
inner memory's first state; states of the same shape (LSTM's c, an imaginary part) share m.

Shapes: B batch, I input, H state, O output.  State: the inner one's, then carried_B1: 0 if fresh.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from rlkit.memory import make_memory
from rlkit.memory.base import Memory, Step
from rlkit.memory.gates import straight_through
from rlkit.options import ConfigError
from rlkit.types import State

LEAST = 0.01
Noise = tuple[Tensor, Tensor]


class VAND(Memory):
    """Noise on what a memory tells and dropout on what it keeps.

    Args:
        input_size: width of the input.
        inner: registry name of the wrapped memory.
        inner_options: its options where they differ from its defaults.
        mode: c- constant, v- learnt (variational), vand both learnt, vanilla neither.
        mask_estimator: st passes the gradient through the mask; score_function stops it there, and
            the learner adds that of `log_prob` times its cost.
        mask_cell: mask all states of the first one's shape; false: only the first.
        timescale_steps: passed to the wrapped memory.
    """

    def __init__(
        self,
        input_size: int,
        inner: str = "gru",
        inner_options: Mapping | None = None,
        mode: Literal["vanilla", "c-noise", "v-noise", "c-dropout", "v-dropout", "vand"] = "vand",
        mask_estimator: Literal["st", "score_function"] = "st",
        mask_cell: bool = True,
        timescale_steps: tuple[float, float] | None = None,
    ):
        super().__init__()
        inner_options = inner_options or {}
        for own in {"layers", "timescale"} & set(inner_options):
            raise ConfigError(f"inner_options.{own} is not allowed: set memory.{own} of vand")
        timescale = None if timescale_steps is None else {"steps": timescale_steps}
        self.inner = make_memory(inner, input_size, timescale=timescale, **inner_options)
        state = self.inner.initial_state(1)
        if not state:
            raise ConfigError(f"inner is '{inner}', but must be a memory with a state to mask")
        self.input_size, self.output_size = input_size, self.inner.output_size
        self.width = state[0].shape[1:]
        like_first = [mask_cell and s[0].shape == self.width for s in state[1:]]
        self.masked = [True, *like_first]
        parts = "v-noise and v-dropout" if mode == "vand" else mode
        self.noisy, self.drops = "noise" in parts, "dropout" in parts
        self.mask_estimator = mask_estimator
        sigma, beta = torch.zeros(self.output_size), torch.zeros(self.width)
        self.sigma_real = nn.Parameter(sigma) if "v-noise" in parts else None
        self.beta_real = nn.Parameter(beta) if "v-dropout" in parts else None

    def initial_state(self, B: int) -> State:
        inner = self.inner.initial_state(B)
        return (*inner, inner[0].new_zeros(B, 1))

    def fresh_state(self, x_BI: Tensor) -> State:
        inner = self.inner.fresh_state(x_BI)
        return (*inner, inner[0].new_zeros(x_BI.shape[0], 1))

    def sigma(self) -> Tensor:
        """Standard deviation of the noise, per output."""
        if self.sigma_real is None:
            return torch.tensor(LEAST)
        return straight_through(softplus(self.sigma_real).clamp_min(LEAST), self.sigma_real)

    def beta(self) -> Tensor:
        """Probability of dropout, per unit."""
        if self.beta_real is None:
            return torch.tensor(LEAST)
        value = torch.sigmoid(self.beta_real).clamp(LEAST, 1 - LEAST)
        return straight_through(value, self.beta_real)

    def step(self, x_BI: Tensor, state: State, noise: Noise | None = None) -> Step:
        """One step; given noise (u_BH uniform: dropped if u < β, z_BO normal) is always used."""
        *inner, carried_B1 = state
        stochastic = self.training or noise is not None
        if self.drops:
            m = beta = self.beta()
            if stochastic:
                u = noise[0] if noise is not None else torch.rand_like(inner[0])
                m = (u < beta).to(u.dtype)
                m = straight_through(m, beta) if self.mask_estimator == "st" else m
            keep = 1 - m * carried_B1.view(-1, *[1] * len(self.width))
            inner = [keep * s if on else s for s, on in zip(inner, self.masked, strict=True)]
        y, after, penalty = self.inner.step(x_BI, tuple(inner))
        if self.noisy and stochastic:
            y = y + self.sigma() * (noise[1] if noise is not None else torch.randn_like(y))
        return Step(y, (*after, torch.ones_like(carried_B1)), penalty)

    def log_prob(self, u_BH: Tensor, state: State) -> Tensor:
        """Log-probability of a step's masks per row, from its uniforms and the state before it."""
        beta = self.beta()
        logs = torch.where(u_BH < beta, beta.log(), (1 - beta).log())
        return state[-1].squeeze(-1) * logs.flatten(1).sum(-1)
