"""Fixed (T, B) storage of the steps between two updates, and its minibatches of chunks.

A chunk is L = chunk_steps consecutive steps of one environment, learnt from the memory state that
stood before its first step. T / L chunks of B environments make N sequences.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlkit.returns import gae
from rlkit.types import State


class Minibatch(NamedTuple):
    """N' of the N sequences; time first."""

    obs: Tensor
    """(L, N', …)"""
    start: Tensor
    """(L, N') true where the observation is the first of an episode"""
    state: State
    """memory state before the first observation"""
    action: Tensor
    log_prob: Tensor
    value: Tensor
    advantage: Tensor
    target: Tensor
    """λ-return: advantage + value"""


class Rollout:
    """T steps of B environments, written in place.

    Args:
        steps: T.
        num_envs: B.
        chunk_steps: L; divides T.
        obs: an observation (B, …), for shape and type.
        action: an action (B,) or (B, A), likewise.
    """

    def __init__(self, steps: int, num_envs: int, chunk_steps: int, obs: Tensor, action: Tensor):
        self.T, self.B, self.L = steps, num_envs, chunk_steps
        self.obs = obs.new_zeros(steps, *obs.shape)
        self.action = action.new_zeros(steps, *action.shape)
        self.start = torch.zeros(steps, num_envs, dtype=torch.bool)
        self.log_prob, self.value, self.reward, self.discount = torch.zeros(4, steps, num_envs)
        self.advantage, self.target = torch.zeros(2, steps, num_envs)
        self.carries: list[State] = [()] * (steps // chunk_steps)

    def estimate(self, last_value_B: Tensor, lambda_: float) -> None:
        """Fills in advantages and λ-returns."""
        series = (self.reward.numpy(), self.discount.numpy(), self.value.numpy())
        advantage = gae(*series, last_value_B.numpy(), lambda_)
        self.advantage.numpy()[:] = advantage
        np.add(advantage, self.value.numpy(), out=self.target.numpy())

    def sequences(self) -> Minibatch:
        """All chunks as N = (T / L) · B sequences, chunk by chunk."""
        fields = (self.action, self.log_prob, self.value, self.advantage, self.target)
        obs, start = self._chunked(self.obs), self._chunked(self.start)
        return Minibatch(obs, start, self.states(), *map(self._chunked, fields))

    def states(self) -> State:
        """The memory states before all N sequences."""
        return tuple(torch.cat(parts) for parts in zip(*self.carries, strict=True))

    def _chunked(self, x_TB: Tensor) -> Tensor:
        if self.L == self.T:
            return x_TB
        x = x_TB.view(self.T // self.L, self.L, *x_TB.shape[1:]).transpose(0, 1)
        return x.reshape(self.L, -1, *x_TB.shape[2:])


def minibatches(
    sequences: Minibatch, count: int, generator: torch.Generator
) -> Iterator[Minibatch]:
    """Splits the sequences at random into `count` equal parts."""
    N = sequences.start.shape[1]
    for rows in torch.randperm(N, generator=generator).split(N // count):
        state = tuple(s.index_select(0, rows) for s in sequences.state)
        fields = sequences._replace(state=())._asdict()
        chosen = {k: v.index_select(1, rows) for k, v in fields.items() if k != "state"}
        yield Minibatch(state=state, **chosen)
