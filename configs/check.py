"""What a composed configuration must satisfy. Knows all registries, imports no torch."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import agents
import envs
from rlkit import memory
from rlkit.executors import EXECUTORS
from rlkit.observations import check_codes, check_encoder, parts_of
from rlkit.optim import OPTIMIZERS
from rlkit.options import ConfigError, Option, check, class_attribute, declared
from rlkit.schedule import WindowLengths, carries_of, chunk_length

BUDGETS = ("env_steps", "sim_seconds", "updates")
COMPONENTS = ("agent", "env", "memory", "optimizer", "wrappers", "executor")


def own(name: str) -> dict[str, Option]:
    """The declarations of a dataclass of `configs/schema.py`."""
    return declared(f"configs.schema:{name}")


def check_config(config: dict[str, Any]) -> None:
    """Checks a composed configuration, and fills in its budget and dt.

    Raises:
        ConfigError: anything unknown, of the wrong type, or contradictory.
    """
    _check_groups(config)
    _check_run(config)
    copy = trial(config)
    _check_time(config, copy)
    _check_agent(config, copy)
    options = dict(config["memory"])
    carries = carries_of(config["agent"].get("carry_seconds", 0.0), copy.dt)
    memory.check_memory(options.pop("name"), options, copy.dt * carries)


def _check_groups(config: Mapping[str, Any]) -> None:
    """Every component's options against its own declaration."""
    for group in ("agent", "env"):
        check_component(group, config[group])
    file = "configs/wrappers/default.yaml"
    check(config["wrappers"], declared("envs.wrappers:WrapperOptions"), "wrappers", file)
    for group, registry in (("optimizer", OPTIMIZERS), ("executor", EXECUTORS)):
        values = dict(config[group])
        name = values.pop("name")
        check(values, declared(registry.target(name)), group, f"configs/{group}/{name}.yaml")


def check_component(group: str, config: Mapping[str, Any]) -> None:
    """The options of an agent or environment against its own declaration."""
    values = dict(config)
    name = values.pop("name")
    registry = {"agent": agents.AGENTS, "env": envs.ENVS}[group]
    check(
        values, declared(registry.target(name) + "Options"), group, f"configs/{group}/{name}.yaml"
    )


def _check_run(config: dict[str, Any]) -> None:
    """Top-level keys, one budget, and dt."""
    top = {k: v for k, v in config.items() if k not in COMPONENTS}
    check(top, own("RunOptions"), "", "configs/train.yaml")
    for section, name in (("evaluation", "Evaluation"), ("checkpoint", "Checkpoint")):
        check(config[section], own(f"{name}Options"), section, "configs/train.yaml")
    if all(config[b] is None for b in BUDGETS):
        config.update({b: v for b, v in config["budget"].items() if v is not None})
    check_budget(config)
    if config["dt"] is None:
        options = {k: v for k, v in config["env"].items() if k != "name"}
        config["dt"] = envs.native_dt(config["env"]["name"], options)
    if not config["dt"] > 0 or not math.isfinite(config["dt"]):
        raise ConfigError(f"dt is {config['dt']!r}, but must be a number above 0 (s)")


def check_budget(config: Mapping[str, Any]) -> None:
    """Refuses none, several, or a malformed budget."""
    budgets = [b for b in BUDGETS if config[b] is not None]
    if len(budgets) != 1:
        stated = " and ".join(f"{b}={config[b]}" for b in budgets) or "none"
        raise ConfigError(f"a run needs one budget of {', '.join(BUDGETS)}, but got {stated}")
    if "rounds" in config["agent"] and budgets != ["updates"]:
        raise ConfigError(
            f"the budget of agent {config['agent']['name']} is counted in generations: give updates"
            f" instead of {budgets[0]}"
        )
    options = own("RunOptions")
    check({budgets[0]: config[budgets[0]]}, {budgets[0]: options[budgets[0]]}, "", "")


def trial(config: Mapping[str, Any]) -> Any:
    """One copy of the environment, so that what it refuses is refused here."""
    options = {k: v for k, v in config["env"].items() if k != "name"}
    name, wrappers = config["env"]["name"], config["wrappers"]
    copy: Any = envs.make_vector_env(name, options, dt=config["dt"], num_envs=1, wrappers=wrappers)
    copy.close()
    return copy


