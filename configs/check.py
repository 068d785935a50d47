"""What a composed configuration must satisfy. Knows all registries, imports no torch."""

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import agents
import envs
from configs.check_prediction import check_prediction
from configs.check_staged import check_counted_in_generations, check_staged
from configs.stages import by_generations, predicts, stages_of
from rlkit import memory
from rlkit.executors import EXECUTORS
from rlkit.observations import check_encoder, parts_of
from rlkit.optim import OPTIMIZERS
from rlkit.options import ConfigError, Option, check, class_attribute, declared
from rlkit.schedule import Stage, WindowLengths, carries_of, chunk_length, ticks_of

BUDGETS = ("env_steps", "sim_seconds", "updates")
COMPONENTS = ("agent", "env", "memory", "gradient", "optimizer", "wrappers", "executor")


def own(name: str) -> dict[str, Option]:
    """The declarations of a dataclass of `configs/schema.py`."""
    return declared(f"configs.schema:{name}")


def check_config(config: dict[str, Any]) -> None:
    """Checks a composed configuration, and fills in its budget and dt.

    Raises:
        ConfigError: anything unknown, of the wrong type, or contradictory.
    """
    _check_groups(config)
    check_kind(config["agent"]["name"], config["env"]["name"])
    _check_run(config)
    if predicts(config):
        check_prediction(config)
        return
    check_gradient_of_acting(config)
    _check_at_dt(config)
    for dt in (config["dt_schedule"] or [])[:-1]:
        try:
            _check_at_dt({**config, "dt": dt})
        except ConfigError as error:
            raise ConfigError(f"dt_schedule holds {dt:g}: {error}") from None
    for stage in stages_of(config):
        _check_windows(config, stage)


def _check_windows(config: Mapping[str, Any], stage: Stage) -> None:
    """That a run, or a stage of it, is long enough for what is learnt from."""
    options = config["agent"]
    if "window_seconds" not in options:
        return
    dt = stage.dt * config["wrappers"]["action_repeat"]
    remembers = config["memory"]["name"] != "none"
    lengths = WindowLengths.of(SimpleNamespace(**options), dt, remembers)
    if stage.steps <= lengths.steps and not lengths.single(remembers, options["priority_exponent"]):
        key = "window_seconds" if remembers else "td_span_seconds"
        raise ConfigError(
            f"the run has {stage.steps} vector steps at dt={dt:g} s, but agent {options['name']}"
            f" learns from windows of {lengths.steps}: give a longer budget or less agent.{key}"
        )


def _check_at_dt(config: Mapping[str, Any]) -> None:
    """What depends on dt: that environment, agent and memory can be built with it."""
    copy = trial(config)
    _check_time(config, copy)
    _check_agent(config, copy)
    _check_traces(config)
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


def check_kind(agent: str, env: str) -> None:
    """Refuses an agent that acts for a sequence task, and one that predicts for the others.

    Raises:
        ConfigError: then; names what fits.
    """
    predicting = [a for a in agents.AGENTS.names() if _actions(a) == "none"]
    if envs.kind(env) == "sequence" and agent not in predicting:
        fitting = ", ".join(predicting) or "none yet"
        raise ConfigError(
            f"env {env} is a sequence to predict, but agent {agent} needs an environment to act in"
            f" (agents that fit: {fitting})"
        )
    if envs.kind(env) == "control" and agent in predicting:
        fitting = ", ".join(n for n in envs.ENVS.names() if envs.kind(n) == "sequence")
        raise ConfigError(
            f"agent {agent} predicts sequences, but env {env} is there to act in"
            f" (environments that fit: {fitting})"
        )


def check_gradient_of_acting(config: Mapping[str, Any]) -> None:
    """An agent that acts has one way to learn: from stored windows, or by real-time traces."""
    name, agent = config["gradient"]["name"], config["agent"]["name"]
    own = _gradient(agent)
    if name != own:
        fitting = (
            a for a in agents.AGENTS.names() if _actions(a) == "none" or _gradient(a) == name
        )
        how = {"bptt": "from stored windows", "rt2": "by real-time traces"}[own]
        raise ConfigError(
            f"gradient is {name}, but agent {agent} learns {how} and takes {own} only (agents that"
            f" take {name}: {', '.join(fitting)})"
        )


def _actions(agent: str) -> str:
    """Which actions an agent takes: "any", "continuous", "discrete" or "none"."""
    return str(class_attribute(agents.AGENTS.target(agent), "actions"))


def _check_run(config: dict[str, Any]) -> None:
    """Top-level keys, one budget, and dt."""
    top = {k: v for k, v in config.items() if k not in COMPONENTS}
    check(top, own("RunOptions"), "", "configs/train.yaml")
    for section, name in (("evaluation", "Evaluation"), ("checkpoint", "Checkpoint")):
        check(config[section], own(f"{name}Options"), section, "configs/train.yaml")
    if all(config[b] is None for b in BUDGETS):
        config.update({b: v for b, v in config["budget"].items() if v is not None})
    check_budget(config)
    if config["dt_schedule"] is not None:
        ticks_of(config["dt_schedule"])
        config["dt"] = config["dt_schedule"][-1]
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
    if by_generations(config):
        check_counted_in_generations(config)
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


def _declared(agent: str, attribute: str, default: Any) -> Any:
    """What an agent's class says of itself, without importing it."""
    try:
        return class_attribute(agents.AGENTS.target(agent), attribute)
    except AttributeError:
        return default


def _gradient(agent: str) -> str:
    """The gradient estimator of an agent that acts."""
    return str(_declared(agent, "gradient", "bptt"))


def _check_traces(config: Mapping[str, Any]) -> None:
    """That an agent that learns by traces alone has a memory with traces."""
    agent, options = config["agent"]["name"], config["memory"]
    needed = _gradient(agent) == "rt2"
    allowed = memory.memories_with_traces()
    around = [k for k in ("layers", "pre", "post") if options.get(k) not in (None, 1, [])]
    if needed and (options["name"] not in allowed or around):
        given = options["name"] + "".join(f" with {k}={options[k]}" for k in around)
        raise ConfigError(
            f"agent {agent} learns by real-time traces, but memory {given} has none (memories that"
            f" have, with one layer and no pre or post: {', '.join(allowed)})"
        )


def _check_agent(config: Mapping[str, Any], copy: Any) -> None:
    """That agent and environment fit together."""
    options, env = config["agent"], config["env"]["name"]
    actions = _actions(options["name"])
    kind = "continuous" if hasattr(copy.single_action_space, "low") else "discrete"
    if actions not in ("any", kind):
        fitting = ", ".join(a for a in agents.AGENTS.names() if _actions(a) in ("any", kind))
        raise ConfigError(
            f"agent {options['name']} needs {actions} actions, but env {env} has {kind}"
            f" ones (agents that fit: {fitting})"
        )
    parts = getattr(copy, "obs_parts", None) or parts_of(copy.single_observation_space)
    if by_generations(config):
        check_staged(config, parts, copy.limit_steps)
    else:
        check_encoder(options["encoder"], parts)
    loop = _declared(options["name"], "loop", "off_policy")
    if not config["evaluation"]["deterministic"] and loop == "off_policy":
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
    if "rollout_steps" in options:
        chunk_length(
            options["rollout_steps"],
            options.get("chunk_steps", 1),
            config["num_envs"],
            options["minibatches"],
        )
