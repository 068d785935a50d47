"""Initial weights and gate biases that several recurrent cells share."""

import math

import torch
from torch import Tensor, nn

from rlkit.memory.timescale import Range, chrono_bias, draw, keep_bias
from rlkit.options import ConfigError


def uniform(hidden_size: int, *shape: int) -> nn.Parameter:
    """U(-1/√H, 1/√H): what torch's recurrent cells draw all their weights and biases from."""
    return nn.Parameter(torch.empty(shape).uniform_(-1, 1) / math.sqrt(hidden_size))


def check_hidden_size(hidden_size: int) -> None:
    """Refuses widths below one.

    Raises:
        ConfigError: hidden_size < 1.
    """
    if hidden_size < 1:
        raise ConfigError(f"hidden_size is {hidden_size}, but must be at least 1")


def gate_bias(n: int, chrono: float | None, timescale_steps: Range | None) -> Tensor | None:
    """Initial biases of n gates that keep (negated: that write), or None if nothing is asked for.

    Args:
        n: gates.
        chrono: longest dependency in steps, for the paper's log U(1, longest - 1).
        timescale_steps: shortest and longest time constant in steps.

    Raises:
        ConfigError: both are given, or chrono is at most 2.
    """
    if chrono is not None and timescale_steps is not None:
        raise ConfigError("chrono and timescale both set the gate biases: give one of them")
    if chrono is not None:
        return chrono_bias(n, chrono)
    return None if timescale_steps is None else keep_bias(draw(n, timescale_steps))
