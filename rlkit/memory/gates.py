"""GateL0RD's gates and their cost: functions whose derivative may be replaced.

Straight-through (Bengio, Léonard & Courville, 2013): a step forwards, a line backwards.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from rlkit.memory.timescale import keep_bias
from rlkit.options import ConfigError

Gate = Literal["retanh", "step", "sigmoid"]


def at_least(low: float, **values: float) -> None:
    """Refuses smaller values.

    Raises:
        ConfigError: the first that is too small.
    """
    for name, value in values.items():
        if not value >= low:
            raise ConfigError(f"{name} is {value}, but must be at least {low}")


def straight_through(value: Tensor, through: Tensor) -> Tensor:
    """Exactly `value`, with the derivative of `through`."""
    return value.detach() + (through - through.detach())


def heaviside(v: Tensor, derivative: Literal["identity", "relu"]) -> Tensor:
    """1 where v > 0, else 0; its derivative is 1 everywhere (identity) or where v > 0 (relu)."""
    through = v if derivative == "identity" else torch.relu(v)
    return straight_through((v > 0).to(v.dtype), through)


def openness(gate: Gate, s: Tensor) -> Tensor:
    """How far gates open: max(0, tanh s) (derivative 0 at s = 0), 1[s > 0] or σ(s)."""
    if gate == "sigmoid":
        return torch.sigmoid(s)
    return torch.relu(torch.tanh(s)) if gate == "retanh" else heaviside(s, "identity")


def open_bias(gate: Gate, T: Tensor) -> Tensor:
    """The s at which 1 - openness is exp(-1/T).

    Raises:
        ConfigError: the step gate keeps all or nothing.
    """
    if gate == "step":
        raise ConfigError("gate 'step' has no time constants to set by timescale; others have")
    write = -keep_bias(T)
    return write if gate == "sigmoid" else write.sigmoid().atanh()


def set_open(gate: Gate, net: nn.Sequential, T: Tensor) -> None:
    """Biases of a gates' network so that it writes 1 - exp(-1/T) at zero input and state."""
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    for layer in linear:
        nn.init.zeros_(layer.bias)
    linear[-1].bias.data.copy_(open_bias(gate, T))


def cost(
    penalty: Literal["L0", "L1", "L2"], v: Tensor, derivative: Literal["identity", "relu"]
) -> Tensor:
    """Per row: the mean of 1[v > 0] (L0) or of σ(v) (L1), or the square of the latter (L2)."""
    mean = (heaviside(v, derivative) if penalty == "L0" else torch.sigmoid(v)).mean(-1)
    return mean.square() if penalty == "L2" else mean


def halving(layers: int, last: int) -> list[int]:
    """Widths 2^(layers - 1 - l) · last."""
    return [last << (layers - 1 - layer) for layer in range(layers)]


def tanh_net(sizes: Sequence[int], end: nn.Module) -> nn.Sequential:
    """Linear layers with tanh between them and `end` after the last; no layer: the identity."""
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.Tanh()]
    return nn.Sequential(*layers[:-1], end) if layers else nn.Sequential()
