"""GRU: torch's cell, biases."""

import math

import torch
from torch import nn

from rlkit.memory.gru import GRU


def test_it_is_torchs_cell():
    torch.manual_seed(0)
    memory, cell = GRU(3, 5), nn.GRUCell(3, 5)
    memory.load_state_dict(cell.state_dict())
    x, h = torch.randn(4, 3), torch.randn(4, 5)
    torch.testing.assert_close(memory.step(x, (h,)).y, cell(x, h))
    torch.testing.assert_close(memory(x[None], (h,)).y[0], cell(x, h))


def test_it_is_torchs_layer():
    torch.manual_seed(0)
    layer, memory = nn.GRU(3, 5), GRU(3, 5)
    memory.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x = torch.randn(9, 2, 3)
    torch.testing.assert_close(memory(x, memory.initial_state(2)).y, layer(x)[0])


def test_time_constants_are_in_the_bias_of_z():
    memory = GRU(3, 5, timescale_steps=(10.0, 10.0))
    torch.testing.assert_close(memory.bias_ih[5:10].sigmoid(), torch.full((5,), math.exp(-0.1)))
    assert torch.equal(memory.bias_hh[5:10], torch.zeros(5))
    assert (memory.bias_hh[:5] != 0).all()


def test_chrono_draws_log_u():
    z = GRU(3, 500, chrono=30.0).bias_ih[500:1000].exp()
    assert z.min() >= 1 - 1e-5
    assert 25 < z.max() <= 29