def check_same_borders(trained: Any, asked: Any) -> None:
    """Refuses an environment that a policy cannot see or act in, or whose episodes may not end."""
    for what, a, b in (
        ("observations", trained.single_observation_space, asked.single_observation_space),
        ("actions", trained.single_action_space, asked.single_action_space),
    ):
        sizes = [getattr(space, "n", space.shape) for space in (a, b)]
        if sizes[0] != sizes[1]:
            raise ConfigError(
                f"the policy was trained with {what} of size {sizes[0]}, but the environment asked"
                f" for has {sizes[1]}"
            )
    if asked.limit_steps is None:
        raise ConfigError(
            "the environment asked for has no time limit: give env.time_limit_seconds"
        )


def _check_time(config: Mapping[str, Any], copy: Any) -> None:
    if config["sim_seconds"] is not None and config["sim_seconds"] < copy.dt:
        raise ConfigError(
            f"sim_seconds is {config['sim_seconds']}, shorter than one step of {copy.dt:g} s"
        )
    if copy.limit_steps is None and config["evaluation"]["count"] > 0:
        raise ConfigError(
            f"env {config['env']['name']} has no time limit, so an evaluation might never end: give"
            " env.time_limit_seconds or evaluation.count=0"
        )


def _check_agent(config: Mapping[str, Any], copy: Any) -> None:
    """That agent and environment fit together."""
    options, env = config["agent"], config["env"]["name"]
    target = agents.AGENTS.target(options["name"])
    actions = class_attribute(target, "actions")
    kind = "continuous" if hasattr(copy.single_action_space, "low") else "discrete"
    if actions not in ("any", kind):
        fitting = ", ".join(
            a
            for a in agents.AGENTS.names()
            if class_attribute(agents.AGENTS.target(a), "actions") in ("any", kind)
        )
        raise ConfigError(
            f"agent {options['name']} needs {actions} actions, but env {env} has {kind}"
            f" ones (agents that fit: {fitting})"
        )
    parts = getattr(copy, "obs_parts", None) or parts_of(copy.single_observation_space)
    if "rounds" in options:
        _check_staged(config, parts)
    else:
        check_encoder(options["encoder"], parts)
    if not config["evaluation"]["deterministic"] and "rollout_steps" not in options:
        raise ConfigError(
            f"evaluation.deterministic is False, but agent {options['name']} explores with a noise"
            " process that belongs to training (allowed: true)"
        )
    if not options.get("shared_memory", True) and kind == "discrete" and options["name"] == "dau":
        raise ConfigError(
            "agent.shared_memory is false, but the policy of agent dau on discrete actions is the"
            " arg max of a critic: it has no memory of its own"
        )
    if "window_seconds" in options:
        remembers = config["memory"]["name"] != "none"
        lengths = WindowLengths.of(SimpleNamespace(**options), copy.dt, remembers)
        single = lengths.single(remembers, options["priority_exponent"])
        lengths.check_capacity(options["replay_capacity"], config["num_envs"], single)
    if "chunk_steps" in options:
        chunk_length(
            options["rollout_steps"],
            options["chunk_steps"],
            config["num_envs"],
            options["minibatches"],
        )


def _check_staged(config: Mapping[str, Any], parts: Any) -> None:
    """What holds for an agent that learns in stages, by generations."""
    options = config["agent"]
    check_codes(parts)
    if len(options["rollouts"]) != len(options["rollouts_from"]):
        raise ConfigError(
            f"agent.rollouts has {len(options['rollouts'])} phases, but agent.rollouts_from"
            f" {len(options['rollouts_from'])}"
        )
    if options["train_in"] == "dream" and not options["train_dynamics"]:
        raise ConfigError("agent.train_in is dream, but agent.train_dynamics is false")
    if options["rounds"] > config["updates"]:
        raise ConfigError(
            f"agent.rounds is {options['rounds']}, but updates={config['updates']} generations"
        )
