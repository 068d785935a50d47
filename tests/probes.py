"""Probe environments: each adds one difficulty, and its values are known in closed form.

After the debugging advice of A. Jones. One observation, one action; rewards are rates; every
environment follows the contract of a vector environment (SAME_STEP autoreset). γ is per second;
an agent whose γ is per stock step and whose rewards are of stock steps has V / stock_dt.
The last two ask for memory.
"""

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space


class Probe(VectorEnv):
    """Episodes of one step that end in a terminal state; observation and reward 0.

    Args:
        num_envs: copies.
        discrete: actions 0 and 1, which stand for the levels -1 and 1.
    """

    dt = stock_dt = 0.5
    limit_steps: int | None = None
    reward_bounds: tuple[float, float] | None = None
    terminal_step: int | None = 1
    obs_size, num_actions = 1, 2

    def __init__(self, num_envs: int, discrete: bool):
        self.num_envs, self.discrete = num_envs, discrete
        self.single_observation_space = Box(-1, 1, (self.obs_size,), np.float32)
        self.single_action_space = (
            Discrete(self.num_actions) if discrete else Box(-1, 1, (1,), np.float32)
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.clock = np.array((options or {}).get("elapsed_steps", np.zeros(self.num_envs)))
        self.sign = self._signs()
        self.restart(np.full(self.num_envs, True))
        return self._rows(self.observe()), {}

    def step(self, actions):
        level = 2.0 * actions - 1 if self.discrete else actions[:, 0].astype(float)
        reward = self.reward(level)
        self.clock = self.clock + 1
        terminated = self.over()
        truncated = np.full(self.num_envs, False)
        if self.limit_steps is not None:
            truncated = (self.clock >= self.limit_steps) & ~terminated
        ended, info = terminated | truncated, {}
        if ended.any():
            info = {"final_obs": self._rows(self.observe()), "_final_obs": ended}
            self.clock = np.where(ended, 0, self.clock)
            self.sign = np.where(ended, self._signs(), self.sign)
            self.restart(ended)
        return self._rows(self.observe()), reward, terminated, truncated, info

    def _signs(self) -> np.ndarray:
        return self.rng.choice([-1.0, 1.0], self.num_envs)

    def _rows(self, x: np.ndarray) -> np.ndarray:
        return np.array(x, np.float32).reshape(-1, self.obs_size)

    def over(self) -> np.ndarray:
        """Which copies have come to a terminal state."""
        if self.terminal_step is None:
            return np.full(self.num_envs, False)
        return self.clock >= self.terminal_step

    def restart(self, ended: np.ndarray) -> None:
        """Puts what a subclass keeps back to the start of an episode."""

    def observe(self) -> np.ndarray:
        return np.zeros(self.num_envs)

    def reward(self, level: np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Constant(Probe):
    """1 per second for ever; the time limit must not look like an end.

    V = dt / (1 - γ^dt)
    """

    terminal_step, limit_steps = None, 3

    def reward(self, level):
        return np.ones(self.num_envs)


class ValueFromObservation(Probe):
    """The observation ±1 is the reward rate.  V(o) = o·dt"""

    def observe(self):
        return self.sign

    def reward(self, level):
        return self.sign


class TwoSteps(Probe):
    """Observation -1, then 1; only the second step pays.  V(1) = dt, V(-1) = γ^dt·dt"""

    terminal_step = 2

    def observe(self):
        return np.where(self.clock == 0, -1.0, 1.0)

    def reward(self, level):
        return (self.clock == 1).astype(float)


class ActionToReward(Probe):
    """One action is best: 1 or, continuous, 0.4.  V = dt"""

    best = 0.4

    def target(self):
        return np.full(self.num_envs, 1.0 if self.discrete else self.best)

    def reward(self, level):
        return 1 - (level - self.target()) ** 2


class ActionTimesObservation(ActionToReward):
    """The best action has the sign of the observation.  V = dt"""

    def observe(self):
        return self.sign

    def target(self):
        return self.sign * super().target()


class Recall(Probe):
    """±1, then zeros; the action after the last of them pays if it has the sign of the first.

    V(first) = γ^(k·dt)·dt with k = `blank_steps`. Without memory either sign is right half the
    time, whatever the policy: half of that.
    """

    blank_steps = 4
    terminal_step = blank_steps + 1

    def observe(self):
        return np.where(self.clock == 0, self.sign, 0.0)

    def reward(self, level):
        return ((self.clock == self.blank_steps) & (level * self.sign > 0)).astype(float)


class TMaze(Probe):
    """The T-maze of Bakker (2002): a cue in the first cell names the turn that pays at the end.

    Observation (cue ±1 in the first cell, else 0; 1 at the junction). Actions 0 and 1 turn, which
    does nothing in the corridor and ends the episode at the junction; 2 walks to the next of the
    `corridor` cells after the first, the last of them the junction.

    V(first) = γ^(n·dt)·dt with n = `corridor`. Without memory the junction looks the same whatever
    the cue was, so that at most half of the episodes are paid, whatever the policy.
    """

    terminal_step, limit_steps, corridor = None, 25, 5
    obs_size, num_actions = 2, 3

    def restart(self, ended):
        place = np.zeros(self.num_envs, int) if ended.all() else self.place
        self.place = np.where(ended, 0, place)
        self.turned = np.full(self.num_envs, False)

    def observe(self):
        return np.stack((self.sign * (self.place == 0), self.place == self.corridor), -1)

    def over(self):
        return self.turned

    def reward(self, level):
        self.turned = (self.place == self.corridor) & (level < 2)
        self.place = np.minimum(self.place + (level > 2), self.corridor)
        return (self.turned & (level == self.sign)).astype(float)
