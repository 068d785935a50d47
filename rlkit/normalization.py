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
        self._affine: tuple[Tensor, Tensor] | None = None
        self.register_load_state_dict_post_hook(lambda module, keys: module._prepare())

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
        self._prepare()

    def _prepare(self) -> None:
        """The map x → x · factor + offset, rounded once."""
        if self.count > 0:
            factor = self.variance.rsqrt()
            self._affine = factor.float(), (-self.mean * factor).float()
        else:
            self._affine = None

    @property
    def variance(self) -> Tensor:
        return (self.m2 / self.count.clamp(min=1)).clamp(min=self.variance_floor)

    def forward(self, x: Tensor) -> Tensor:
        if self._affine is None:
            return x
        factor, offset = self._affine
        return torch.addcmul(offset, x, factor)


class ValueNormalizer(nn.Module):
    """PopArt (van Hasselt et al., 2016): the critic works in units of its targets' spread.

    The last layer of the critic emits (V - mean) / std; when the moments move, the layer is
    rescaled so that V itself does not.

        mean, square ← (1 - β) · old + β · batch,   β = max(rate, 1/n) at the n-th batch

    Args:
        layer: the critic's last layer, one output.
        rate: weight of the newest batch.
    """

    mean: Tensor
    square: Tensor
    batches: Tensor

    def __init__(self, layer: nn.Linear, rate: float):
        super().__init__()
        self.rate = rate
        self._layer = [layer]  # in a list: not a submodule here too
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("square", torch.ones((), dtype=torch.float64))
        self.register_buffer("batches", torch.zeros((), dtype=torch.float64))
        self._scale = 0.0, 1.0
        self.register_load_state_dict_post_hook(lambda module, keys: module._prepare())

    @property
    def std(self) -> Tensor:
        return (self.square - self.mean.square()).clamp(min=1e-6).sqrt()

    def _prepare(self) -> None:
        self._scale = float(self.mean), float(self.std)

    @torch.no_grad()
    def observe(self, target: Tensor) -> None:
        """Moves the moments towards a batch of value targets; V is preserved."""
        (layer,) = self._layer
        old_mean, old_std = self.mean.clone(), self.std
        self.batches += 1
        beta = torch.clamp(1 / self.batches, min=self.rate)
        target = target.double()
        self.mean.lerp_(target.mean(), beta)
        self.square.lerp_(target.square().mean(), beta)
        new_std = self.std
        layer.bias.copy_((old_std * layer.bias + old_mean - self.mean) / new_std)
        layer.weight.mul_(old_std / new_std)
        self._prepare()

    def normalize(self, value: Tensor) -> Tensor:
        """Values in reward units → in units of their spread."""
        mean, std = self._scale
        return (value - mean) / std

    def denormalize(self, value: Tensor) -> Tensor:
        """The critic's output → value in reward units."""
        mean, std = self._scale
        return value * std + mean
