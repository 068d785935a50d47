"""Rollouts for PPO: from an environment in which anything may happen, and made up in double."""

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from agents.base import Agent
from rlkit.loops.on_policy import OnPolicyLoop
from rlkit.rollout import Rollout
from rlkit.runner import VectorRunner
from rlkit.seeding import generator
from rlkit.types import Spaces


class Whatever(VectorEnv):
    """Observations and rewards are noise; a step in eight terminates, and the seventh truncates."""

    dt = stock_dt = 0.05
    limit_steps, reward_bounds = 7, None

    def __init__(self, given: Spaces):
        self.num_envs = given.num_envs
        self.single_observation_space = Box(-9, 9, given.obs_shape, np.float32)
        n = given.action_size
        self.single_action_space = Discrete(n) if given.discrete else Box(-1, 1, (n,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.clock = np.zeros(self.num_envs, dtype=int)
        return self._obs(), {}

    def _obs(self):
        return self.rng.normal(2.0, 1.5, self.observation_space.shape).astype(np.float32)

    def step(self, actions):
        self.clock = self.clock + 1
        terminated = self.rng.random(self.num_envs) < 1 / 8
        truncated = self.clock >= self.limit_steps
        ended = terminated | truncated
        self.clock = np.where(ended, 0, self.clock)
        final = self._obs() if ended.any() else None
        obs, info = self._obs(), {}
        if final is not None:
            info = {"final_obs": np.where(ended[:, None], final, obs), "_final_obs": ended}
        return obs, self.rng.normal(5.0, 3.0, self.num_envs), terminated, truncated, info


def loop_of(agent: Agent, given: Spaces, blocks: int = 10) -> OnPolicyLoop:
    runner = VectorRunner(Whatever(given), agent, seed=5, staggered=False)
    T = agent.options.rollout_steps
    return OnPolicyLoop(runner, agent, T, total_vector_steps=blocks * T)


def made_up(agent: Agent, given: Spaces, seed: int = 0) -> Rollout:
    """A rollout of random numbers in the default type, near what the untrained agent would do."""
    g = generator(seed)
    T, B, L = agent.options.rollout_steps, given.num_envs, agent.chunk_steps
    obs, n = torch.randn(T, B, *given.obs_shape, generator=g), given.action_size
    action = torch.randint(n, (T, B), generator=g)
    log_prob = torch.full((T, B), 1 / n).log()
    if not given.discrete:
        std = agent.options.initial_std
        action = std * torch.randn(T, B, n, generator=g)
        log_prob = torch.distributions.Normal(0.0, std).log_prob(action).sum(-1)
    rollout = Rollout(T, B, L, obs[0], action[0])
    rollout.obs[:], rollout.action[:] = obs, action
    rollout.log_prob[:] = log_prob + 0.3 * torch.randn(T, B, generator=g)
    rollout.start[:] = torch.rand(T, B, generator=g) < 0.25
    rollout.value[:] = 0.5 * torch.randn(T, B, generator=g)
    rollout.advantage[:] = 2 + 3 * torch.randn(T, B, generator=g)
    rollout.target[:] = rollout.value + rollout.advantage
    for c in range(T // L):
        state = agent.initial_state(B)
        rollout.carries[c] = tuple(0.5 * torch.randn(s.shape, generator=g) for s in state)
    return rollout
