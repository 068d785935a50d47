"""Many small controllers played side by side, on a few environments with one network call a step.

A job is a pure function of (parameters, seed). Each environment takes the next job when its episode
ends; batches have `ROWS` or a multiple of rows, filled up, because how a product rounds depends on
their number: so that a job's result does not depend on the jobs beside it.

Shapes: E environments, R rows (E filled up), N jobs, P parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlkit.options import ConfigError
from rlkit.run.player import ROWS
from rlkit.run.rollouts import Episode, pack
from rlkit.types import State


class Play(NamedTuple):
    """Episodes to be played; answered by (N, 3): return Σ r·dt, length, steps taken."""

    parameters_NP: NDArray[np.float32]
    seeds: tuple[int, ...]
    stall_steps: int
    """An episode is cut after so many steps without a positive reward, and its rest charged at the
    last reward; 0: never."""
    dream: bool = False
    """in the model instead of the environment"""


class Record(NamedTuple):
    """Episodes to be recorded; answered by packed episodes."""

    seeds: tuple[int, ...]
    most_steps: int | None
    parameters_P: NDArray[np.float32] | None = None
    """None: the random policy"""


class Policy(Protocol):
    """What plays."""

    def initial_state(self, B: int) -> State: ...

    def play(
        self, obs_BO: Tensor, state: State, start_B: Tensor, parameters_BP: Tensor
    ) -> tuple[Tensor, State]: ...

    def wander(self, seed: int) -> Iterator[NDArray[Any]]:
        """The actions of a random policy."""

    def dream(self, parameters_NP: Tensor, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Answers `Play` inside the model."""

    def take(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """New weights."""


class PopulationWorker:
    """Answers units of jobs.

    Args:
        envs: single environments of the contract of `docs/design.md`, seeded by each job.
        policy: plays all of them at once.
    """

    def __init__(self, envs: Sequence[Any], policy: Policy):
        self.envs, self.policy = envs, policy
        self.R = -(-len(envs) // ROWS) * ROWS
        self.dt = envs[0].get_wrapper_attr("dt")
        self.limit_steps = envs[0].get_wrapper_attr("limit_steps")

    def receive(self, shared: Mapping[str, NDArray[Any]]) -> None:
        self.policy.take(shared)

    @torch.no_grad()
    def __call__(self, unit: Play | Record) -> Any:
        if isinstance(unit, Record):
            return [self.record(seed, unit) for seed in unit.seeds]
        if unit.dream:
            return self.policy.dream(torch.from_numpy(unit.parameters_NP), unit.seeds)
        return self.play(unit)

    def play(self, unit: Play) -> NDArray[np.float64]:
        """All jobs of a unit, as many at a time as there are environments."""
        R, N, space = self.R, len(unit.seeds), self.envs[0].observation_space
        obs_RO = np.zeros((R, *space.shape), space.dtype)
        parameters_RP = np.zeros((R, unit.parameters_NP.shape[1]), np.float32)
        state, start_R = self.policy.initial_state(R), np.ones(R, bool)
        result = np.zeros((N, 3))
        quiet, jobs = np.zeros(R, np.int64), iter(range(N))
        active: dict[int, int] = {}

        def begin(e: int) -> None:
            job = next(jobs, None)
            active.pop(e, None)
            if job is not None:
                active[e] = job
                obs_RO[e] = self.envs[e].reset(seed=unit.seeds[job])[0]
                parameters_RP[e], start_R[e], quiet[e] = unit.parameters_NP[job], True, 0

        for e in range(len(self.envs)):
            begin(e)
        while active:
            rows = (torch.from_numpy(v) for v in (obs_RO, start_R, parameters_RP))
            obs, start, parameters = rows
            action, state = self.policy.play(obs, state, start, parameters)
            actions = action.numpy()
            start_R[:] = False
            for e, job in list(active.items()):
                obs_RO[e], reward, terminated, truncated, _ = self.envs[e].step(_finite(actions[e]))
                result[job] += reward, 1, 1
                quiet[e] = 0 if reward > 0 else quiet[e] + 1
                stalled = bool(unit.stall_steps) and quiet[e] >= unit.stall_steps
                if stalled and self.limit_steps is not None and not (terminated or truncated):
                    rest = self.limit_steps - result[job, 1]
                    result[job, :2] += rest * reward, rest
                if terminated or truncated or stalled:
                    begin(e)
        result[:, 0] *= self.dt
        return result

    def record(self, seed: int, unit: Record) -> bytes:
        """One packed episode."""
        env, wander = self.envs[0], self.policy.wander(seed)
        obs, _ = env.reset(seed=seed)
        state, start = self.policy.initial_state(ROWS), torch.ones(ROWS, dtype=torch.bool)
        rows: list[list[Any]] = [[obs], [], [], []]
        while True:
            if unit.parameters_P is None:
                action = next(wander)
            else:
                obs_RO = torch.from_numpy(np.repeat(obs[None], ROWS, 0))
                parameters_RP = torch.from_numpy(unit.parameters_P).expand(ROWS, -1)
                greedy, state = self.policy.play(obs_RO, state, start, parameters_RP)
                start, action = torch.zeros_like(start), greedy[0].numpy()
            obs, reward, terminated, truncated, _ = env.step(_finite(action))
            for row, value in zip(rows, (obs, action, reward, terminated), strict=True):
                row.append(value)
            if terminated or truncated or len(rows[1]) == unit.most_steps:
                break
        kinds = self.envs[0].observation_space.dtype, None, np.float32, bool
        return pack(Episode(*(np.array(r, k) for r, k in zip(rows, kinds, strict=True))))


def _finite(action: NDArray[Any]) -> NDArray[Any]:
    """Refuses NaN: some environments take it, and give a perfect score."""
    if not np.isfinite(action).all():
        raise ConfigError(f"the controller's action is {action}, which is not finite")
    return action
