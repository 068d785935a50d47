"""Steps a vector environment with an agent; owns observations, start flags and the memory state."""

from collections import deque
from typing import Protocol

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from rlkit.types import State, Transition, Tree

RECENT_EPISODES = 50


class Actor(Protocol):
    """The half of an agent that a runner needs."""

    def initial_state(self, B: int) -> State: ...

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]: ...


class VectorRunner:
    """The training side of a vector environment.

    Args:
        envs: follows the environment contract of `docs/design.md` (SAME_STEP autoreset).
        actor: the agent.
        seed: copy i is seeded with seed + i.
        staggered: start the clocks of the copies at different times, so that time limits do not
            fall together.
    """

    def __init__(self, envs: gym.vector.VectorEnv, actor: Actor, seed: int, staggered: bool = True):
        self.envs, self.actor = envs, actor
        self.B = envs.num_envs
        options = None
        limit_steps = envs.limit_steps  # type: ignore[attr-defined]
        if staggered and limit_steps is not None:
            options = {"elapsed_steps": np.arange(self.B) * limit_steps // self.B}
        obs, _ = envs.reset(seed=seed, options=options)
        self.obs_BO = torch.from_numpy(np.array(obs))
        self.start_B = torch.ones(self.B, dtype=torch.bool)
        self.state = actor.initial_state(self.B)
        self.return_B = np.zeros(self.B)
        self.length_B = np.zeros(self.B, dtype=np.int64)
        self.vector_steps = 0
        self.finished: list[tuple[float, int]] = []
        self.recent: deque[float] = deque(maxlen=RECENT_EPISODES)

    @torch.no_grad()
    def step(self) -> Transition:
        """One exploring step of all copies."""
        action_BA, state = self.actor.act(self.obs_BO, self.state, self.start_B, explore=True)
        return self.advance(action_BA, state)

    def advance(self, action_BA: Tensor, state: State) -> Transition:
        """Steps the environments.

        Args:
            action_BA: what to do.
            state: the memory state after the present observation.
        """
        before, obs_BO, start_B = self.state, self.obs_BO, self.start_B
        self.state = state
        obs, reward, terminated, truncated, info = self.envs.step(action_BA.numpy())
        ended = terminated | truncated
        self.obs_BO = torch.from_numpy(np.array(obs))
        next_obs_BO = torch.from_numpy(info["final_obs"]) if ended.any() else self.obs_BO
        self.start_B = torch.from_numpy(ended)
        self._count(reward, ended)
        return Transition(
            obs_BO,
            action_BA,
            torch.from_numpy(np.asarray(reward, np.float32)),
            torch.from_numpy(terminated.astype(np.float32)),
            next_obs_BO,
            start_B,
            before,
            torch.from_numpy(truncated & ~terminated),
            state,
        )

    def _count(self, reward: np.ndarray, ended: np.ndarray) -> None:
        self.vector_steps += 1
        self.return_B += reward
        self.length_B += 1
        if ended.any():
            dt = self.envs.dt  # type: ignore[attr-defined]
            ended_returns = (self.return_B[ended] * dt).tolist()
            self.finished += zip(ended_returns, self.length_B[ended].tolist(), strict=True)
            self.recent.extend(ended_returns)
            self.return_B[ended] = 0
            self.length_B[ended] = 0

    def pop_metrics(self) -> dict[str, float]:
        """Mean return (Σ r·dt) and length of the episodes that ended since the last call.

        `recent_*` are over the last 50 episodes, whenever they ended; `stock_return` is in units of
        the stock environment, whose rewards are per step. With staggered clocks the first episode
        of a copy is cut short.
        """
        if not self.finished:
            return {}
        returns, lengths = zip(*self.finished, strict=True)
        self.finished = []
        recent = np.array(self.recent)
        metrics = {
            "rollout/return_mean": float(np.mean(returns)),
            "rollout/length_mean": float(np.mean(lengths)),
            "rollout/episodes": float(len(returns)),
            "rollout/recent_stock_return_mean": float(recent.mean()) / self.envs.stock_dt,  # type: ignore[attr-defined]
        }
        success_above = getattr(self.envs, "success_above", None)
        if success_above is not None:
            metrics["rollout/recent_success_rate"] = float((recent > success_above).mean())
        return metrics

    def get_state(self) -> Tree:
        return {
            "envs": self.envs.get_state(),  # type: ignore[attr-defined]
            "obs": self.obs_BO,
            "start": self.start_B,
            "memory": list(self.state),
            "return": self.return_B.copy(),
            "length": self.length_B.copy(),
            "vector_steps": self.vector_steps,
            "finished": [list(f) for f in self.finished],
            "recent": list(self.recent),
        }

    def set_state(self, state: Tree) -> None:
        self.envs.set_state(state["envs"])  # type: ignore[attr-defined]
        self.obs_BO, self.start_B = state["obs"], state["start"]
        self.state = tuple(state["memory"])
        self.return_B, self.length_B = state["return"].copy(), state["length"].copy()
        self.vector_steps = state["vector_steps"]
        self.finished = [(float(r), int(n)) for r, n in state["finished"]]
        self.recent = deque(state["recent"], maxlen=RECENT_EPISODES)
