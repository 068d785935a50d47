"""The contract of a gradient estimator: how credit crosses time. The learner owns the loss.

    carry = begin(params, B)
    loss, grads, carry = observe(params, carry, x, start, loss_of)     `chunk_steps(carry)` inputs

`params` are vectors, one row per agent: "memory" are those of the recurrence, all others (a
readout's) are reached by `loss_of` alone. An estimator is a function of them: what it remembers
(states, traces, clocks) is in the carry, a tree of plain data, and its random numbers come from a
generator that it is given. With constant parameters the gradients of all chunks add up to that of
the whole loss: exactly, on average, or with a bias, as the estimator's page says.

Shapes: T time, N agents, B batch, I input, H output, P parameters of the memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rlkit.gradients import GRADIENTS
from rlkit.gradients.cell import Cell, detached
from rlkit.types import State, Tree

Params = Mapping[str, Tensor]
Carry = dict[str, Any]
LossOf = Callable[[Params, Tensor, Tensor | None], Tensor]
"""(params but the memory's, y_TNBH, penalty_TNB) → loss_N, summed over the steps of the chunk."""


class Estimate(NamedTuple):
    """What one chunk gives.

    Attributes:
        loss_N: of the chunk.
        grads: like the parameters.
        carry: for the next chunk.
    """

    loss_N: Tensor
    grads: dict[str, Tensor]
    carry: Carry


class Estimator:
    """Write `begin`, `chunk_steps` and `observe`; see `tbptt.py` for the plainest.

    Args:
        options: as the variant declares them.
        cell: runs the memory.
        generator: for what it draws; on the CPU.
    """

    def __init__(self, options: Any, cell: Cell, generator: torch.Generator):
        self.options, self.cell, self.generator = options, cell, generator

    def begin(self, params: Params, B: int) -> Carry:
        """The carry before the first inputs of B streams of every agent."""
        return {"state": self.cell.initial_state(len(params["memory"]), B)}

    def chunk_steps(self, carry: Carry) -> int | None:
        """How many inputs `observe` takes next; None: the whole sequence."""
        raise NotImplementedError

    def observe(
        self,
        params: Params,
        carry: Carry,
        x_TNBI: Tensor,
        start_TNB: Tensor,
        loss_of: LossOf,
    ) -> Estimate:
        """Consumes a chunk; the last of a sequence may be shorter.

        Args:
            params: at which the gradient is taken.
            carry: before the chunk.
            x_TNBI: inputs.
            start_TNB: true where an input is the first of an episode.
            loss_of: the loss of the outputs it is given, which are those of the chunk.
        """
        raise NotImplementedError

    def get_state(self) -> Tree:
        return {"generator": self.generator.get_state()}

    def set_state(self, state: Tree) -> None:
        self.generator.set_state(state["generator"])


def make_gradient(
    name: str, cell: Cell, generator: torch.Generator, options: Mapping[str, Any]
) -> Estimator:
    """Builds a registered estimator; `rlkit.gradients.check_gradient` says what fits together."""
    import importlib

    cls = GRADIENTS.load(name)
    declaration = getattr(importlib.import_module(cls.__module__), f"{cls.__name__}Options")
    estimator: Estimator = cls(declaration(**options), cell, generator)
    return estimator


class Point:
    """Parameters as leaves of a new graph, and the gradients there.

    Args:
        cell: runs the memory.
        params: vectors, one row per agent.
        streams: per agent, if each stream is to have the memory's parameters for itself.
    """

    def __init__(self, cell: Cell, params: Params, streams: int = 1):
        theta_NP = params["memory"]
        own = theta_NP.repeat_interleave(streams, 0) if streams > 1 else theta_NP
        self.theta = cell.leaves(own)
        self.others = {k: p.detach().requires_grad_() for k, p in params.items() if k != "memory"}
        self.streams = streams

    def gradients(
        self, loss_N: Tensor, *more: Tensor, again: bool = False
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """Of every agent's own loss, like the parameters; and by `more`.

        Args:
            loss_N: of every agent.
            more: other tensors that the loss depends on.
            again: the graph is needed again.
        """
        n, leaves = len(self.theta), (*self.theta, *self.others.values(), *more)
        found = torch.autograd.grad(
            loss_N if len(loss_N) == 1 else loss_N.sum(),
            leaves,
            retain_graph=again,
            materialize_grads=True,
        )
        by_memory = joined(found[:n], len(loss_N) * self.streams)
        if self.streams > 1:
            by_memory = by_memory.unflatten(0, (-1, self.streams)).sum(1)
        grads = {"memory": by_memory, **dict(zip(self.others, found[n:], strict=False))}
        return grads, found[n + len(self.others) :]

    def pull(self, vector: Tensor, output: Tensor) -> Tensor:
        """`vector`ᵀ ∂output/∂θ of every row of θ; the graph stays."""
        if not self.theta:
            return vector.new_zeros(len(vector), 0)
        found = torch.autograd.grad(output, self.theta, vector, True, materialize_grads=True)
        return joined(found, len(vector))


def joined(pieces: Sequence[Tensor], rows: int) -> Tensor:
    """Gradients of a memory's parameters end to end."""
    if not pieces:
        return torch.zeros(rows, 0)
    if rows == 1 or all(p.is_contiguous() for p in pieces):
        return torch.cat([p.reshape(rows, -1) for p in pieces], 1)
    sizes = [p[0].numel() for p in pieces]  # one copy of what lies scattered, not two
    whole = pieces[0].new_empty(rows, sum(sizes))
    for own, p in zip(whole.split(sizes, 1), pieces, strict=True):
        own.unflatten(1, p.shape[1:]).copy_(p)
    return whole


def segment(
    cell: Cell,
    params: Params,
    state: State,
    x_TNBI: Tensor,
    start_TNB: Tensor,
    loss_of: LossOf,
    weight_TN: Tensor | None = None,
) -> Estimate:
    """Backpropagation through the steps given, and no further."""
    point = Point(cell, params)
    step = cell.run(point.theta, x_TNBI, state, start_TNB, weight_TN, fast=True)
    loss_N = loss_of(point.others, step.y, step.penalty)
    grads, _ = point.gradients(loss_N)
    return Estimate(loss_N.detach(), grads, {"state": detached(step.state)})
