"""Replay of windows: consecutive steps of one environment, with the memory state before them.

Each environment has a ring of rows: one per step (observation, memory state before it, action,
reward), and one for the true final observation of each episode, where nothing was done. A window is
any T + 1 rows on end. It may reach into the next episode: `start` says where, and the memory is
fresh there. So no episode is too short for a window, and no step is left out.

Drawn uniformly, or in proportion to (mean |residual| of the window)^α, new windows with the largest
so far, each weighted by (its probability · number of windows)^-β over the batch's largest weight
(Schaul et al., 2016; by sequence: Kapturowski et al., 2019).
"""

from typing import Protocol

import torch
from torch import Tensor

from rlkit.options import ConfigError
from rlkit.replay.sum_tree import SumTree
from rlkit.types import State, Transition, Tree, Windows

LEAST_PRIORITY = 1e-6


class Carrier(Protocol):
    """What is asked of the memory, or of an agent with several."""

    @property
    def carries(self) -> int: ...

    def carry(self, state: State) -> State: ...

    def resume(self, carries: State) -> State: ...


class SequenceReplay:
    """Stores what the runner hands over; samples with its own generator.

    Args:
        capacity: rows over all environments.
        window_steps: T.
        carrier: tells what to keep of a memory state.
        generator: source of the sampled windows.
        priority_exponent: α; 0: uniform.
        importance_exponent: β.
    """

    def __init__(
        self,
        capacity: int,
        window_steps: int,
        carrier: Carrier,
        generator: torch.Generator,
        priority_exponent: float = 0.0,
        importance_exponent: float = 0.0,
    ):
        self.capacity, self.T, self.carrier = capacity, window_steps, carrier
        self.generator = generator
        self.alpha, self.beta = priority_exponent, importance_exponent
        self.prioritized = priority_exponent > 0
        self.fields: dict[str, Tensor] = {}
        self.highest = 1.0
        self.drawn = torch.empty(0, dtype=torch.int64)

    def add(self, step: Transition) -> None:
        """Stores one step of all environments, and the final observations of those that ended."""
        B = step.obs_BO.shape[0]
        rows = {
            "obs": step.obs_BO,
            "action": step.action_BA,
            "reward": step.reward_B,
            "terminated": step.terminated_B,
            "start": step.start_B,
        }
        rows |= self._carried(step.state)
        if not self.fields:
            self._allocate(rows, B)
        self._write(torch.arange(B), rows)
        ended_B = (step.terminated_B > 0) | step.truncated_B
        if ended_B.any():
            last = {k: torch.zeros_like(v) for k, v in rows.items()}
            last |= {"obs": step.next_obs_BO} | self._carried(step.next_state)
            self._write(ended_B.nonzero().squeeze(1), {k: v[ended_B] for k, v in last.items()})

    def _carried(self, state: State) -> dict[str, Tensor]:
        return {f"state{i}": s for i, s in enumerate(self.carrier.carry(state))}

    def _allocate(self, rows: dict[str, Tensor], B: int) -> None:
        self.B, self.R = B, self.capacity // B
        if self.R < self.T + 1:
            raise ConfigError(
                f"a replay of {self.capacity} rows cannot hold windows of {self.T} steps of"
                f" {B} copies"
            )
        self.written_B = torch.zeros(B, dtype=torch.int64)
        self.fields = {  # pages are only touched when written
            k: torch.empty((self.R * B, *v.shape[1:]), dtype=v.dtype) for k, v in rows.items()
        }
        self.tree = SumTree(self.R * B if self.prioritized else 1)

    def _write(self, env_K: Tensor, rows: dict[str, Tensor]) -> None:
        """Appends a row to some environments, over their oldest ones."""
        row_K = self.written_B[env_K]
        at_K = row_K % self.R * self.B + env_K
        for name, values in rows.items():
            self.fields[name][at_K] = values
        self.written_B[env_K] += 1
        if self.prioritized:
            first_K = row_K - self.T
            new_K = first_K >= 0
            self.tree[at_K] = 0.0
            self.tree[(first_K % self.R * self.B + env_K)[new_K]] = self.highest

    def _counts(self) -> tuple[Tensor, Tensor]:
        """Of each environment: the oldest row, and the number of windows."""
        oldest_B = (self.written_B - self.R).clamp(min=0)
        return oldest_B, (self.written_B - oldest_B - self.T).clamp(min=0)

    @property
    def size(self) -> int:
        """How many windows there are."""
        return int(self._counts()[1].sum()) if self.fields else 0

    def sample(self, batch_size: int) -> Windows:
        """Windows drawn with replacement.

        Raises:
            ValueError: there is none yet.
        """
        oldest_B, count_B = self._counts() if self.fields else (torch.zeros(1),) * 2
        total = int(count_B.sum())
        if total == 0:
            raise ValueError("the replay holds no window yet: add steps before sampling")
        weight_n: Tensor | None = None
        if self.prioritized:
            self.drawn = self.tree.draw(batch_size, self.generator)
            first_n, env_n = self.drawn // self.B, self.drawn % self.B
            share_n = self.tree[self.drawn] / self.tree.total * total
            weight_n = share_n.pow(-self.beta)
            weight_n = (weight_n / weight_n.max()).float()
        else:
            index_n = torch.randint(total, (batch_size,), generator=self.generator)
            ends_B = count_B.cumsum(0)
            env_n = torch.searchsorted(ends_B, index_n, right=True)
            first_n = oldest_B[env_n] + index_n - (ends_B - count_B)[env_n]
        row_Tn = first_n + torch.arange(self.T + 1).unsqueeze(1)
        return self._windows(row_Tn % self.R * self.B + env_n, weight_n)

    def _windows(self, at_Tn: Tensor, weight_n: Tensor | None) -> Windows:
        def take(name: str, at: Tensor) -> Tensor:
            return self.fields[name].index_select(0, at.flatten()).unflatten(0, at.shape)

        first = at_Tn[: self.carrier.carries]
        states = tuple(take(k, first) for k in self.fields if k.startswith("state"))
        return Windows(
            take("obs", at_Tn),
            take("action", at_Tn[:-1]),
            take("reward", at_Tn[:-1]),
            take("terminated", at_Tn[:-1]),
            self.carrier.resume(states),
            take("start", at_Tn),
            weight_n,
        )

    def reprioritize(self, residual_Tn: Tensor) -> None:
        """Gives the windows sampled last the priority of what was learnt from them."""
        priority_n = residual_Tn.abs().mean(0).double().clamp(min=LEAST_PRIORITY).pow(self.alpha)
        self.tree[self.drawn] = priority_n
        self.highest = max(self.highest, float(priority_n.max()))

    def get_state(self) -> Tree:
        state: Tree = {"generator": self.generator.get_state(), "highest": self.highest}
        if self.fields:
            used = min(int(self.written_B.max()), self.R)
            never = (torch.arange(used).unsqueeze(1) >= self.written_B).flatten()
            used *= self.B
            state["written"] = self.written_B.clone()
            state["fields"] = {k: v[:used].clone() for k, v in self.fields.items()}
            for field in state["fields"].values():
                field[never] = 0  # the same file, whatever was in memory
            if self.prioritized:
                state["priorities"] = self.tree[torch.arange(used)]
        return state

    def set_state(self, state: Tree) -> None:
        self.generator.set_state(state["generator"])
        self.highest, self.fields = state["highest"], {}
        if "fields" not in state:
            return
        self._allocate(state["fields"], len(state["written"]))
        self.written_B = state["written"].clone()
        for name, stored in state["fields"].items():
            self.fields[name][: len(stored)] = stored
        if self.prioritized:
            self.tree[torch.arange(len(state["priorities"]))] = state["priorities"]
