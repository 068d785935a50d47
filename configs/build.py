"""Checked dictionary → environments, agent, loop. The composition root; knows all registries."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch.random import fork_rng

import envs
from agents import AGENTS
from agents.base import Agent, Parts
from rlkit.executors import make_executor
from rlkit.loops.off_policy import OffPolicyLoop
from rlkit.loops.on_policy import OnPolicyLoop
from rlkit.loops.population import PopulationWorker
from rlkit.loops.staged import StagedLoop
from rlkit.memory import make_memory
from rlkit.memory.base import Memory
from rlkit.observations import ObsPart, parts_of
from rlkit.options import ConfigError
from rlkit.replay.sequences import SequenceReplay
from rlkit.replay.transitions import TransitionReplay
from rlkit.run.evaluation import EvalResult, evaluate
from rlkit.run.player import Player
from rlkit.run.session import Loop
from rlkit.run.stages import StageCache
from rlkit.runner import VectorRunner
from rlkit.schedule import BlockSchedule, carries_of, chunk_length
from rlkit.seeding import generator
from rlkit.types import Spaces


def named(group: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of a component and its options."""
    options = {k: _tuples(v) for k, v in group.items() if k != "name"}
    return group["name"], options


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def make_envs(config: Mapping[str, Any], num_envs: int, render_mode: str | None = None) -> Any:
    """The environments of a configuration, wrappers included."""
    name, options = named(config["env"])
    return envs.make_vector_env(
        name,
        options,
        dt=config["dt"],
        num_envs=num_envs,
        wrappers=config["wrappers"],
        render_mode=render_mode,
    )


def make_agent(config: Mapping[str, Any], environments: Any, noise_seed: int) -> Agent:
    """The agent of a configuration, for these environments."""
    name, options = named(config["agent"])
    memory_name, memory_options = named(config["memory"])

    carries = carries_of(options.get("carry_seconds", 0.0), environments.dt)

    def memory(input_size: int) -> Memory:
        return make_memory(
            memory_name, input_size, dt=environments.dt, carries=carries, **memory_options
        )

    action_space = environments.single_action_space
    discrete = not hasattr(action_space, "low")
    spaces = Spaces(
        obs_shape=environments.single_observation_space.shape,
        action_size=int(action_space.n) if discrete else int(action_space.shape[0]),
        discrete=discrete,
        dt=environments.dt,
        num_envs=environments.num_envs,
        reward_bounds=environments.reward_bounds,
        obs_parts=obs_parts(environments),
        stock_dt=environments.stock_dt,
    )
    cls = AGENTS.load(name)
    declaration = getattr(__import__(cls.__module__, fromlist=["_"]), f"{cls.__name__}Options")
    parts = Parts(
        spaces,
        memory,
        config["optimizer"],
        config["wrappers"]["normalize"],
        generator(noise_seed),
    )
    agent: Agent = cls(declaration(**options), parts)
    return agent


def obs_parts(environments: Any) -> tuple[ObsPart, ...]:
    """What an observation is made of."""
    declared = getattr(environments, "obs_parts", None)
    return declared or parts_of(environments.single_observation_space)


def make_loop(
    config: Mapping[str, Any], agent: Agent, environments: Any, seeds: Mapping[str, int]
) -> Loop:
    """Runner, storage and loop around an agent; the configuration has its budget resolved."""
    if agent.loop == "staged":
        return make_staged_loop(config, agent)
    if agent.loop == "on_policy":
        o = agent.options
        chunk_length(o.rollout_steps, o.chunk_steps, environments.num_envs, o.minibatches)
        runner = VectorRunner(environments, agent, seeds["environments"], staggered=False)
        total = config["resolved"]["total_vector_steps"]
        return OnPolicyLoop(runner, agent, agent.schedule.block_steps, total)  # type: ignore[arg-type]
    o, lengths, schedule = agent.options, agent.lengths, agent.schedule
    single = lengths.single(bool(agent.initial_state(1)), o.priority_exponent)
    lengths.check_capacity(o.replay_capacity, environments.num_envs, single)
    runner = VectorRunner(environments, agent, seeds["environments"])
    numbers = generator(seeds["replay"])
    replay: TransitionReplay | SequenceReplay
    if single:
        replay = TransitionReplay(o.replay_capacity, numbers)
    else:
        schedule = replace(schedule, store_every_steps=1)  # windows have no gaps
        priority = o.priority_exponent, o.importance_exponent
        replay = SequenceReplay(o.replay_capacity, lengths.steps, agent, numbers, *priority)
    return OffPolicyLoop(runner, agent, replay, schedule)  # type: ignore[arg-type]


