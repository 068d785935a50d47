"""Deep Deterministic Policy Gradient (Lillicrap et al., 2016), as in Tallec 2019, Algorithm 6.

    y    = r dt + (1 - d) gamma^dt Q'(s', pi'(s'))
    psi <- psi - lr_Q (Q(s, a) - y) dQ/dpsi
    phi <- phi + lr_pi dQ(s, pi(s))/dphi
    psi' <- tau psi' + (1 - tau) psi,   phi' <- tau phi' + (1 - tau) phi

The baseline of DAU: same networks, noise, replay and schedule. `scaling=continuous_time` scales
rewards and step sizes with dt, `stock` freezes both at `reference_dt` (the thesis' "unscaled").

Differs from the paper: Algorithm 6 prints Q'(s, .) where the target needs s'. RMSprop starts warm
and the policy's last weights start small. Time limits bootstrap. Q' is kept within its possible
range where the environment declares reward bounds.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from agents.base import Agent, Parts, bootstrap_bounds, bounded
from rlkit.networks.mlp import MLP
from rlkit.noise import OrnsteinUhlenbeck
from rlkit.optim.dt_scaling import TimeScaling
from rlkit.optim.flat import FlatParameters, blend, descend
from rlkit.optim.make import make_optimizer
from rlkit.options import option
from rlkit.schedule import BlockSchedule
from rlkit.types import Metrics, State, Windows


@dataclass(frozen=True)
class DDPGOptions:
    hidden_sizes: tuple[int, ...] = option("units of each hidden layer", low=1)
    batch_size: int = option("windows per update", low=1)
    gamma: float = option("discount per second", above=0, high=0.999999)
    lr_q: float = option("rate of Q", unit="1/s", above=0, search=(0.03, 0.3))
    lr_policy: float = option(
        "rate of the policy (continuous actions)", unit="1/s", above=0, search=(0.01, 0.05)
    )
    moment_horizon_seconds: float = option("averaging time of the second moment", unit="s", above=0)
    scaling: Literal["continuous_time", "stock"] = option("laws of rewards and step sizes in dt")
    reference_dt: float = option("dt0 that the stock law is frozen at", unit="s", above=0)
    tau: float = option("share of the target network kept per update; 0: none", low=0, high=1)
    clamp_bootstrap: bool = option("keep bootstrapped values within the declared reward bounds")
    noise_kappa: float = option("stiffness of the exploration noise", unit="1/s", above=0)
    noise_sigma: float = option("scale of the exploration noise", unit="1/sqrt(s)", low=0)
    schedule: Literal["physical", "steps"] = option("count blocks in seconds or in vector steps")
    block_seconds: float = option("physical: acting between learning phases", unit="s", above=0)
    updates_per_second: float = option("physical: updates per second", unit="1/s", above=0)
    block_steps: int = option("steps: acting between learning phases", unit="vector steps", low=1)
    updates_per_block: int = option("steps: updates after each block", low=1)
    store_every_seconds: float = option("spacing of stored steps; 0: all", unit="s", low=0)
    replay_capacity: int = option("transitions kept over all environments", low=1)


class DDPG(Agent):
    actions = "continuous"

    def __init__(self, options: DDPGOptions, parts: Parts):
        super().__init__(parts)
        spaces, H, o = parts.spaces, self.memory.output_size, options
        self.options, self.batch_size = o, o.batch_size
        self.discount = o.gamma**spaces.dt
        self.schedule = BlockSchedule.of(o, spaces.dt)
        updates_per_second = self.schedule.updates_per_step / spaces.dt
        law = TimeScaling(o.scaling, spaces.dt, o.reference_dt, updates_per_second)
        self.dt = law.step_seconds
        self.bounds = bootstrap_bounds(o.clamp_bootstrap, spaces, self.dt, self.discount)

        A = spaces.action_size
        self.q = MLP(H + A, o.hidden_sizes, 1)
        self.policy = MLP(H, o.hidden_sizes, A, tanh=True, output_scale=0.1)
        self.target_q = copy.deepcopy(self.q) if o.tau > 0 else None
        self.target_policy = copy.deepcopy(self.policy) if o.tau > 0 else None

        horizon = law.horizon_updates(o.moment_horizon_seconds)
        self.optimizers = {
            name: FlatParameters(
                getattr(self, name),
                make_optimizer(parts.optimizer, law.step_size(rate), horizon),
            )
            for name, rate in {"q": o.lr_q, "policy": o.lr_policy}.items()
        }
        shape = (spaces.num_envs, A)
        self.noise = OrnsteinUhlenbeck(shape, spaces.dt, o.noise_kappa, o.noise_sigma, parts.noise)

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        h_BH, state = self.features_step(obs_BO, state, start_B)
        action_BA = self.policy(h_BH)
        if explore:
            action_BA = action_BA + self.noise.sample()
        return action_BA.clamp(-1, 1), state

    def update(self, batch: Windows) -> Metrics:
        h_TBH = self.features(batch)
        s, s_next = h_TBH[:-1], h_TBH[1:]
        with torch.no_grad():
            a_next = (self.target_policy or self.policy)(s_next)
            next_q = (self.target_q or self.q)(torch.cat((s_next, a_next), -1)).squeeze(-1)
            y = batch.reward_TB * self.dt
            y += (1 - batch.terminated_TB) * self.discount * bounded(next_q, self.bounds)
        q = self.q(torch.cat((s, batch.action_TBA), -1)).squeeze(-1)
        best = self.q(torch.cat((s, self.policy(s)), -1), frozen=True).squeeze(-1)
        residual = q.detach() - y

        uphill = torch.full_like(best, -1 / best.numel())
        o = self.optimizers
        descend([(o["q"], q, residual / residual.numel()), (o["policy"], best, uphill)])
        for target, network in ((self.target_q, self.q), (self.target_policy, self.policy)):
            if target is not None:
                blend(target, network, self.options.tau)
        return {
            "train/residual_per_second": residual.abs() / self.dt,
            "train/value": q.detach(),
        }

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        h_BH, _ = self.features_step(obs_BO, self.initial_state(B), fresh)
        action_BA = self.policy(h_BH)
        return self.q(torch.cat((h_BH, action_BA), -1)).squeeze(-1), action_BA[:, 0]
