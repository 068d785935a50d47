"""Act in blocks, store, learn from replay (Tallec 2019, the outer loop of Algorithms 4 to 7)."""

from collections.abc import Callable
from typing import Protocol

from rlkit.replay.sequences import SequenceReplay
from rlkit.replay.transitions import TransitionReplay
from rlkit.runner import Actor, VectorRunner
from rlkit.schedule import BlockSchedule
from rlkit.types import Metrics, Transition, Tree, Windows


class OffPolicyLearner(Actor, Protocol):
    """What this loop asks of an agent."""

    batch_size: int

    def observe(self, step: Transition) -> None: ...

    def update(self, batch: Windows) -> Metrics: ...


class OffPolicyLoop:
    """Blocks of vector steps, each followed by its share of updates.

    Args:
        runner: steps the environments.
        agent: acts and learns.
        replay: where steps are kept.
        schedule: lengths of the blocks, updates per block, which steps are stored.
    """

    def __init__(
        self,
        runner: VectorRunner,
        agent: OffPolicyLearner,
        replay: TransitionReplay | SequenceReplay,
        schedule: BlockSchedule,
    ):
        self.runner, self.agent, self.replay, self.schedule = runner, agent, replay, schedule
        self.updates = self.forgone = 0

    def run(
        self,
        stop: Callable[["OffPolicyLoop"], bool],
        after_block: Callable[["OffPolicyLoop", Metrics], None],
    ) -> None:
        """Runs until `stop`, asked after every block; `after_block` logs, evaluates, saves."""
        while not stop(self):
            metrics = self.block()
            after_block(self, metrics)

    def block(self) -> Metrics:
        """One block; returns the metrics of its last update."""
        for _ in range(self.schedule.block_steps):
            step = self.runner.step()
            self.agent.observe(step)
            if self.runner.vector_steps % self.schedule.store_every_steps == 0:
                self.replay.add(step)
        metrics: Metrics = {}
        due = self.schedule.updates_due(self.runner.vector_steps) - self.forgone
        if self.replay.size == 0:  # no window is complete yet: these updates are not made up for
            self.forgone += due
            return metrics
        for _ in range(due - self.updates):
            metrics = self.agent.update(self.replay.sample(self.agent.batch_size))
            if self.replay.prioritized:
                self.replay.reprioritize(metrics["train/residual_per_second"])
            self.updates += 1
        return metrics

    @property
    def vector_steps(self) -> int:
        return self.runner.vector_steps

    def pop_metrics(self) -> dict[str, float]:
        return self.runner.pop_metrics()

    def get_state(self) -> Tree:
        return {
            "runner": self.runner.get_state(),
            "replay": self.replay.get_state(),
            "updates": self.updates,
            "forgone": self.forgone,
        }

    def set_state(self, state: Tree) -> None:
        self.runner.set_state(state["runner"])
        self.replay.set_state(state["replay"])
        self.updates, self.forgone = state["updates"], state.get("forgone", 0)
