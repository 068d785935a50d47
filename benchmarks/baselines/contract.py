"""What the contenders of `ppo_speed.py` share: settings, clock, result, the baselines' environment.

A contender is `run(num_envs, env_steps, seed, settings, until=None) -> Result`. The clock starts
before the first environment step, after imports and construction, and is read after every update.
"""

import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import gymnasium
import numpy as np

WINDOW = 50
"""Training episodes in a mean return."""


@dataclass(frozen=True)
class Settings:
    """Equal for all contenders, but for `reward_scale`, the baselines'; `gamma` is per step."""

    hidden: int = 64
    rollout_steps: int = 128
    epochs: int = 4
    minibatches: int = 4
    lr: float = 1e-3
    adam_eps: float = 1e-5
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    max_grad_norm: float = 0.5
    reward_scale: float = 0.02

    def minibatch_steps(self, num_envs: int) -> int:
        return self.rollout_steps * num_envs // self.minibatches


@dataclass
class Result:
    """`curve` holds (env steps, CPU seconds, mean return of the last 50 training episodes)."""

    env_steps: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    reached: bool = False
    curve: list[tuple[int, float, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Recorder:
    """The clock of one run and its last returns, in units of the stock environment.

    Args:
        until: mean return at which the run may stop; None to run all steps.
    """

    def __init__(self, until: float | None):
        self.until = until
        self.returns: deque[float] = deque(maxlen=WINDOW)
        self.result = Result()

    def start(self) -> None:
        self.cpu_start, self.wall_start = time.process_time(), time.perf_counter()

    def episode(self, stock_return: float) -> None:
        self.returns.append(float(stock_return))

    def updated(self, env_steps: int) -> bool:
        """Notes an update; True once `until` is reached."""
        result = self.result
        result.cpu_seconds = time.process_time() - self.cpu_start
        result.wall_seconds = time.perf_counter() - self.wall_start
        result.env_steps = env_steps
        if self.returns:
            mean = sum(self.returns) / len(self.returns)
            result.curve.append((env_steps, result.cpu_seconds, mean))
            full = len(self.returns) == WINDOW
            result.reached = self.until is not None and full and mean >= self.until
        return result.reached


class MaskedCartPole(gymnasium.Wrapper):
    """Position and angle of the stock CartPole alone, rewards scaled."""

    def __init__(self, reward_scale: float):
        super().__init__(gymnasium.make("CartPole-v1", disable_env_checker=True))
        box = self.env.observation_space
        self.observation_space = gymnasium.spaces.Box(box.low[::2], box.high[::2], dtype=np.float32)
        self.reward_scale = reward_scale

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        obs, info = self.env.reset(**kwargs)
        return obs[::2], info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs[::2], float(reward) * self.reward_scale, terminated, truncated, info
