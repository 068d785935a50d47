"""Linear layers with their initial weights, and small stacks of them."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def orthogonal(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """Orthogonal weights times a gain, bias zero: what PPO's networks start from."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def tanh_layers(input_size: int, sizes: Sequence[int]) -> nn.Sequential:
    """Linear, tanh for each size; the identity if there are none."""
    layers: list[nn.Module] = []
    for i, o in pairwise([input_size, *sizes]):
        layers += [orthogonal(i, o), nn.Tanh()]
    return nn.Sequential(*layers)


def tanh_head(
    input_size: int, sizes: Sequence[int], output_size: int, gain: float
) -> nn.Sequential:
    """Tanh layers and a linear one whose initial weights have this gain."""
    last = orthogonal([input_size, *sizes][-1], output_size, gain)
    return nn.Sequential(*tanh_layers(input_size, sizes), last)
