"""The text of `--help`: groups, keys, and the options of the components that are named."""

from collections.abc import Mapping, Sequence
from typing import Any

import agents
import envs
from configs.check import own
from configs.compose import GROUPS, check_choice, choices, hydra, parse, with_preset
from rlkit.executors import EXECUTORS
from rlkit.gradients import GRADIENTS
from rlkit.optim import OPTIMIZERS
from rlkit.options import Option, declared, describe


def help_text(command: str, arguments: Sequence[str]) -> str:
    """What `--help` prints: groups, keys, and the options of the chosen components."""
    overrides = parse(arguments)
    groups = [o for o in overrides if o.key_or_group in GROUPS]
    for o in groups:
        check_choice(o)
    words = with_preset(groups, [o for o in overrides if o.key_or_group == "preset"])
    lines = [f"usage: python {command}.py [key=value …]", ""]
    if command == "evaluate":
        return "\n".join([*lines, *_rows("", own("EvaluateOptions"), hydra("evaluate", []))])
    config = hydra("train", words)
    lines += ["Groups (group=name):"]
    lines += [f"  {g:<12} {', '.join(choices(g)) or '(none yet)'}" for g in GROUPS]
    lines += [f"  {'preset':<12} {', '.join(choices('preset/' + config['agent']['name']))}", ""]
    lines += ["Run:", *_rows("", own("RunOptions"), config)]
    for section, name in (("evaluation", "Evaluation"), ("checkpoint", "Checkpoint")):
        lines += _rows(section + ".", own(f"{name}Options"), config[section])
    for group, registry in (("agent", agents.AGENTS), ("env", envs.ENVS)):
        options = declared(registry.target(config[group]["name"]) + "Options")
        lines += ["", f"{group}={config[group]['name']}:"]
        lines += _rows(group + ".", options, config[group])
    name = config["gradient"]["name"]
    options = declared(GRADIENTS.target(name) + "Options")
    lines += ["", f"gradient={name}:", *_rows("gradient.", options, config["gradient"])]
    for group, registry in (("optimizer", OPTIMIZERS), ("executor", EXECUTORS)):
        name = config[group]["name"]
        lines += ["", f"{group}={name}:"]
        lines += _rows(f"{group}.", declared(registry.target(name)), config[group])
    lines += ["", "Wrappers:"]
    lines += _rows("wrappers.", declared("envs.wrappers:WrapperOptions"), config["wrappers"])
    return "\n".join(lines)


def _rows(prefix: str, options: Mapping[str, Option], values: Mapping[str, Any]) -> list[str]:
    return [
        f"  {f'{prefix}{o.name}={values.get(o.name)}':<40} {o.doc} [{describe(o)}{_search(o)}]"
        for o in options.values()
    ]


def _search(o: Option) -> str:
    return f"; worth searching: {', '.join(map(str, o.search))}" if o.search else ""
