"""minGRU: one step by hand, biases."""

import math

import pytest
import torch

from rlkit.memory.mingru import MinGRU


def test_one_step_by_hand():
    memory = MinGRU(1, 1)
    memory.x_to_zh.weight.data[:, 0] = torch.tensor([1.0, 3.0])
    memory.x_to_zh.bias.data[:] = torch.tensor([math.log(3) - 2, -1.0])
    # z = σ(log 3) = 3/4;  candidate 3·2 - 1 = 5
    y = memory.step(torch.tensor([[2.0]]), (torch.tensor([[8.0]]),)).y
    assert y.item() == pytest.approx(0.25 * 8 + 0.75 * 5)


def test_parameters():
    assert sum(p.numel() for p in MinGRU(3, 7).parameters()) == 2 * 7 * (3 + 1)


def test_time_constants_are_in_the_bias_of_z():
    z = torch.sigmoid(MinGRU(3, 5, timescale_steps=(10.0, 10.0)).x_to_zh.bias[:5])
    torch.testing.assert_close(1 - z, torch.full((5,), math.exp(-0.1)))


def test_a_closed_gate_keeps_and_an_open_one_replaces():
    memory = MinGRU(1, 1)
    memory.x_to_zh.weight.data[:, 0] = torch.tensor([1e4, 1.0])
    memory.x_to_zh.bias.data.zero_()
    x = torch.tensor([-1.0, 2.0, -3.0]).view(3, 1, 1)
    y = memory(x, (torch.tensor([[0.5]]),)).y
    assert y.flatten().tolist() == [0.5, 2.0, 2.0]
