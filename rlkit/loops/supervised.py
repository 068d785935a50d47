"""Learn from what is given: streams read on and on, or batch after batch of sequences.

A block ends between two chunks of the learner's gradient estimator. What was read of a stream and
not yet learnt from is kept.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rlkit.types import Metrics, Sequences, Tree


class Learner(Protocol):
    """What this loop asks of an agent.

    Attributes:
        shape: step sizes and seeds; agents are their product.
        steps: inputs learnt from.
        updates: how often the parameters moved.
        totals: running sums of loss and weight, one column an agent.
    """

    shape: tuple[int, int]
    steps: int
    updates: int
    totals: Tensor

    def begin(self, B: int) -> None: ...

    def chunk_steps(self) -> int | None: ...

    def learn(self, batch: Sequences, divisor_N: Tensor | float) -> None: ...


class Source(Protocol):
    """A sequence task, as NumPy arrays (x_TBI, target_TB, weight_TB, start_TB)."""

    def sample(self, rng: np.random.Generator, T: int | None, B: int) -> tuple: ...

    def begin(self, seeds: list[int]) -> None: ...

    def read(self, T: int) -> tuple: ...

    def decisive(self, batch: tuple) -> np.ndarray: ...

    def get_state(self) -> Tree: ...

    def set_state(self, state: Tree) -> None: ...


def for_agents(source: Source, batch: tuple, R: int, S: int) -> Sequences:
    """Rows of seeds × streams as (T, N, B, …): all step sizes of a seed see the same."""
    arrays = (*batch, source.decisive(batch))
    rows = [torch.from_numpy(np.ascontiguousarray(a)).unflatten(1, (S, -1)) for a in arrays]
    return Sequences(*(v.repeat(1, R, *[1] * (v.dim() - 2)) for v in rows))


class SupervisedLoop:
    """Blocks of inputs, each followed by a look at the clock.

    Args:
        source: where data come from.
        agent: learns.
        B: streams, or sequences in a batch, of every agent.
        stream: whether the source is read as streams.
        block_steps: inputs of a block; sequences are blocks of their own.
        seed: of the data.
    """

    def __init__(
        self, source: Source, agent: Learner, B: int, stream: bool, block_steps: int, seed: int
    ):
        self.source, self.agent, self.B, self.stream = source, agent, B, stream
        self.block_steps, self.vector_steps = block_steps, 0
        self.numbers = np.random.default_rng(seed)
        self.left: Sequences | None = None
        self._logged = agent.totals.clone()
        if stream:
            rows = agent.shape[1] * B
            source.begin([int(s) for s in np.random.SeedSequence(seed).generate_state(rows)])
            agent.begin(B)

    @property
    def updates(self) -> int:
        return self.agent.updates

    def run(
        self,
        stop: Callable[["SupervisedLoop"], bool],
        after_block: Callable[["SupervisedLoop", Metrics], None],
    ) -> None:
        """Runs until `stop`, asked after every block; `after_block` logs, evaluates, saves."""
        while not stop(self):
            after_block(self, self.block())

    def block(self) -> Metrics:
        """One block of a stream, or one batch of sequences."""
        if self.stream:
            until = self.vector_steps + self.block_steps
            while self.vector_steps < until:
                T = self.agent.chunk_steps()
                assert T is not None, "a stream has no end to wait for"
                self._learn(self._next(T), self.B)
        else:
            rows = self.agent.shape[1] * self.B
            batch = for_agents(
                self.source, self.source.sample(self.numbers, None, rows), *self.agent.shape
            )
            weight_N = batch.weight_TNB.sum((0, 2))
            self.agent.begin(self.B)
            t = 0
            while t < len(batch.x_TNBI):
                T = self.agent.chunk_steps() or len(batch.x_TNBI)
                self._learn(batch.part(t, t + T), weight_N)
                t += T
        return {}

    def _learn(self, batch: Sequences, divisor_N: Tensor | float) -> None:
        self.agent.learn(batch, divisor_N)
        self.vector_steps += len(batch.x_TNBI)

    def _next(self, T: int) -> Sequences:
        """The next T inputs; reads a block ahead."""
        have = 0 if self.left is None else len(self.left.x_TNBI)
        if have < T:
            read = self.source.read(max(T - have, self.block_steps))
            new = for_agents(self.source, read, *self.agent.shape)
            if self.left is not None and have:
                new = Sequences(*(torch.cat(pair) for pair in zip(self.left, new, strict=True)))
            self.left = new
        assert self.left is not None
        batch, self.left = self.left.part(0, T), self.left.part(T, None)
        return batch

    def pop_metrics(self) -> dict[str, float]:
        """Mean loss of all agents since it was last asked for, in the loss's own unit."""
        since = self.agent.totals - self._logged
        self._logged = self.agent.totals.clone()
        return {"train/loss": float((since[0] / since[1]).mean())}

    def get_state(self) -> Tree:
        """Where the data are, and what was read of them and not yet used."""
        return {
            "vector_steps": self.vector_steps,
            "source": self.source.get_state() if self.stream else None,
            "numbers": self.numbers.bit_generator.state,
            "left": None if self.left is None else tuple(self.left),
            "logged": self._logged,
        }

    def set_state(self, state: Tree) -> None:
        self.vector_steps = state["vector_steps"]
        if self.stream:
            self.source.set_state(state["source"])
        self.numbers.bit_generator.state = state["numbers"]
        self.left = None if state["left"] is None else Sequences(*state["left"])
        self._logged = state["logged"]
