"""Running normalisation of network inputs."""

import torch
from torch import Tensor, nn


class RunningNormalizer(nn.Module):
    """(x - mean) / std with the moments of every sample seen (Chan et al., 1979, batched).

    A module of the agent, not a wrapper of the environment: replay holds raw observations, and
    the moments are buffers, saved and restored with the policy. They move only in `observe`,
    hence never during evaluation.

    Before any sample it is the identity.

    Args:
        shape: shape of one observation.
        variance_floor: the variance is never taken below it (Tallec 2019: 1e-2).
    """

    count: Tensor
    mean: Tensor
    m2: Tensor

    def __init__(self, shape: tuple[int, ...], variance_floor: float = 1e-2):
        super().__init__()
        self.variance_floor = variance_floor
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("m2", torch.zeros(shape, dtype=torch.float64))

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Takes the samples x (B, *shape) into the moments."""
        x = x.double()
        total = self.count + x.shape[0]
        delta = x.mean(0) - self.mean
        self.m2 += x.var(0, unbiased=False) * x.shape[0]
        self.m2 += delta.square() * (self.count * x.shape[0] / total)
        self.mean += delta * (x.shape[0] / total)
        self.count.copy_(total)

    @property
    def variance(self) -> Tensor:
        return (self.m2 / self.count.clamp(min=1)).clamp(min=self.variance_floor)

    def forward(self, x: Tensor) -> Tensor:
        if self.count == 0:
            return x
        return ((x - self.mean) / self.variance.sqrt()).float()
