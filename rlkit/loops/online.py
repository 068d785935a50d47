"""Learn from every step as it is made, and keep none (streaming reinforcement learning)."""

from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from rlkit.runner import Actor, VectorRunner
from rlkit.types import Metrics, Transition, Tree


class OnlineLearner(Actor, Protocol):
    """What this loop asks of an agent."""

    def learn(self, step: Transition) -> Metrics: ...


class OnlineLoop:
    """One update after every vector step.

    Args:
        runner: steps the environments.
        agent: acts and learns.
        block_steps: vector steps between two looks at the clock.
    """

    def __init__(self, runner: VectorRunner, agent: OnlineLearner, block_steps: int):
        self.runner, self.agent, self.block_steps = runner, agent, block_steps
        self.updates = 0

    def run(
        self,
        stop: Callable[["OnlineLoop"], bool],
        after_block: Callable[["OnlineLoop", Metrics], None],
    ) -> None:
        """Runs until `stop`, asked after every block; `after_block` logs, evaluates, saves."""
        while not stop(self):
            metrics = self.block()
            after_block(self, metrics)

    def block(self) -> Metrics:
        """Some steps; returns the metrics of all."""
        seen: dict[str, list[Tensor]] = defaultdict(list)
        for _ in range(self.block_steps):
            for name, value in self.agent.learn(self.runner.step()).items():
                seen[name].append(value)
            self.updates += 1
        return {name: torch.stack(values) for name, values in seen.items()}

    @property
    def vector_steps(self) -> int:
        return self.runner.vector_steps

    def pop_metrics(self) -> dict[str, float]:
        return self.runner.pop_metrics()

    def get_state(self) -> Tree:
        return {"runner": self.runner.get_state(), "updates": self.updates}

    def set_state(self, state: Tree) -> None:
        self.runner.set_state(state["runner"])
        self.updates = state["updates"]
