"""An agent as `run.evaluation` wants it: on arrays, without gradients, each episode on its own."""

from typing import Any

import numpy as np
import torch

from rlkit.noise import EpisodeDraws, UniformDraws
from rlkit.runner import Actor
from rlkit.types import State

ROWS = 16
"""Batches are filled up to multiples of it: how a product rounds depends on the number of rows
(seen for all but multiples of 16)."""


class Player:
    """Plays an agent greedily, or as it explores.

    An episode is the same however many are played beside it: batches are filled up with copies of
    row 0, and an agent that draws its actions is given draws seeded by the episode. Its
    own noise is left as it was. (A process such as Ornstein-Uhlenbeck's goes on from where it is.)

    Args:
        agent: acts; `noise` is replaced while it does if that is a `UniformDraws`.
        explore: with exploration noise.
    """

    def __init__(self, agent: Actor, explore: bool = False):
        self.agent, self.explore = agent, explore
        self.draws: EpisodeDraws | None = None
        drawn = explore and isinstance(getattr(agent, "noise", None), UniformDraws)
        self.drawn, self.filled = drawn, drawn or not explore

    def begin(self, seeds: list[int]) -> State:
        """The state before episodes of these seeds."""
        B = self._rows(len(seeds))
        if self.drawn:
            self.draws = EpisodeDraws(seeds + seeds[:1] * (B - len(seeds)))
        return self.agent.initial_state(B)

    def _rows(self, B: int) -> int:
        return -(-B // ROWS) * ROWS if self.filled else B

    @torch.no_grad()
    def act(
        self, obs_BO: np.ndarray, state: State, start_B: np.ndarray
    ) -> tuple[np.ndarray, State]:
        B = len(obs_BO)
        rows = np.arange(self._rows(B))
        rows[B:] = 0
        obs, start = torch.from_numpy(obs_BO[rows]), torch.from_numpy(start_B[rows])
        agent: Any = self.agent
        if self.draws is None:
            action, state = agent.act(obs, state, start, self.explore)
        else:
            kept, agent.noise = agent.noise, self.draws
            try:
                action, state = agent.act(obs, state, start, self.explore)
            finally:
                agent.noise = kept
        return action[:B].numpy(), state
