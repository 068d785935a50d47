"""Tanh layers and a linear one, for N agents at once, as a function of vectors of parameters.

Shapes: T time, N agents, B batch, H input, K output, Q parameters.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Readout:
    """Says only shapes; the parameters are brought.

    Args:
        sizes: widths from the input to the output.
    """

    def __init__(self, sizes: Sequence[int]):
        self.shapes = {
            f"{i}.{name}": shape
            for i, (inputs, outputs) in enumerate(pairwise(sizes))
            for name, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
        }
        self.sizes = [math.prod(shape) for shape in self.shapes.values()]
        self._layers = list(pairwise(sizes))

    def draw(self) -> Tensor:
        """Initial parameters (Q,), as torch's Linear has them."""
        layers = [nn.Linear(inputs, outputs) for inputs, outputs in self._layers]
        return torch.cat([p.detach().reshape(-1) for layer in layers for p in layer.parameters()])

    def __call__(self, phi_NQ: Tensor, y_TNBH: Tensor) -> Tensor:
        N, pieces = len(phi_NQ), phi_NQ.split(self.sizes, 1)
        shape = y_TNBH.shape
        z = y_TNBH[:, 0] if N == 1 else y_TNBH.transpose(0, 1).reshape(N, -1, shape[-1])
        for i, (inputs, outputs) in enumerate(self._layers):
            weight, bias = pieces[2 * i], pieces[2 * i + 1]
            z = torch.tanh(z) if i else z
            if N == 1:
                z = nn.functional.linear(z, weight.view(outputs, inputs), bias.view(-1))
            else:
                z = torch.baddbmm(bias.unsqueeze(1), z, weight.view(N, outputs, inputs).mT)
        return z.unsqueeze(1) if N == 1 else z.view(N, shape[0], shape[2], -1).transpose(0, 1)
