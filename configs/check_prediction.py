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
    agent, core, own = config["agent"], config["memory"], config["gradient"]
    known = _fits_rt2(core, own, task) or _fits_uoro(core, own, task)
    fits = (
        known
        and (config["optimizer"]["name"], config["num_envs"], stream) == ("adam", 1, True)
        and (agent["readout_sizes"], agent["max_grad_norm"]) == ([], None)
    )
    if not fits:
        raise ConfigError(
            "agent.kernel=numba is for memory=rtu memory.kind=linear gradient=rt2 with a squared"
            " loss, or memory=gru or lstm in one layer gradient=uoro (rank=1, tangent=exact) or"
            " tbptt (window=disjoint) with classes to predict; optimizer=adam, one stream"
            " (num_envs=1), a linear readout and max_grad_norm=null: take agent.kernel=torch"
        )
    if find_spec("numba") is None:
        raise ConfigError("agent.kernel=numba needs numba (python -m pip install numba)")


def _fits_rt2(core: Mapping[str, Any], own: Mapping[str, Any], task: Any) -> bool:
    found = core["name"], core.get("kind"), own["name"], task.loss
    return found == ("rtu", "linear", "rt2", "squared")


def _fits_uoro(core: Mapping[str, Any], own: Mapping[str, Any], task: Any) -> bool:
    plain = core["name"] in ("gru", "lstm") and core["layers"] == 1
    uoro = (own["name"], own.get("rank"), own.get("tangent")) == ("uoro", 1, "exact")
    known = uoro or (own["name"], own.get("window")) == ("tbptt", "disjoint")
    return plain and not core["pre"] and not core["post"] and known and task.loss == "cross_entropy"


def check_evaluated_prediction(request: Mapping[str, Any]) -> None:
    """Refuses what is for environments to act in."""
    for key in ("dt", "observation_noise", "deterministic"):
        if request[key] is not None:
            raise ConfigError(f"{key} is for environments to act in, not for sequences")
    if request["video"]:
        raise ConfigError("video shows environments to act in, not sequences")
