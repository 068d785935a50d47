"""Replay of single steps: a ring of preallocated arrays, sampled uniformly.

A transition is the window of length one (`types.Windows` with T = 1), so that feed-forward agents
and recurrent ones share their update.
"""

import torch
from torch import Tensor

from rlkit.options import ConfigError
from rlkit.types import Transition, Tree, Windows


class TransitionReplay:
    """Stores what the runner hands over; samples with its own generator.

    `add` raises ConfigError if one step of all environments exceeds the capacity.

    Args:
        capacity: transitions over all environments.
        generator: source of the sampled indices.
        dt: of what is stored now, seconds; None: the same for all, and not stored.
    """

    prioritized = False

    def __init__(self, capacity: int, generator: torch.Generator, dt: float | None = None):
        self.capacity, self.dt = capacity, dt
        self.generator = generator
        self.size = self.cursor = 0
        self.fields: dict[str, Tensor] = {}

    def add(self, step: Transition) -> None:
        """Stores one step of all environments."""
        rows = {
            "obs": step.obs_BO,
            "next_obs": step.next_obs_BO,
            "action": step.action_BA,
            "reward": step.reward_B,
            "terminated": step.terminated_B,
        }
        B = step.obs_BO.shape[0]
        if self.dt is not None:
            rows["dt"] = torch.full((B,), self.dt)
        if self.capacity < B:
            raise ConfigError(f"a replay of {self.capacity} steps cannot hold one of {B} copies")
        if not self.fields:  # pages are only touched when written
            self.fields = {
                k: torch.empty((self.capacity, *v.shape[1:]), dtype=v.dtype)
                for k, v in rows.items()
            }
        first = min(B, self.capacity - self.cursor)
        for name, v in rows.items():
            field = self.fields[name]
            field[self.cursor : self.cursor + first] = v[:first]
            if first < B:
                field[: B - first] = v[first:]
        self.cursor = (self.cursor + B) % self.capacity
        self.size = min(self.size + B, self.capacity)

    def sample(self, batch_size: int) -> Windows:
        """Windows of length one, drawn uniformly with replacement.

        Raises:
            ValueError: nothing has been stored.
        """
        if self.size == 0:
            raise ValueError("the replay is empty: add transitions before sampling")
        index = torch.randint(self.size, (batch_size,), generator=self.generator)
        f = self.fields
        return Windows(
            obs_TBO=torch.stack((f["obs"][index], f["next_obs"][index])),
            action_TBA=f["action"][index].unsqueeze(0),
            reward_TB=f["reward"][index].unsqueeze(0),
            terminated_TB=f["terminated"][index].unsqueeze(0),
            state=(),
            dt_B=f["dt"][index] if "dt" in f else None,
        )

    def reprioritize(self, residual_Tn: Tensor) -> None:
        """All transitions are alike."""

    def get_state(self) -> Tree:
        return {
            "size": self.size,
            "cursor": self.cursor,
            "generator": self.generator.get_state(),
            "fields": {k: v[: self.size].clone() for k, v in self.fields.items()},
        }

    def set_state(self, state: Tree) -> None:
        self.size, self.cursor = state["size"], state["cursor"]
        self.generator.set_state(state["generator"])
        self.fields = {}
        for name, stored in state["fields"].items():
            field = torch.empty((self.capacity, *stored.shape[1:]), dtype=stored.dtype)
            field[: self.size] = stored
            self.fields[name] = field
