"""Evaluation: whole episodes of fixed seeds, the same ones for any number of parallel copies.

Episode e is the process seeded `seed + e`. A wave resets N copies and steps them until each has
ended once; a copy that has ended keeps stepping and is ignored, so short episodes are not counted
more often than long ones, which quotas of finished episodes would do.

Shapes: B parallel copies, O observation, A action, N episodes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rlkit.run.statistics import iqm

# (obs_BO, state, start_B) -> (action, state); the state is whatever `begin` gave.
Act = Callable[[NDArray[np.float32], Any, NDArray[np.bool_]], tuple[NDArray[Any], Any]]
# (observations of one episode, steps from one to the next) -> a frame for each.
Film = Callable[[Sequence[NDArray[Any]], int], list[NDArray[np.uint8]]]


class TimedVectorEnv(Protocol):
    """What evaluation needs of a vector env whose rewards are rates: a Gymnasium one with dt."""

    num_envs: int
    dt: float
    stock_dt: float

    def reset(self, *, seed: list[int]) -> tuple[NDArray[Any], dict[str, Any]]: ...

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]: ...

    def render(self) -> Any: ...


class EvalResult(NamedTuple):
    """Per episode: return Σ r·dt and length; frames of episode 0 if they were asked for."""

    returns: NDArray[np.float64]
    length_steps: NDArray[np.int64]
    frames: list[NDArray[np.uint8]]
    frames_per_second: float


def evaluate(
    act: Act,
    begin: Callable[[list[int]], Any],
    envs: TimedVectorEnv,
    *,
    episodes: int,
    seed: int,
    video_fps: float | None = None,
    film: Film | None = None,
) -> EvalResult:
    """Plays `episodes` episodes with the given policy.

    Args:
        act: the policy.
        begin: seeds of the episodes that start together → recurrent state before them.
        envs: autoreset in the same step, a time limit that ends every episode.
        episodes: how many.
        seed: episode e is seeded `seed + e`.
        video_fps: most frames kept per simulated second of episode 0; None keeps none.
        film: makes them of its observations; None: the environment draws them.
    """
    if episodes < 1:
        raise ValueError(f"episodes is {episodes}, but must be at least 1")
    B = envs.num_envs
    waves = -(-episodes // B)
    sum_N, length_N = np.zeros(waves * B), np.zeros(waves * B, dtype=np.int64)
    stride_steps = max(1, round(1 / (video_fps * envs.dt))) if video_fps else 0
    frames: list[NDArray[np.uint8]] = []
    for first in range(0, episodes, B):
        sum_B, length_B = sum_N[first : first + B], length_N[first : first + B]  # views
        seeds = [seed + first + i for i in range(B)]
        obs_BO, _ = envs.reset(seed=seeds)
        state, start_B = begin(seeds), np.ones(B, dtype=bool)
        active_B = np.arange(first, first + B) < episodes
        while active_B.any():
            if stride_steps and first == 0 and active_B[0] and length_B[0] % stride_steps == 0:
                frames.append(obs_BO[0].copy() if film else np.asarray(envs.render()[0]))
            action, state = act(obs_BO, state, start_B)
            obs_BO, reward_B, terminated_B, truncated_B, _ = envs.step(action)
            np.add(sum_B, reward_B, out=sum_B, where=active_B)
            length_B += active_B
            start_B = terminated_B | truncated_B
            active_B &= ~start_B
    fps = 1 / (stride_steps * envs.dt) if stride_steps else 0.0
    if film and frames:
        frames = film(frames, stride_steps)
    return EvalResult(sum_N[:episodes] * envs.dt, length_N[:episodes], frames, fps)


def summary(result: EvalResult, envs: TimedVectorEnv) -> dict[str, float]:
    """One record of `eval.jsonl`: returns Σ r·dt, their spread (over episodes), length in steps.

    `stock_return_mean` is in the units of the stock environment, whose rewards are per step;
    `success_rate` is the share of episodes above the environment's `success_above`, if it has one.
    """
    return_mean = float(result.returns.mean())
    success_above = getattr(envs, "success_above", None)
    success = {}
    if success_above is not None:
        success = {"success_rate": float((result.returns > success_above).mean())}
    return success | {
        "episodes": len(result.returns),
        "return_mean": return_mean,
        "return_std": float(result.returns.std()),
        "return_iqm": float(iqm(result.returns)),
        "stock_return_mean": return_mean / envs.stock_dt,
        "length_mean": float(result.length_steps.mean()),
    }
