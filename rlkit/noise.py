"""What exploration draws from: noise in physical time, and uniform numbers."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rlkit.types import Tree


class OrnsteinUhlenbeck:
    """Stationary Ornstein-Uhlenbeck process, dz = -κ z dt + σ dB (Tallec 2019, eq. 8.29).

    One independent process per entry, started from the stationary law N(0, σ²/2κ) and sampled
    with the exact transition, so that its law at any time difference does not depend on dt.

    Args:
        shape: entries, e.g. (B, A).
        dt: seconds between samples.
        kappa: stiffness κ in 1/s.
        sigma: scale σ in 1/√s.
        generator: source of the draws.

    Differs from the paper: exact transition instead of Euler's (which inflates the stationary
    standard deviation from 0.39 to 0.43 at dt = 0.05).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dt: float,
        kappa: float,
        sigma: float,
        generator: torch.Generator,
    ):
        self.decay = math.exp(-kappa * dt)
        stationary_std = sigma / math.sqrt(2 * kappa)
        self.innovation_std = stationary_std * math.sqrt(-math.expm1(-2 * kappa * dt))
        self.generator = generator
        self.z = stationary_std * torch.randn(shape, generator=generator)

    def sample(self) -> Tensor:
        """The current value; then the process advances by dt."""
        value = self.z
        draw = torch.randn(value.shape, generator=self.generator)
        self.z = self.decay * value + self.innovation_std * draw
        return value

    def get_state(self) -> Tree:
        return {"z": self.z, "generator": self.generator.get_state()}

    def set_state(self, state: Tree) -> None:
        self.z = state["z"].clone()
        self.generator.set_state(state["generator"])


class UniformDraws:
    """Uniform numbers in (0, 1) of one generator, from which a policy samples its actions."""

    def __init__(self, generator: torch.Generator):
        self.generator = generator

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        """(B, n) numbers, never 0 or 1."""
        return torch.rand(shape, generator=self.generator).clamp_(min=2**-25)

    def get_state(self) -> Tensor:
        return self.generator.get_state()

    def set_state(self, state: Tensor) -> None:
        self.generator.set_state(state)


class EpisodeDraws(UniformDraws):
    """As above, but row b has a stream of its own, whatever rows are beside it.

    Args:
        seeds: of the rows.
    """

    BLOCK_STEPS = 64

    def __init__(self, seeds: Sequence[int]):
        streams = [np.random.SeedSequence(s, spawn_key=(0x616374,)) for s in seeds]
        self.rngs = [np.random.default_rng(s) for s in streams]
        self.used = self.BLOCK_STEPS
        self.block = torch.empty(0)

    def uniform(self, shape: tuple[int, ...]) -> Tensor:
        if self.used == self.BLOCK_STEPS:
            size = (self.BLOCK_STEPS, *shape[1:])
            rows = [rng.random(size, dtype=np.float32) for rng in self.rngs]
            self.block, self.used = torch.from_numpy(np.stack(rows, 1)).clamp_(min=2**-25), 0
        self.used += 1
        return self.block[self.used - 1]
