"""Agents built from their options dataclass, without any YAML."""

import dataclasses
import importlib

import torch

from agents.base import Agent, Parts
from rlkit.memory.none import NoMemory
from rlkit.networks.mlp import MLP
from rlkit.seeding import generator
from rlkit.types import Spaces, Windows

FAST = {
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


def spaces(discrete: bool = False, **changes) -> Spaces:
    """Three observations; two action components, or four actions."""
    return Spaces((3,), 4 if discrete else 2, discrete, 0.05, 5)._replace(**changes)


def make_agent(
    name: str, given: Spaces, seed: int = 0, normalize: bool = False, preset=FAST, **changes
) -> Agent:
    module = importlib.import_module(f"agents.{name}")
    declaration = getattr(module, f"{name.upper()}Options")
    fields = [f.name for f in dataclasses.fields(declaration)]
    options = declaration(**{f: {**preset, **changes}[f] for f in fields})
    rmsprop = {"name": "rmsprop", "eps": 1e-8}
    torch.manual_seed(seed)
    parts = Parts(given, NoMemory, rmsprop, normalize, generator(seed + 100))
    return getattr(module, name.upper())(options, parts)


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
