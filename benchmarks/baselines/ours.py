"""rlkit's recurrent PPO, built as `train.py` builds it and driven block by block."""

from benchmarks.baselines.contract import Recorder, Result, Settings
from configs import build
from configs.compose import compose_train
from rlkit.seeding import seed_everything


def words(
    num_envs: int, env_steps: int, seed: int, s: Settings, memory: str, chunk_steps: int | None
) -> list[str]:
    """What one would write behind `train.py` for the shared settings."""
    values = {
        "agent": "ppo",
        "env": "cartpole",
        "memory": memory,
        "optimizer": "adam",
        "wrappers.velocity_mask": "true",
        "wrappers.normalize": "true",
        "num_envs": num_envs,
        "env_steps": env_steps,
        "seed": seed,
        "evaluation.count": 0,
        "memory.hidden_size": s.hidden,
        "optimizer.eps": s.adam_eps,
        "agent.rollout_steps": s.rollout_steps,
        "agent.chunk_steps": "null" if chunk_steps is None else chunk_steps,
        "agent.epochs": s.epochs,
        "agent.minibatches": s.minibatches,
        "agent.lr": s.lr,
        "agent.gamma": s.gamma,
        "agent.gae_lambda": s.gae_lambda,
        "agent.clip": s.clip,
        "agent.clip_value": "false",
        "agent.entropy_coefficient": s.entropy_weight,
        "agent.value_coefficient": s.value_weight,
        "agent.max_grad_norm": s.max_grad_norm,
    }
    return [f"{key}={value}" for key, value in values.items()]


def run(
    num_envs: int,
    env_steps: int,
    seed: int,
    settings: Settings,
    until: float | None = None,
    memory: str = "gru",
    chunk_steps: int | None = None,
) -> Result:
    """Trains on velocity-masked CartPole for `env_steps`, or until a mean return is reached."""
    config = compose_train(words(num_envs, env_steps, seed, settings, memory, chunk_steps))
    seeds = seed_everything(seed)
    envs = build.make_envs(config, num_envs)
    agent = build.make_agent(config, envs, seeds["noise"])
    config = config | {"resolved": build.resolve_intervals(config, agent.schedule, envs.dt)}
    loop = build.make_loop(config, agent, envs, seeds)
    runner = loop.runner  # type: ignore[attr-defined]
    recorder = Recorder(until)
    recorder.start()
    while loop.vector_steps * num_envs < env_steps:
        loop.block()
        for episode_return, _ in runner.finished:
            recorder.episode(episode_return / envs.stock_dt)
        runner.finished.clear()
        if recorder.updated(loop.vector_steps * num_envs):
            break
    envs.close()
    return recorder.result
