"""What the loop reads is what the learner sees, in order, whatever the chunks."""

import numpy as np
import pytest
import torch

from rlkit.loops.supervised import SupervisedLoop


class Numbers:
    """Row b of a stream counts 1000 b, 1000 b + 1, …; sequences of four."""

    place = 0

    def rows(self, first, T, B):
        x = first + np.arange(T)[:, None] + 1000.0 * np.arange(B)
        flags = np.zeros((T, B), dtype=bool)
        return x[..., None].astype(np.float32), x, np.ones((T, B), np.float32), flags

    def begin(self, seeds):
        self.B = len(seeds)

    def read(self, T):
        self.place += T
        return self.rows(self.place - T, T, self.B)

    def sample(self, rng, T, B):
        return self.rows(0, 4, B)

    def decisive(self, batch):
        return batch[2] > 0

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


class Recorder:
    """Asks for chunks of given lengths in turn; two step sizes, three seeds."""

    def __init__(self, *lengths):
        self.shape, self.lengths, self.seen, self.divisors = (2, 3), lengths, [], []
        self.updates, self.totals, self.begun = 0, torch.ones(5, 6), []

    def begin(self, B):
        self.begun.append(B)

    def chunk_steps(self):
        return self.lengths[self.updates % len(self.lengths)]

    def learn(self, batch, divisor_N):
        self.updates += 1
        self.seen.append(batch.x_TNBI[..., 0])
        self.divisors.append(divisor_N)


@pytest.mark.parametrize("lengths", [(1,), (3,), (7, 1, 4), (25,)])
def test_streams_are_read_in_order(lengths):
    agent = Recorder(*lengths)
    loop = SupervisedLoop(Numbers(), agent, 2, True, 10, seed=0)
    loop.block()
    loop.block()
    seen = torch.cat(agent.seen)
    assert 20 <= loop.vector_steps == len(seen)
    assert agent.begun == [2]
    row_NB = torch.arange(6).view(3, 2).repeat(2, 1)  # of a seed, for both step sizes
    expected = torch.arange(len(seen)).view(-1, 1, 1) + 1000.0 * row_NB
    assert torch.equal(seen, expected)
    assert agent.divisors[0] == 2


def test_sequences_begin_anew_and_are_averaged_over_their_weights():
    agent = Recorder(3)
    loop = SupervisedLoop(Numbers(), agent, 2, False, 10, seed=0)
    loop.block()
    loop.block()
    assert [len(x) for x in agent.seen] == [3, 1, 3, 1]
    assert agent.begun == [2, 2]
    assert loop.vector_steps == 8
    assert torch.equal(agent.divisors[0], torch.full((6,), 8.0))


def test_what_was_read_and_not_used_is_kept():
    a, b = (SupervisedLoop(Numbers(), Recorder(7), 1, True, 10, seed=0) for _ in range(2))
    a.block()
    b.set_state(a.get_state())
    for loop in (a, b):
        loop.agent.seen.clear()
        loop.block()
    assert torch.equal(torch.cat(a.agent.seen), torch.cat(b.agent.seen))
    assert a.vector_steps == b.vector_steps