def make_staged_loop(config: Mapping[str, Any], agent: Any) -> StagedLoop:
    """The loop of an agent that learns in stages; its workers are built from the configuration."""
    precision = {"precision": agent.precision}  # decided here, for all machines
    workers_config = {**config, "agent": {**config["agent"], **precision}}
    facts = {k: config[k] for k in ("env", "wrappers", "dt", "memory", "optimizer", "seed")}
    return StagedLoop(
        agent,
        make_executor(config["executor"], partial(make_worker, workers_config)),
        config["executor"]["unit_jobs"],
        StageCache(Path(config["outputs"]) / config["env"]["name"] / "stages"),
        facts,
        config["resolved"]["total_vector_steps"],
    )


def make_worker(config: Mapping[str, Any]) -> PopulationWorker:
    """Plays many controllers on `num_envs` environments; built where it runs."""
    name, options = named(config["env"])
    singles = [
        envs.make_env(name, options, dt=config["dt"], wrappers=config["wrappers"])
        for _ in range(config["num_envs"])
    ]
    with fork_rng():
        agent: Any = make_agent(config, make_envs(config, 1), noise_seed=0)
    return PopulationWorker(singles, agent)


def make_evaluator(
    agent: Agent,
    environments: Any,
    episodes: int,
    seed: int,
    video_fps: float | None = None,
    explore: bool = False,
) -> Callable[[], EvalResult]:
    """Plays the fixed episodes, greedily unless `explore`."""
    player = Player(agent, explore)
    return lambda: evaluate(
        player.act,
        player.begin,
        environments,
        episodes=episodes,
        seed=seed,
        video_fps=video_fps,
    )


def check_budget(config: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Refuses a new budget that the run has already spent.

    Raises:
        ConfigError: then, and nothing has been written.
    """
    loop = checkpoint["training"]["loop"]
    done = loop.get("runner", loop)["vector_steps"]
    total = config["resolved"]["total_vector_steps"]
    if total < done:
        raise ConfigError(f"the budget is {total} vector steps, but the run has made {done}")


def resolve_intervals(
    config: Mapping[str, Any], schedule: BlockSchedule, dt: float
) -> dict[str, Any]:
    """Budget and intervals in vector steps; kept in config.json, so that a resumed run has them.

    Args:
        config: the configuration.
        schedule: of the agent; a budget is rounded up to its whole blocks.
        dt: seconds per vector step (with action repeat, several of the environment's own).
    """
    B = config["num_envs"]
    if config["env_steps"] is not None:
        total = -(-config["env_steps"] // B)
    elif config["sim_seconds"] is not None:
        total = max(1, round(config["sim_seconds"] / dt))
    else:
        total = math.ceil(config["updates"] / schedule.updates_per_step)
    total = -(-total // schedule.block_steps) * schedule.block_steps

    def spread(count: int) -> int:
        return -(-total // count) if count else 0

    kept = config.get("resolved")
    return {
        "total_vector_steps": total,
        "intervals": kept["intervals"]
        if kept
        else {
            "log": max(1, round(config["log_every_seconds"] / dt)),
            "evaluation": spread(config["evaluation"]["count"]),
            "checkpoint": spread(config["checkpoint"]["count"]),
        },
    }
