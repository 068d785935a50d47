"""No memory: y = x."""

import torch

from rlkit.memory.base import select
from rlkit.memory.none import NoMemory


def test_the_output_is_the_input():
    memory = NoMemory(3)
    x_TBI = torch.randn(4, 2, 3)
    assert memory.input_size == memory.output_size == 3
    assert memory.initial_state(2) == ()
    assert memory(x_TBI, (), torch.ones(4, 2, dtype=torch.bool)).y is x_TBI
    y, state, penalty = memory.step(x_TBI[0], ())
    assert y is x_TBI[0] or torch.equal(y, x_TBI[0])
    assert (state, penalty) == ((), None)
    assert list(memory.parameters()) == []


def test_nothing_is_selected_from_nothing():
    assert select(torch.tensor([True, False]), NoMemory(3).initial_state(2), ()) == ()
