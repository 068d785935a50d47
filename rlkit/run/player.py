"""An agent as `run.evaluation` wants it: on arrays, without gradients, each episode on its own."""

from typing import Any

import numpy as np
import torch

from rlkit.noise import EpisodeDraws, UniformDraws
from rlkit.runner import Actor
from rlkit.types import State

LEAST_ROWS = 8
"""Matrix products of a few rows round otherwise than those of many (seen below 4)."""


class Player:
    """Plays an agent greedily, or as it explores.

    An episode is the same however many are played beside it: small batches are filled up with
    copies of row 0, and an agent that draws its actions is given draws seeded by the episode. Its
    own noise is left as it was. (A process such as Ornstein-Uhlenbeck's goes on from where it is.)

    Args:
        agent: acts; `noise` is replaced while it does if that is a `UniformDraws`.
        explore: with exploration noise.
    """

    def __init__(self, agent: Actor, explore: bool = False):
        self.agent, self.explore = agent, explore
        self.draws: EpisodeDraws | None = None
        drawn = explore and isinstance(getattr(agent, "noise", None), UniformDraws)
        self.drawn, self.least = drawn, LEAST_ROWS if drawn or not explore else 1

    def begin(self, seeds: list[int]) -> State:
        """The state before episodes of these seeds."""
        B = max(len(seeds), self.least)
        if self.drawn:
            self.draws = EpisodeDraws(seeds + seeds[:1] * (B - len(seeds)))
        return self.agent.initial_state(B)

    @torch.no_grad()
    def act(
        self, obs_BO: np.ndarray, state: State, start_B: np.ndarray
    ) -> tuple[np.ndarray, State]:
        B = len(obs_BO)
        rows = np.arange(max(B, self.least))
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
