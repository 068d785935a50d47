"""Checked dictionary → predictor, its data and loop. What `build.py` is to agents that act."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

import envs
from agents import AGENTS
from agents.predictor import Predictor, PredictorOptions
from configs.stages import reads_stream
from rlkit.loops.supervised import SupervisedLoop, for_agents
from rlkit.memory import make_memory
from rlkit.seeding import generator


class Data(NamedTuple):
    """What a session asks of environments."""

    num_envs: int
    dt: float = 1.0

    def phase_plane(self, n: int) -> None:
        """There is none."""
        return


def make_task(config: Mapping[str, Any], held_out: bool = False) -> Any:
    """The task of a configuration; held out, of the split that it names for this."""
    options = {k: v for k, v in config["env"].items() if k != "name"}
    name, split = config["env"]["name"], options.get("split")
    if held_out and split is not None:
        options["split"] = envs.ENVS.load(name).held_out.get(split, split)
    return envs.make_task(name, options)


def _own(group: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in group.items() if k != "name"}


def make_predictor(config: Mapping[str, Any], task: Any, seed: int) -> Predictor:
    """The agents of a configuration."""
    agent_options, memory_options = _own(config["agent"]), _own(config["memory"])

    def memory(input_size: int) -> Any:
        name = config["memory"]["name"]
        return make_memory(name, input_size, dt=config["dt"], **memory_options)

    options = PredictorOptions(**agent_options)
    stream, numbers = reads_stream(config, task), generator(seed)
    cls = AGENTS.load(config["agent"]["name"])
    agent: Predictor = cls(
        options, task, memory, config["optimizer"], config["gradient"], stream, numbers
    )
    return agent


def make_parts(config: Mapping[str, Any], seeds: Mapping[str, int]) -> tuple[Predictor, Any]:
    """The agents and their loop."""
    task = make_task(config)
    stream = reads_stream(config, task)
    agent = make_predictor(config, task, seeds["noise"])
    block_steps = config["agent"]["block_steps"]
    B, seed = config["num_envs"], seeds["environments"]
    return agent, SupervisedLoop(task, agent, B, stream, block_steps, seed)


def make_evaluator(
    config: Mapping[str, Any], agent: Predictor, learning: bool = True
) -> Callable[[], dict[str, Any]]:
    """Losses on data of a fixed seed that are not learnt from; `learning`: beside those that are.

    The same for all agents: `evaluation.episodes` sequences, or beginnings of streams.
    """
    settings, task = config["evaluation"], make_task(config, held_out=True)
    known = {"memoryless_loss": task.memoryless_loss, "optimum": task.optimum, "unit": task.unit}

    def evaluate() -> dict[str, Any]:
        rng, left = np.random.default_rng(settings["seed"]), settings["episodes"]
        totals = torch.zeros_like(agent.totals)
        while left:
            rows = min(left, settings["num_envs"])
            T = agent.options.evaluation_steps if task.stream else None
            batch = for_agents(task, task.sample(rng, T, rows), agent.N, 1)
            totals += agent.evaluate(batch)
            left -= rows
        online = agent.results(agent.since_evaluation(), "online_") if learning else {}
        return {**agent.results(totals), **online, **known}

    return evaluate
