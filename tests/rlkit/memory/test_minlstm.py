"""minLSTM: one step by hand, closed gates, biases."""

import math

import pytest
import torch

from rlkit.memory.minlstm import MinLSTM


def test_one_step_by_hand():
    memory = MinLSTM(1, 1)
    memory.x_to_fih.weight.data[:, 0] = torch.tensor([0.0, 0.0, 3.0])
    memory.x_to_fih.bias.data[:] = torch.tensor([math.log(3), -math.log(3), -1.0])
    # f = 3/4, i = 1/4, f + i = 1;  candidate 3·2 - 1 = 5
    y = memory.step(torch.tensor([[2.0]]), (torch.tensor([[8.0]]),)).y
    assert y.item() == pytest.approx(0.75 * 8 + 0.25 * 5)


def test_gates_are_divided_by_their_sum():
    torch.manual_seed(0)
    memory, x, h = MinLSTM(3, 4), torch.randn(2, 3), torch.randn(2, 4)
    f, i, n = memory.x_to_fih(x).chunk(3, -1)
    f, i = f.sigmoid(), i.sigmoid()
    torch.testing.assert_close(memory.step(x, (h,)).y, (f * h + i * n) / (f + i))


def test_two_closed_gates_are_not_zero_over_zero():
    memory = MinLSTM(1, 1)
    memory.x_to_fih.bias.data[:2] = -1e4
    x = torch.zeros(1, 1, requires_grad=True)
    y = memory.step(x, (torch.tensor([[2.0]]),)).y
    y.backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()


def test_parameters():
    assert sum(p.numel() for p in MinLSTM(3, 7).parameters()) == 3 * 7 * (3 + 1)


def test_time_constants_are_in_both_gates():
    f, i, _ = MinLSTM(3, 5, timescale_steps=(10.0, 10.0)).x_to_fih.bias.chunk(3)
    assert torch.equal(f, -i)
    torch.testing.assert_close(f.sigmoid(), torch.full((5,), math.exp(-0.1)))
