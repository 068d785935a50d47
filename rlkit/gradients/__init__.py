"""Gradient estimators: how credit flows back through memory. One a file, one YAML of its name."""

from collections.abc import Mapping
from typing import Any

from rlkit.memory import memories_with_traces
from rlkit.options import ConfigError, check, declared
from rlkit.registry import Registry

GRADIENTS = Registry(
    "gradient",
    {
        "artbp": "rlkit.gradients.artbp:ARTBP",
        "bptt": "rlkit.gradients.bptt:BPTT",
        "rt2": "rlkit.gradients.rt2:RT2",
        "rtrl": "rlkit.gradients.rtrl:RTRL",
        "tbptt": "rlkit.gradients.tbptt:TBPTT",
        "uoro": "rlkit.gradients.uoro:UORO",
    },
)
ONLINE = ("artbp", "rt2", "rtrl", "tbptt", "uoro")
"""Those that can follow a stream, which never ends."""


def check_gradient(
    name: str,
    options: Mapping[str, Any],
    memory: Mapping[str, Any],
    stream: bool,
    steps: float = float("inf"),
) -> None:
    """Refuses an estimator and a memory or source that do not go together; imports no torch.

    Args:
        name: registry name.
        options: its own.
        memory: name and options.
        stream: whether inputs come without end, and not in sequences.
        steps: inputs of one sequence, or of the stream in all.

    Raises:
        ConfigError: then, naming the combinations that work.
    """
    target = GRADIENTS.target(name)
    check(options, declared(f"{target}Options"), "gradient", f"configs/gradient/{name}.yaml")
    who = memory["name"]
    if name == "bptt" and stream:
        raise ConfigError(
            "gradient bptt needs sequences that end, but this is a stream (gradients for streams:"
            f" {', '.join(ONLINE)})"
        )
    if name == "rt2":
        traced = memories_with_traces()
        plain = memory.get("layers", 1) == 1 and not memory.get("pre") and not memory.get("post")
        if who not in traced or not plain:
            what = f"memory {who}" if who not in traced else f"memory {who} in layers"
            raise ConfigError(
                f"gradient rt2 needs real-time traces, which {what} does not have (memories that"
                f" have, with layers=1 and no pre or post: {', '.join(traced)}; gradients for"
                " every memory: bptt, tbptt, artbp)"
            )
    if name in ("rtrl", "uoro") and who == "none":
        raise ConfigError(
            f"gradient {name} carries the derivative of a state from step to step, but memory none"
            " has no state (gradients that take it: bptt, tbptt, artbp)"
        )
    if options.get("tangent") == "finite_differences" and draws_noise(memory):
        raise ConfigError(
            f"gradient.tangent is finite_differences, which runs every step twice, but memory {who}"
            " draws noise in each (allowed: exact)"
        )
    lengths = {"tbptt": "length", "artbp": "mean_length", "uoro": "memory_steps"}
    if name in lengths and (length := options[lengths[name]]) > steps:
        raise ConfigError(
            f"gradient.{lengths[name]} is {length}, but the {'stream' if stream else 'sequence'}"
            f" has {steps:g} steps"
        )


def draws_noise(memory: Mapping[str, Any]) -> bool:
    """Whether a step cannot be repeated in training."""
    if memory["name"] == "vand":
        return bool(memory.get("mode") != "vanilla" or draws_noise({"name": memory.get("inner")}))
    return memory["name"] == "gatel0rd" and memory.get("gate_noise_std", 0.1) > 0
