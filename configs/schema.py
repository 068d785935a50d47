"""What `train.py` and `evaluate.py` themselves accept, beside the components' own options."""

from collections.abc import Mapping
from dataclasses import dataclass

from rlkit.options import option


@dataclass(frozen=True)
class RunOptions:
    dt: float | None = option("time between decisions; default: the environment's own", unit="s")
    dt_schedule: tuple[float, ...] | None = option(
        "one dt after the other, coarse to fine, each for an equal share of the run's seconds",
        unit="s",
        above=0,
    )
    seed: int = option("seed of every generator of the run", low=0, high=2**32 - 1)
    num_envs: int = option("environments stepped in parallel", low=1)
    preset: str | None = option("named budget and schedule of the agent")
    env_steps: int | None = option("budget: steps over all environments", low=1)
    sim_seconds: float | None = option("budget: simulated time per environment", unit="s", above=0)
    updates: int | None = option("budget: updates of the agent", low=1)
    budget: Mapping = option("the budget if none of the three is given")
    evaluation: Mapping = option("count, episodes, num_envs, seed of evaluations during the run")
    checkpoint: Mapping = option("count and keep of resumable checkpoints")
    log_every_seconds: float = option("simulated time between log lines", unit="s", above=0)
    tensorboard: bool = option("write TensorBoard events")
    plots: bool = option("draw the learning curve and, in two dimensions, value and policy")
    outputs: str = option("parent folder of run folders")
    resume: str | None = option("run folder to continue")


@dataclass(frozen=True)
class EvaluationOptions:
    count: int = option("evaluations, evenly over the run; 0: none", low=0)
    episodes: int = option("episodes each, on fixed starts", low=1)
    num_envs: int = option("copies they are played on", low=1)
    seed: int = option("episode e starts from seed + e", low=0)
    deterministic: bool = option("greedy actions; false: drawn as in training")


@dataclass(frozen=True)
class CheckpointOptions:
    count: int = option("checkpoints, evenly over the run; 0: none", low=0)
    keep: int = option("how many of the newest are kept", low=1)


@dataclass(frozen=True)
class EvaluateOptions:
    run: str = option("run folder")
    checkpoint: str | int | None = option(
        "best, last, or a step number; default: best, or last of agents trained by generations"
    )
    episodes: int | None = option("episodes; default: as in training", low=1)
    num_envs: int | None = option("copies they are played on; default: as in training", low=1)
    seed: int | None = option("episode e starts from seed + e; default: as in training", low=0)
    deterministic: bool | None = option("greedy actions, or with noise; default: as in training")
    dt: float | None = option("time between decisions; default: as in training", unit="s")
    observation_noise: float | None = option("standard deviation; default: as in training", low=0)
    env: Mapping = option("options of the environment; default: as in training")
    video: bool = option("record the first episode under videos/")
    json: bool = option("print one JSON object instead of a table")
