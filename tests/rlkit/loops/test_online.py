"""The online loop: every step is learnt from once, before the next is made."""

from types import SimpleNamespace

import torch

from rlkit.loops.online import OnlineLoop


class Scribe:
    """Plays runner and agent at once, and writes down what it is asked."""

    def __init__(self):
        self.vector_steps, self.log = 0, []

    def step(self):
        self.vector_steps += 1
        self.log.append(f"step{self.vector_steps}")
        return SimpleNamespace(number=self.vector_steps)

    def learn(self, step):
        self.log.append(f"learn{step.number}")
        return {"train/x": torch.tensor([float(step.number), 0.0])}

    def get_state(self):
        return {"vector_steps": self.vector_steps}

    def set_state(self, state):
        self.vector_steps = state["vector_steps"]


def test_every_step_is_learnt_from_at_once():
    scribe = Scribe()
    loop = OnlineLoop(scribe, scribe, block_steps=3)
    metrics = loop.block()
    assert scribe.log == ["step1", "learn1", "step2", "learn2", "step3", "learn3"]
    assert metrics["train/x"].tolist() == [[1, 0], [2, 0], [3, 0]]
    assert loop.updates == loop.vector_steps == 3


def test_it_runs_until_told_to_stop_and_goes_on_where_it_was():
    scribe, seen = Scribe(), []
    loop = OnlineLoop(scribe, scribe, block_steps=2)
    loop.run(lambda loop: loop.vector_steps >= 5, lambda loop, m: seen.append(loop.updates))
    assert seen == [2, 4, 6]
    other = OnlineLoop(Scribe(), scribe, block_steps=2)
    other.set_state(loop.get_state())
    assert (other.updates, other.vector_steps) == (6, 6)
