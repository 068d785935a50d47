"""The off-policy loop: who is called how often, in which order."""

from types import SimpleNamespace

import pytest
import torch

from rlkit.loops.off_policy import OffPolicyLoop
from rlkit.schedule import BlockSchedule


class Scribe:
    """Plays runner, agent and replay at once, and writes down what it is asked."""

    batch_size, prioritized = 5, False

    def __init__(self):
        self.vector_steps, self.size, self.log = 0, 0, []

    def step(self):
        self.vector_steps += 1
        return SimpleNamespace(number=self.vector_steps)

    def observe(self, step):
        self.log.append(f"see{step.number}")

    def add(self, step):
        self.size += 1
        self.log.append(f"add{step.number}")

    def sample(self, batch_size):
        return f"batch{batch_size}"

    def update(self, batch):
        self.log.append(batch)
        return {"train/x": torch.tensor(float(len(self.log)))}


def loop(schedule: BlockSchedule) -> tuple[OffPolicyLoop, Scribe]:
    scribe = Scribe()
    return OffPolicyLoop(scribe, scribe, scribe, schedule), scribe


def test_a_block_acts_then_learns():
    looping, scribe = loop(
        BlockSchedule(block_steps=3, updates_per_step=2 / 3, store_every_steps=2)
    )
    metrics = looping.block()
    assert scribe.log == ["see1", "see2", "add2", "see3", "batch5", "batch5"]
    assert metrics["train/x"] == 6  # of the last update
    looping.block()
    assert scribe.log[6:] == ["see4", "add4", "see5", "see6", "add6", "batch5", "batch5"]


@pytest.mark.parametrize("per_step", [0.25, 0.7, 1.0, 25.0])
def test_updates_keep_pace_with_steps(per_step):
    looping, scribe = loop(BlockSchedule(4, per_step, 1))
    for _ in range(30):
        looping.block()
        assert looping.updates == int(scribe.vector_steps * per_step + 1e-9)


def test_run_asks_before_every_block():
    looping, _ = loop(BlockSchedule(2, 1.0, 1))
    seen = []
    looping.run(
        stop=lambda i: i.runner.vector_steps >= 6,
        after_block=lambda i, metrics: seen.append((i.updates, len(metrics))),
    )
    assert seen == [(2, 1), (4, 1), (6, 1)]
    looping.run(stop=lambda i: True, after_block=lambda i, m: seen.append("never"))
    assert len(seen) == 3


def test_no_update_due_gives_no_metrics():
    looping, _ = loop(BlockSchedule(2, 0.1, 1))
    assert looping.block() == {}


def test_nothing_is_learnt_before_something_is_stored():
    """Steps stored more rarely than learnt from leave the replay empty; nothing is made up for."""
    looping, scribe = loop(BlockSchedule(block_steps=2, updates_per_step=1, store_every_steps=5))
    for updates in (0, 0, 2, 4):
        looping.block()
        assert looping.updates == scribe.log.count("batch5") == updates
