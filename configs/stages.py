"""Budget, intervals and stages of a configuration, on one clock; imports no torch.

The clock ticks once per vector step. With `dt_schedule` it ticks in steps of the last dt, of which
every other one is a whole multiple: stages, evaluations and logs fall on whole ticks.
"""

import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import envs
from rlkit.options import ConfigError
from rlkit.schedule import BlockSchedule, Stage, stage_ends, ticks_of


def stages_of(config: Mapping[str, Any]) -> list[Stage]:
    """The stages of a run; one without `dt_schedule`. A run continued keeps all but the last end.

    Raises:
        ConfigError: a stage is shorter than a block of the agent, or has no time left.
    """
    dts = config.get("dt_schedule") or [config["dt"]]
    ticks = ticks_of(dts) if len(dts) > 1 else [1]
    repeat = config["wrappers"]["action_repeat"]
    schedules = [_block_schedule(config, dt * repeat) for dt in dts]
    blocks = [s.block_steps * n for s, n in zip(schedules, ticks, strict=True)]
    tick = dts[-1] * repeat
    total = _budget_ticks(config, schedules, ticks, tick)
    kept = config.get("resolved", {}).get("stage_ends", [])[:-1]
    if kept and total <= kept[-1]:
        raise ConfigError(
            f"the budget is {total * tick:g} s, but the last stage of dt_schedule begins at"
            f" {kept[-1] * tick:g} s"
        )
    for dt, block in zip(dts, blocks, strict=True):
        if len(dts) > 1 and not kept and total < block * len(dts):
            share, name = total * tick / len(dts), config["agent"]["name"]
            raise ConfigError(
                f"dt_schedule gives each of its {len(dts)} stages {share:.4g} s, but agent {name}"
                f" learns every {block * tick:g} s at dt={dt:g}: give a longer budget"
            )
    stages: list[Stage] = []
    start, steps, updates = 0, 0, 0.0
    ends = stage_ends(total, blocks, kept)
    for i, (dt, n, schedule, end) in enumerate(zip(dts, ticks, schedules, ends, strict=True)):
        stages.append(Stage(i, dt, n, start, end, steps, updates % 1))
        start, steps = end, steps + stages[-1].steps
        updates += stages[-1].steps * schedule.updates_per_step
    return stages


def by_generations(config: Mapping[str, Any]) -> bool:
    """Whether the agent learns in stages, of which the last goes by generations."""
    return "rounds" in config["agent"]


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Budget and intervals in ticks; kept in config.json, so that a resumed run has them."""
    stages = stages_of(config)
    tick = stages[-1].dt * config["wrappers"]["action_repeat"]
    found = resolved(config, stages[-1].end, tick)
    return found | ({"stage_ends": [s.end for s in stages]} if len(stages) > 1 else {})


def resolved(config: Mapping[str, Any], total: int, tick: float) -> dict[str, Any]:
    """As `resolve`, for a known length.

    Args:
        config: the configuration.
        total: ticks of the run.
        tick: seconds.
    """

    def spread(count: int) -> int:
        return -(-total // count) if count else 0

    kept = config.get("resolved")
    return {
        "total_vector_steps": total,
        "intervals": kept["intervals"]
        if kept
        else {
            "log": max(1, round(config["log_every_seconds"] / tick)),
            "evaluation": spread(config["evaluation"]["count"]),
            "checkpoint": spread(config["checkpoint"]["count"]),
        },
    }


def steps_of(config: Mapping[str, Any], schedule: BlockSchedule, dt: float) -> int:
    """Vector steps of a run at one dt, in whole blocks.

    Args:
        config: the configuration.
        schedule: of the agent.
        dt: seconds per vector step (with action repeat, several of the environment's own).
    """
    total = _budget_ticks(config, [schedule], [1], dt)
    return stage_ends(total, [schedule.block_steps])[-1]


def _budget_ticks(
    config: Mapping[str, Any], schedules: Sequence[BlockSchedule], ticks: Sequence[int], tick: float
) -> int:
    """The budget, before rounding; stages share it equally in physical time."""
    if config["sim_seconds"] is not None:
        return max(1, round(config["sim_seconds"] / tick))
    per_tick = [1 / n for n in ticks]  # vector steps
    if config["env_steps"] is not None:
        return math.ceil(config["env_steps"] / (config["num_envs"] * sum(per_tick) / len(ticks)))
    updates = [s.updates_per_step * r for s, r in zip(schedules, per_tick, strict=True)]
    return math.ceil(config["updates"] / (sum(updates) / len(updates)))


def _block_schedule(config: Mapping[str, Any], dt: float) -> BlockSchedule:
    agent = config["agent"]
    if predicts(config):
        return _prediction_schedule(config)
    if "rollout_steps" in agent:
        return BlockSchedule.of_rollouts(
            agent["rollout_steps"], agent["epochs"], agent["minibatches"]
        )
    if by_generations(config):
        return BlockSchedule(1, 1.0, store_every_steps=1)
    if "updates_per_second" not in agent:
        return BlockSchedule.online()
    return BlockSchedule.of(SimpleNamespace(**agent), dt)


# ---- sequences to predict ----------------------------------------------------------------------


def predicts(config: Mapping[str, Any]) -> bool:
    """Whether the environment is a sequence to predict."""
    return envs.kind(config["env"]["name"]) == "sequence"


def reads_stream(config: Mapping[str, Any], task: Any) -> bool:
    """Whether a task is read as streams, rather than in batches of sequences."""
    reading = config["agent"]["reading"]
    return bool(task.stream) if reading == "auto" else reading == "stream"


def _prediction_schedule(config: Mapping[str, Any]) -> BlockSchedule:
    """Inputs of a block, and updates per input."""
    options = {k: v for k, v in config["env"].items() if k != "name"}
    task = envs.make_task(config["env"]["name"], options)
    gradient = config["gradient"]
    lengths = {"tbptt": "length", "artbp": "mean_length", "uoro": "memory_steps"}
    L = gradient[lengths[gradient["name"]]] if gradient["name"] in lengths else 1
    L = 1 if gradient.get("window") == "sliding" else L
    if not reads_stream(config, task):
        updates = 1 if gradient["name"] == "bptt" else math.ceil(task.steps / L)
        return BlockSchedule(task.steps, updates / task.steps, 1)
    whole = 1 if gradient["name"] == "artbp" else L
    return BlockSchedule(math.ceil(config["agent"]["block_steps"] / whole) * whole, 1 / L, 1)
