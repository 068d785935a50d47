"""What the configuration of an agent that learns in stages must satisfy. Imports no torch."""

from collections.abc import Mapping
from typing import Any

from rlkit.observations import ObsPart, check_codes
from rlkit.options import ConfigError


def check_counted_in_generations(config: Mapping[str, Any]) -> None:
    """Refuses a budget that is not counted in generations."""
    for budget in ("env_steps", "sim_seconds"):
        if config[budget] is not None:
            raise ConfigError(
                f"the budget of agent {config['agent']['name']} is counted in generations: give"
                f" updates instead of {budget}"
            )


def check_draws(config: Mapping[str, Any], deterministic: bool | None, key: str) -> None:
    """Refuses to draw actions where there is nothing to draw."""
    if deterministic is False:
        raise ConfigError(
            f"{key} is false, but agent {config['agent']['name']} has a controller that draws no"
            " actions (allowed: true)"
        )


def check_staged(
    config: Mapping[str, Any], parts: tuple[ObsPart, ...], limit_steps: int | None
) -> None:
    """That stages, generations, observations and the longest episode fit together."""
    options = config["agent"]
    if config["dt_schedule"] is not None:
        raise ConfigError(
            f"dt_schedule is not for agent {options['name']}, whose codes and dynamics are learnt"
            " at one dt: give dt"
        )
    check_codes(parts)
    check_draws(config, config["evaluation"]["deterministic"], "evaluation.deterministic")
    if len(options["rollouts"]) != len(options["rollouts_from"]):
        raise ConfigError(
            f"agent.rollouts has {len(options['rollouts'])} phases, but agent.rollouts_from"
            f" {len(options['rollouts_from'])}"
        )
    if options["train_in"] == "dream" and not options["train_dynamics"]:
        raise ConfigError("agent.train_in is dream, but agent.train_dynamics is false")
    if limit_steps is None:
        raise ConfigError(
            f"env {config['env']['name']} has no time limit, so a rollout might never end: give"
            " env.time_limit_seconds"
        )
    if config["wrappers"]["normalize"]:
        raise ConfigError(
            f"wrappers.normalize is true, but agent {options['name']} scales what it sees by its"
            " own vision: leave it false"
        )
    if options["rounds"] > 1 and not options["train_dynamics"]:
        raise ConfigError(
            f"agent.rounds is {options['rounds']}, but agent.train_dynamics is false: no round"
            " after the first would change anything"
        )
    if options["rounds"] > config["updates"]:
        raise ConfigError(
            f"agent.rounds is {options['rounds']}, but updates={config['updates']} generations"
        )
