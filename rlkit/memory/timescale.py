"""Time constants of memories: in seconds, whatever dt is (Tallec & Ollivier, 2018, chapter 5.3).

A unit that keeps exp(-1/T) of its state per step forgets with time constant T steps. Here T is
drawn in seconds and divided by dt, so that one configuration is the same physical memory at every
dt. `chrono_*` are the paper's own forms, for a longest dependency counted in steps.
"""

import torch
from torch import Tensor

from rlkit.options import ConfigError

Range = tuple[float, float]


def draw(n: int, steps: Range) -> Tensor:
    """Time constants T ~ U(shortest, longest), in steps (n,)."""
    low, high = steps
    return low + (high - low) * torch.rand(n)


def keep_bias(T: Tensor) -> Tensor:
    """The bias b of a gate that keeps sigmoid(b) = exp(-1/T) of the state; -b for one that writes.

    For long T it is log(T - 1/2); the paper's log(T - 1) is the same to first order in dt.
    """
    return -torch.log(torch.expm1(1 / T))


def chrono_bias(n: int, longest: float, shortest: float | None = None) -> Tensor:
    """Equation 5.16: log U(1, longest - 1), or log(U(shortest, longest) - 1); steps.

    It is the bias of a gate that keeps; with the opposite sign of one that writes.

    Raises:
        ConfigError: longest ≤ 2, or shortest not in (1, longest].
    """
    if not longest > 2:
        raise ConfigError(f"chrono initialisation needs a longest dependency > 2, got {longest}")
    if shortest is None:
        return torch.log(1 + (longest - 2) * torch.rand(n))
    if not 1 < shortest <= longest:
        raise ConfigError(f"chrono needs 1 < shortest <= longest, got {shortest}, {longest}")
    return torch.log(shortest + (longest - shortest) * torch.rand(n) - 1)
