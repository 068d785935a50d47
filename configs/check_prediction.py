"""What the configuration of a predictor must satisfy. Imports no torch."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

import envs
from configs.stages import reads_stream
from rlkit import gradients, memory
from rlkit.options import ConfigError


def check_prediction(config: Mapping[str, Any]) -> None:
    """That task, memory and gradient fit together."""
    options = {k: v for k, v in config["env"].items() if k != "name"}
    task = envs.make_task(config["env"]["name"], options)
    if not config["agent"]["lr"]:
        raise ConfigError("agent.lr is [], but must hold at least one step size")
    if config["dt_schedule"] is not None:
        raise ConfigError("dt_schedule is for environments to act in, not for sequences")
    if config["dt"] != 1:
        raise ConfigError(f"dt is {config['dt']:g}, but the time of a sequence is counted in steps")
    if task.stream and config["agent"]["reading"] == "sequences":
        raise ConfigError(
            f"agent.reading is sequences, but env {config['env']['name']} is a stream"
            " (allowed: auto, stream)"
        )
    plain = yaml.safe_load((Path(__file__).parent / "wrappers" / "default.yaml").read_text())
    changed = [k for k, v in config["wrappers"].items() if v != plain[k]]
    if changed:
        raise ConfigError(f"wrappers.{changed[0]} is for environments to act in, not for sequences")
    memory_options = dict(config["memory"])
    memory.check_memory(memory_options.pop("name"), memory_options, config["dt"])
    own = {k: v for k, v in config["gradient"].items() if k != "name"}
    stream = reads_stream(config, task)
    inputs = config["env_steps"] and config["env_steps"] / config["num_envs"]
    steps = (inputs or config["sim_seconds"] or float("inf")) if stream else task.steps
    gradients.check_gradient(config["gradient"]["name"], own, config["memory"], stream, steps)
    if config["optimizer"].get("weight_decay", 0) > 0:
        raise ConfigError("optimizer.weight_decay is not for agent predictor: set it to 0")
    if config["agent"]["compile"] and own.get("tangent") == "exact":
        raise ConfigError(
            "agent.compile=true makes graphs that are differentiated once, but gradient.tangent is"
            " exact (allowed: finite_differences)"
        )
    if config["agent"]["kernel"] == "numba":
        _check_kernel(config, task, stream)


def _check_kernel(config: Mapping[str, Any], task: Any, stream: bool) -> None:
    """That the compiled loop does what is asked for."""
    agent = config["agent"]
    fits = (
        config["optimizer"]["name"] == "adam"
        and stream
        and config["num_envs"] == 1
        and (agent["readout_sizes"], agent["max_grad_norm"]) == ([], None)
        and _has_loop(config["memory"], config["gradient"], task.loss)
    )
    if not fits:
        raise ConfigError(
            "agent.kernel=numba is for optimizer=adam, one stream (num_envs=1), a linear readout"
            " and max_grad_norm=null; with a squared loss memory=rtu memory.kind=linear"
            " gradient=rt2, or memory=gru gradient=tbptt gradient.window=sliding; with classes to"
            " predict memory=gru or lstm with gradient=uoro (rank=1, tangent=exact) or tbptt"
            " (window=disjoint); gru and lstm in one layer, without pre or post: take"
            " agent.kernel=torch"
        )
    if find_spec("numba") is None:
        raise ConfigError("agent.kernel=numba needs numba (python -m pip install numba)")


def _has_loop(core: Mapping[str, Any], own: Mapping[str, Any], loss: str) -> bool:
    """Whether a loop is written for memory, estimator and loss."""
    if own["name"] == "rt2":
        return (core["name"], core.get("kind"), loss) == ("rtu", "linear", "squared")
    if core["name"] not in ("gru", "lstm") or core["layers"] != 1 or core["pre"] or core["post"]:
        return False
    if own["name"] == "uoro":
        return (own["rank"], own["tangent"], loss) == (1, "exact", "cross_entropy")
    found = core["name"], own.get("window"), loss
    return found == ("gru", "sliding", "squared") or found[1:] == ("disjoint", "cross_entropy")


def check_evaluated_prediction(
    request: Mapping[str, Any], trained: Mapping[str, Any], asked: Mapping[str, Any]
) -> None:
    """Refuses what is for environments to act in, and a task of other sizes than the one learnt.

    Args:
        request: of `evaluate.py`.
        trained: name and options of the task of the run.
        asked: those of the task asked for.
    """
    for key in ("dt", "observation_noise", "deterministic"):
        if request[key] is not None:
            raise ConfigError(f"{key} is for environments to act in, not for sequences")
    if request["video"]:
        raise ConfigError("video shows environments to act in, not sequences")
    cls = envs.ENVS.load(asked["name"])
    changing = [size for size in ("input_size", "target_size") if not hasattr(cls, size)]
    if trained == asked or not changing:  # sizes that never change need no files of the run
        return
    one, other = (
        envs.make_task(env["name"], {k: v for k, v in env.items() if k != "name"})
        for env in (trained, asked)
    )
    for size in changing:
        if getattr(one, size) != getattr(other, size):
            raise ConfigError(
                f"the predictor was trained with {size}={getattr(one, size)}, but the sequences"
                f" asked for have {size}={getattr(other, size)}"
            )
