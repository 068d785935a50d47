"""Agents built from their options dataclass, without any YAML."""

import dataclasses
import importlib

import torch

from agents import AGENTS
from agents.base import Agent, Parts
from rlkit.memory import make_memory
from rlkit.memory.none import NoMemory
from rlkit.networks.mlp import MLP
from rlkit.seeding import generator
from rlkit.types import Spaces, Windows

FAST = {
    "encoder": "auto",
    "encoder_sizes": (),
    "shared_memory": True,
    "lr_memory": 0.1,
    "window_seconds": None,
    "burn_in_seconds": 0.0,
    "carry_seconds": 0.0,
    "td_span_seconds": 0.0,
    "priority_exponent": 0.0,
    "importance_exponent": 0.4,
    "hidden_sizes": (64, 64),
    "batch_size": 64,
    "gamma": 0.8,
    "lr_value": 0.1,
    "lr_advantage": 0.1,
    "lr_q": 0.1,
    "lr_policy": 0.02,
    "moment_horizon_seconds": 1.0,
    "scaling": "continuous_time",
    "reference_dt": 0.01,
    "tau": 0.0,
    "clamp_bootstrap": True,
    "noise_kappa": 7.5,
    "noise_sigma": 1.5,
    "schedule": "physical",
    "block_seconds": 0.1,
    "updates_per_second": 500,
    "block_steps": 10,
    "updates_per_block": 50,
    "store_every_seconds": 0.02,
    "replay_capacity": 1_000_000,
}
PAPER = {
    **FAST,
    "hidden_sizes": (256, 256),
    "batch_size": 256,
    "moment_horizon_seconds": 0.2,
    "clamp_bootstrap": False,
    "schedule": "steps",
    "store_every_seconds": 0.0,
}

PPO = {
    "encoder": "auto",
    "encoder_sizes": (8,),
    "head_sizes": (8,),
    "shared_memory": True,
    "rollout_steps": 8,
    "chunk_steps": None,
    "refresh_states": "never",
    "epochs": 2,
    "minibatches": 2,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip": 0.2,
    "clip_value": False,
    "value_coefficient": 0.5,
    "entropy_coefficient": 0.01,
    "entropy_final_ratio": 1.0,
    "normalize_value_rate": 0.05,
    "normalize_advantages": True,
    "lr": 0.003,
    "lr_final_ratio": 1.0,
    "max_grad_norm": 0.5,
    "target_kl": None,
    "initial_std": 0.6,
}
SMALL = {
    "none": {},
    "gru": {"hidden_size": 6},
    "lstm": {"hidden_size": 6},
    "elman": {"hidden_size": 6},
    "gatel0rd": {"hidden_size": 6, "penalty_coefficient": 0.3},
}
"""Options of small memories."""
RMSPROP = {"name": "rmsprop", "eps": 1e-8}
ADAM = {"name": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-5}


def spaces(discrete: bool = False, **changes) -> Spaces:
    """Three observations; two action components, or four actions."""
    return Spaces((3,), 4 if discrete else 2, discrete, 0.05, 5)._replace(**changes)


def make_agent(
    name: str,
    given: Spaces,
    seed: int = 0,
    normalize: bool = False,
    preset=FAST,
    memory=NoMemory,
    optimizer=RMSPROP,
    **changes,
) -> Agent:
    cls = AGENTS.load(name)
    declaration = getattr(importlib.import_module(cls.__module__), f"{cls.__name__}Options")
    fields = [f.name for f in dataclasses.fields(declaration)]
    options = declaration(**{f: {**preset, **changes}[f] for f in fields})
    torch.manual_seed(seed)
    parts = Parts(given, memory, optimizer, normalize, generator(seed + 100))
    agent: Agent = cls(options, parts)
    return agent


def make_ppo(given: Spaces, memory="none", memory_options=None, seed: int = 0, **changes) -> Agent:
    """PPO with a registered memory and Adam."""

    def build(input_size: int):
        return make_memory(memory, input_size, **(memory_options or {}))

    changes = {"optimizer": ADAM} | changes
    return make_agent("ppo", given, seed, preset=PPO, memory=build, **changes)


def make_ppo_online(given: Spaces, memory="rtu", memory_options=None, seed=0, **changes) -> Agent:
    """RT2-PPO on the observation itself, with a small memory and Adam."""

    def build(input_size: int):
        return make_memory(memory, input_size, **(memory_options or {"hidden_size": 6}))

    preset = PPO | {"refresh": "epoch", "encoder_sizes": ()}
    changes = {"optimizer": ADAM} | changes
    return make_agent("ppo_online", given, seed, preset=preset, memory=build, **changes)


AC = {
    "encoder": "auto",
    "encoder_sizes": (),
    "head_sizes": (16,),
    "sparsity": 0.5,
    "gamma": 0.9,
    "trace_lambda": 0.8,
    "entropy_coefficient": 0.01,
    "normalize_rewards": True,
    "lr": 1.0,
    "policy_kappa": 3.0,
    "value_kappa": 2.0,
    "initial_std": 0.6,
}


def make_ac(given: Spaces, memory="rtu", memory_options=None, seed=0, **changes) -> Agent:
    """The online actor-critic with a small memory."""

    def build(input_size: int):
        return make_memory(memory, input_size, **(memory_options or {"hidden_size": 6}))

    changes = {"optimizer": {"name": "sgd", "momentum": 0.0}} | changes
    return make_agent("actor_critic_online", given, seed, preset=AC, memory=build, **changes)


def small_ppo(discrete: bool, memory: str = "gru", B: int = 6, **changes) -> tuple[Agent, Spaces]:
    """PPO with a small memory, and the spaces of B copies it was made for."""
    given = spaces(discrete, num_envs=B)
    return make_ppo(given, memory, SMALL[memory], **changes), given


def windows(given: Spaces, B: int = 16, seed: int = 0, ended: float = 0.3) -> Windows:
    """Random transitions, a share of them terminal, in the default dtype."""
    g = generator(seed)
    if given.discrete:
        action = torch.randint(given.action_size, (1, B), generator=g)
    else:
        action = torch.rand(1, B, given.action_size, generator=g) * 2 - 1
    return Windows(
        obs_TBO=torch.randn(2, B, *given.obs_shape, generator=g),
        action_TBA=action,
        reward_TB=torch.randn(1, B, generator=g),
        terminated_TB=(torch.rand(1, B, generator=g) < ended).to(torch.get_default_dtype()),
        state=(),
    )


@torch.no_grad()
def constant(network: MLP, *outputs: float) -> None:
    """Makes a network answer the same whatever it is asked (before any tanh)."""
    network.weights.zero_()
    network.layers()[-1].copy_(torch.tensor(outputs))


def parameters(agent: Agent) -> torch.Tensor:
    return torch.cat([v.detach().reshape(-1) for v in agent.state_dict().values()])
