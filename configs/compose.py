"""Command line → checked dictionary. The only file that knows Hydra; imports no torch.

Hydra composes `configs/`; every key is then compared with what the components declare, so that a
wrong word is answered in one sentence, before anything is built or written.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

import envs
from configs.check import (
    BUDGETS,
    check_budget,
    check_component,
    check_config,
    check_same_borders,
    own,
    trial,
)
from configs.check_prediction import check_evaluated_prediction
from configs.check_staged import check_draws
from configs.stages import by_generations, stages_of
from rlkit.options import ConfigError, check, nearest
from rlkit.run.folder import read_config

FOLDER = Path(__file__).parent
GROUPS = (
    "agent",
    "env",
    "memory",
    "gradient",
    "optimizer",
    "wrappers",
    "executor",
    "experiment",
)
PATHS = ("run", "resume", "outputs")
FREE = "env.kwargs"
"""Arguments of a foreign environment's constructor: any key."""


def choices(group: str) -> list[str]:
    """Names of the YAML files of a group."""
    return sorted(p.stem for p in (FOLDER / group).glob("*.yaml"))


def compose_train(arguments: Sequence[str]) -> dict[str, Any]:
    """The checked configuration of a training run.

    Args:
        arguments: `key=value` words of the command line.

    Raises:
        ConfigError: anything unknown, of the wrong type, or contradictory.
    """
    overrides = parse(arguments)
    groups = [o for o in overrides if o.key_or_group in GROUPS]
    for o in groups:
        check_choice(o)
    values = [o for o in overrides if o.key_or_group not in GROUPS]
    words = with_preset(groups, values)
    known = hydra("train", words)
    for o in values:
        _check_key(o.key_or_group, known)
    words += [text_of(o) for o in values if o.key_or_group != "preset"]  # to Hydra, a group
    config = hydra("train", words) | {"preset": preset_of(known, values)}
    if config["dt_schedule"] is not None and any(o.key_or_group == "dt" for o in values):
        raise ConfigError("dt and dt_schedule are both given: dt_schedule alone holds every dt")
    check_config(config)
    return config


def with_preset(groups: Sequence[Override], values: Sequence[Override]) -> list[str]:
    """Words for Hydra: the preset first, then the groups, an experiment being stronger."""
    words = [text_of(o) for o in groups if o.value() is not None]
    known = hydra("train", words)
    preset, agent = preset_of(known, values), known["agent"]["name"]
    return words if preset is None else [f"+preset/{agent}={_preset(agent, preset)}", *words]


def preset_of(known: Mapping[str, Any], values: Sequence[Override]) -> str | None:
    """The preset of the command line, or else that of the experiment or of `train.yaml`."""
    given = [o.value() for o in values if o.key_or_group == "preset"]
    preset = given[-1] if given else known["preset"]
    return None if preset is None else str(preset)


def compose_evaluate(arguments: Sequence[str]) -> dict[str, Any]:
    """The checked configuration of an evaluation; `env.…` is checked with the run's environment.

    Raises:
        ConfigError: as in `compose_train`, or no run folder is given.
    """
    overrides = parse(arguments)
    known = hydra("evaluate", [])
    words = []
    for o in overrides:
        if o.key_or_group in ("env", "env.name"):
            raise ConfigError("the environment is that of the run: change its options, as env.size")
        if o.key_or_group.startswith("env."):
            words.append(f"++{o.input_line}")
        else:
            _check_key(o.key_or_group, known)
            words.append(text_of(o))
    config = hydra("evaluate", words)
    if config["run"] is None:
        raise ConfigError("which run? give run=<folder>, as train.py printed it")
    check(config, own("EvaluateOptions"), "", "configs/evaluate.yaml")
    if isinstance(config["checkpoint"], str) and config["checkpoint"] not in ("best", "last"):
        raise ConfigError(
            f"checkpoint is '{config['checkpoint']}', but must be best, last or a step number"
        )
    return config


