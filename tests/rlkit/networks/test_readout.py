"""A readout of many agents equals torch's layers of each."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from rlkit.networks.readout import Readout


@pytest.mark.parametrize("N", [1, 3])
@pytest.mark.parametrize("sizes", [[4, 2], [4, 5, 6, 2]])
def test_it_equals_layers(N, sizes):
    torch.manual_seed(0)
    readout = Readout(sizes)
    phi_NQ = torch.stack([readout.draw() for _ in range(N)])
    y_TNBH = torch.randn(7, N, 2, 4)
    out = readout(phi_NQ, y_TNBH)
    assert out.shape == (7, N, 2, 2)
    for n in range(N):
        pieces = phi_NQ[n].split(readout.sizes)
        z = y_TNBH[:, n]
        for i, (inputs, outputs) in enumerate(pairwise(sizes)):
            layer = nn.Linear(inputs, outputs)
            layer.weight.data = pieces[2 * i].view(outputs, inputs)
            layer.bias.data = pieces[2 * i + 1]
            z = layer(torch.tanh(z) if i else z)
        torch.testing.assert_close(out[:, n], z, rtol=1e-5, atol=1e-6)
