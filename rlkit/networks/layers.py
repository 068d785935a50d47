"""Linear layers with their initial weights, and small stacks of them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
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


def sparse(inputs: int, outputs: int, zeros: float) -> nn.Linear:
    """Uniform weights within 1/√inputs, a share of each unit's set to zero, bias zero.

    What streaming learners start from (Elsayed, Vasan & Mahmood, 2024): few units share an input,
    so that what one step teaches disturbs little else.
    """
    layer = nn.Linear(inputs, outputs)
    bound = inputs**-0.5
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.zeros_(layer.bias)
    with torch.no_grad():
        for row in layer.weight:
            row[torch.randperm(inputs)[: int(zeros * inputs)]] = 0
    return layer


def sparse_head(
    input_size: int, sizes: Sequence[int], output_size: int, zeros: float
) -> nn.Sequential:
    """Sparse layers; all but the last are normalised (without weights) and leakily rectified."""
    layers: list[nn.Module] = []
    for i, o in pairwise([input_size, *sizes]):
        layers += [sparse(i, o, zeros), nn.LayerNorm(o, elementwise_affine=False), nn.LeakyReLU()]
    return nn.Sequential(*layers, sparse([input_size, *sizes][-1], output_size, zeros))