def resume_train(folder: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """The configuration of a run to be continued; a new budget may be given.

    Raises:
        ConfigError: the folder is no run folder, or more than a budget is asked for.
    """
    config = read_config(folder)
    budgets = {o.key_or_group: o.value() for o in parse(arguments) if o.key_or_group != "resume"}
    for key in budgets:
        if key not in BUDGETS:
            raise ConfigError(
                f"resume continues a run as it was, so {key} cannot be given"
                f" (allowed: {', '.join(BUDGETS)})"
            )
    if budgets:
        config |= dict.fromkeys(BUDGETS) | budgets
        check_budget(config)
        if config.get("dt_schedule") and config["sim_seconds"] is None:
            raise ConfigError(
                "a run with dt_schedule is continued in its last stage, so its new budget must be"
                " sim_seconds"
            )
        stages_of(config)
    if by_generations(config):  # its stages are where it is, not where this was called
        config["outputs"] = str(folder.resolve().parent.parent.parent)
    return config


def evaluation_config(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run, with what an evaluation asks to be different.

    Raises:
        ConfigError: the folder is no run folder, or its environment cannot be as asked.
    """
    config = read_config(folder)
    for key in ("episodes", "num_envs", "seed", "deterministic"):
        if request[key] is not None:
            config["evaluation"][key] = request[key]
    if envs.kind(config["env"]["name"]) == "sequence":
        asked = config["env"] | request["env"]
        check_component("env", asked)
        check_evaluated_prediction(request, config["env"], asked)
        return config | {"env": asked}
    if by_generations(config):
        check_draws(config, request["deterministic"], "deterministic")
    if request["dt"] is not None:
        config["dt"] = request["dt"]
    if request["observation_noise"] is not None:
        config["wrappers"]["observation_noise"] = request["observation_noise"]
    trained = trial(config)
    changes = dict(request["env"])
    if isinstance(changes.get("kwargs"), Mapping):
        changes["kwargs"] = config["env"].get("kwargs", {}) | changes["kwargs"]
    config["env"] = config["env"] | changes
    check_component("env", config["env"])
    check_same_borders(trained, trial(config))
    return config


def parse(arguments: Sequence[str]) -> list[Override]:
    """The words of a command line; only plain `key=value` is taken."""
    parser = OverridesParser.create()
    overrides = []
    for word in arguments:
        key, _, value = word.partition("=")
        if key in PATHS and value and value[0] not in "'\"":  # a path is no grammar
            word = f"{key}='" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        try:
            override = parser.parse_override(word)
        except HydraException:
            raise ConfigError(f"cannot read '{word}': write key=value") from None
        if override.is_add() or override.is_delete() or override.is_force_add():
            raise ConfigError(f"'{word}' adds or removes a key: write key=value for a known key")
        if override.is_sweep_override():
            raise ConfigError(f"'{word}' names several values: one run takes one")
        overrides.append(override)
    return overrides


def text_of(o: Override) -> str:
    """A parsed word as Hydra takes it; an experiment comes after the preset and is stronger."""
    assert o.input_line is not None
    if o.key_or_group == "experiment":
        return f"+{o.input_line}"
    return f"++{o.input_line}" if o.key_or_group.startswith(FREE) else o.input_line


def check_choice(o: Override) -> None:
    """Refuses `group=name` if there is no such file."""
    group, name = o.key_or_group, str(o.value())
    allowed = choices(group)
    if o.value() is None and group == "experiment":
        return
    if name not in allowed:
        raise ConfigError(
            f"unknown {group} '{name}'{nearest(name, allowed)} (allowed: {', '.join(allowed)})"
        )


def _preset(agent: str, name: str) -> str:
    allowed = choices(f"preset/{agent}")
    if name not in allowed:
        raise ConfigError(
            f"unknown preset '{name}' of agent {agent}{nearest(name, allowed)}"
            f" (allowed: {', '.join(allowed)})"
        )
    return name


def _check_key(key: str, known: Mapping[str, Any]) -> None:
    node: Any = known
    parts = key.split(".")
    if key.startswith(FREE) and "kwargs" in known["env"]:
        return
    if parts[1:] == ["name"]:
        raise ConfigError(f"{key} cannot be set: choose with {parts[0]}=<name>")
    for depth, part in enumerate(parts):
        prefix = ".".join(parts[:depth])
        if not isinstance(node, Mapping):
            raise ConfigError(f"unknown key {key}: {prefix} holds one value")
        if part not in node:
            group = known.get(parts[0])
            name = group.get("name") if isinstance(group, Mapping) else None
            top = "configs/train.yaml" if "agent" in known else "configs/evaluate.yaml"
            file = f"configs/{parts[0]}/{name}.yaml" if name else top
            prefix = prefix + "." if prefix else ""
            allowed = [prefix + k for k in node if k != "name"]
            raise ConfigError(
                f"unknown key {key}{nearest(key, allowed)}"
                f" (allowed: {', '.join(allowed)}; file {file})"
            )
        node = node[part]


def hydra(name: str, words: list[str]) -> dict[str, Any]:
    """Composes `configs/<name>.yaml` with the words, interpolations resolved."""
    try:
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            composed = OmegaConf.to_container(compose(name, words), resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(str(error).split())) from None
    assert isinstance(composed, dict)
    return {str(k): v for k, v in composed.items()}
