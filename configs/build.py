"""Checked dictionary → environments, agent, loop. The composition root; knows all registries."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch.random import fork_rng

import envs
from agents import AGENTS
from agents.base import Agent, Parts
from configs import predict
from configs.stages import by_generations, predicts, resolved, stages_of, steps_of
from rlkit.executors import make_executor
from rlkit.loops.off_policy import OffPolicyLoop
from rlkit.loops.on_policy import OnPolicyLoop
from rlkit.loops.online import OnlineLoop
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
from rlkit.run.session import Loop, Part
from rlkit.run.stages import StageCache
from rlkit.runner import VectorRunner
from rlkit.schedule import BlockSchedule, Stage, carries_of, chunk_length
from rlkit.seeding import generator, get_global_state, set_global_state, stage_seed
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

    tick = options.get("carry_seconds", 0.0)
    carries = carries_of(tick, environments.dt) if tick else None

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
        one_sided=getattr(environments, "one_sided", ()),
        limit_steps=environments.limit_steps,
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


def make_part(
    config: Mapping[str, Any],
    stage: Stage,
    seeds: Mapping[str, int],
    before: Any = None,
) -> Part:
    """Environments, agent and loop of one stage of a run.

    Args:
        config: with its budget resolved.
        stage: one of `configs.stages.stages_of`.
        seeds: of `seed_everything`.
        before: the loop of the stage before; its agent goes on in this one.
    """
    if predicts(config):
        predictor, reading = predict.make_parts(config, seeds)
        data = predict.Data(config["num_envs"])
        return Part(stage, reading, data, data, predict.make_evaluator(config, predictor))
    config = {**config, "dt": stage.dt}
    drawn = get_global_state()
    environments = make_envs(config, config["num_envs"])
    agent = make_agent(config, environments, seeds["noise"])
    if before is not None:
        set_global_state(drawn)  # the weights that were just drawn are replaced
        agent.take_over(before.agent, environments.dt / before.runner.envs.dt)
    loop = make_loop(config, agent, environments, seeds, stage, before)
    settings = config["evaluation"]
    eval_envs = make_envs(config, min(settings["num_envs"], settings["episodes"]))
    evaluate = make_evaluator(
        agent,
        eval_envs,
        settings["episodes"],
        settings["seed"],
        explore=not settings["deterministic"],
    )
    return Part(stage, loop, environments, eval_envs, evaluate)


def make_loop(
    config: Mapping[str, Any],
    agent: Agent,
    environments: Any,
    seeds: Mapping[str, int],
    stage: Stage | None = None,
    before: Any = None,
) -> Loop:
    """Runner, storage and loop around an agent; the configuration has its budget resolved."""
    if agent.loop == "staged":
        return make_staged_loop(config, agent)
    stage = stage or stages_of(config)[0]
    seed = stage_seed(seeds["environments"], stage.index)
    if agent.loop == "on_policy":
        o = agent.options
        chunk_length(o.rollout_steps, o.chunk_steps, environments.num_envs, o.minibatches)
        runner = VectorRunner(environments, agent, seed, staggered=False)
        total = config["resolved"]["total_vector_steps"] / stage.ticks
        over = stage.start / stage.ticks
        return OnPolicyLoop(runner, agent, agent.schedule.block_steps, total, over)  # type: ignore[arg-type]
    if agent.loop == "online":
        runner = VectorRunner(environments, agent, seed)
        return OnlineLoop(runner, agent, agent.schedule.block_steps)  # type: ignore[arg-type]
    o, lengths = agent.options, agent.lengths
    schedule = replace(agent.schedule, credit=stage.credit)
    single = lengths.single(bool(agent.initial_state(1)), o.priority_exponent)
    runner = VectorRunner(environments, agent, seed)
    numbers = before.replay.generator if before else generator(seeds["replay"])
    replay: TransitionReplay | SequenceReplay
    if single and before and isinstance(before.replay, TransitionReplay):
        replay = before.replay  # its steps keep their own dt
        replay.dt = environments.dt
    elif single:
        dt = environments.dt if config["dt_schedule"] else None
        replay = TransitionReplay(o.replay_capacity, numbers, dt)
    else:
        schedule = replace(schedule, store_every_steps=1)  # windows have no gaps
        priority = o.priority_exponent, o.importance_exponent
        replay = SequenceReplay(o.replay_capacity, lengths.steps, agent, numbers, *priority)
    return OffPolicyLoop(runner, agent, replay, schedule)  # type: ignore[arg-type]


def make_staged_loop(config: Mapping[str, Any], agent: Any) -> StagedLoop:
    """The loop of an agent that learns in stages; its workers are built from the configuration."""
    facts = {k: config[k] for k in ("env", "wrappers", "dt", "memory", "optimizer", "seed")}
    return StagedLoop(
        agent,
        make_executor(config["executor"], partial(make_worker, decided(config, agent))),
        config["executor"]["unit_jobs"],
        StageCache(Path(config["outputs"]) / config["env"]["name"] / "stages"),
        facts,
        config["resolved"]["total_vector_steps"],
    )


def decided(config: Mapping[str, Any], agent: Any) -> dict[str, Any]:
    """The configuration with what `precision: auto` came to here, for all machines and later."""
    own = {"precision": agent.precision} if by_generations(config) else {}
    return {**config, "agent": {**config["agent"], **own}}


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
        film=getattr(agent, "film", None),
    )


def check_budget(config: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Refuses a new budget that the run has already spent.

    Raises:
        ConfigError: then, and nothing has been written.
    """
    training = checkpoint["training"]
    stages, loop = stages_of(config), training["loop"]
    stage = stages[training.get("stage", 0)]
    done = stage.start + loop.get("runner", loop)["vector_steps"] * stage.ticks
    total = config["resolved"]["total_vector_steps"]
    if total < done and by_generations(config):
        raise ConfigError(f"the budget is {total} generations, but the run has made {done}")
    if total < done:
        tick = stages[-1].dt * config["wrappers"]["action_repeat"]
        raise ConfigError(
            f"the budget is {total * tick:g} s of simulation, but the run has made {done * tick:g}"
        )


def resolve_intervals(
    config: Mapping[str, Any], schedule: BlockSchedule, dt: float
) -> dict[str, Any]:
    """`configs.stages.resolve` of a run at one dt whose agent is built.

    Args:
        config: the configuration.
        schedule: of the agent; a budget is rounded up to its whole blocks.
        dt: seconds per vector step (with action repeat, several of the environment's own).
    """
    return resolved(config, steps_of(config, schedule, dt), dt)
