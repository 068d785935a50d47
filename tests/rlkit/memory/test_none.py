"""No memory: y = x."""

import torch

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


def test_restart_of_nothing_is_nothing():
    assert NoMemory(3).restart((), torch.tensor([True, False])) == ()
