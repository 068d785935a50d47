"""One seed gives every stream, the same ones each time."""

import torch

from rlkit.seeding import STREAMS, generator, seed_everything


def test_streams_repeat_and_differ():
    first, again, other = seed_everything(3), seed_everything(3), seed_everything(4)
    assert first == again
    assert list(first) == list(STREAMS)
    assert len({*first.values(), *other.values()}) == 2 * len(STREAMS)


def test_networks_are_drawn_from_the_seed():
    seed_everything(3)
    first = torch.nn.Linear(3, 2).weight
    seed_everything(3)
    assert torch.equal(first, torch.nn.Linear(3, 2).weight)


def test_generators_are_their_own():
    a, b = generator(7), generator(7)
    torch.rand(3)
    assert torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
