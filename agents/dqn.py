"""Deep Q-Network (Mnih et al., 2015), as in Tallec 2019, Algorithm 7.

    y    = r dt + (1 - d) gamma^dt max_a Q'(s', a)
    psi <- psi - lr_Q (Q(s, a) - y) dQ/dpsi
    psi' <- tau psi' + (1 - tau) psi

The discrete baseline of DAU: same networks, replay and schedule; exploration adds the same
Ornstein-Uhlenbeck process to Q(s, .) before the argmax. As gaps between actions are O(dt), at
small dt the noise decides alone. `scaling=stock` freezes rewards and step sizes at `reference_dt`.

Differs from the paper: Algorithm 7 prints Q'(s, .) where the target needs s'. RMSprop starts warm.
Time limits bootstrap. Q' is kept within its possible range where the environment declares reward
bounds.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from agents.base import Agent, Parts, action_level, bootstrap_bounds, bounded
from rlkit.networks.mlp import MLP
from rlkit.noise import OrnsteinUhlenbeck
from rlkit.optim.dt_scaling import TimeScaling
from rlkit.optim.flat import FlatParameters, blend, descend
from rlkit.optim.make import make_optimizer
from rlkit.options import option
from rlkit.schedule import BlockSchedule
from rlkit.types import Metrics, State, Windows


@dataclass(frozen=True)
class DQNOptions:
    hidden_sizes: tuple[int, ...] = option("units of each hidden layer", low=1)
    batch_size: int = option("windows per update", low=1)
    gamma: float = option("discount per second", above=0, high=0.999999)
    lr_q: float = option("rate of Q", unit="1/s", above=0, search=(0.03, 0.3))
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


class DQN(Agent):
    actions = "discrete"

    def __init__(self, options: DQNOptions, parts: Parts):
        super().__init__(parts)
        spaces, H, o = parts.spaces, self.memory.output_size, options
        self.options, self.batch_size = o, o.batch_size
        self.num_actions = spaces.action_size
        self.discount = o.gamma**spaces.dt
        self.schedule = BlockSchedule.of(o, spaces.dt)
        updates_per_second = self.schedule.updates_per_step / spaces.dt
        law = TimeScaling(o.scaling, spaces.dt, o.reference_dt, updates_per_second)
        self.dt = law.step_seconds
        self.bounds = bootstrap_bounds(o.clamp_bootstrap, spaces, self.dt, self.discount)

        self.q = MLP(H, o.hidden_sizes, self.num_actions)
        self.target_q = copy.deepcopy(self.q) if o.tau > 0 else None

        horizon = law.horizon_updates(o.moment_horizon_seconds)
        rule = make_optimizer(parts.optimizer, law.step_size(o.lr_q), horizon)
        self.optimizers = {"q": FlatParameters(self.q, rule)}
        shape = (spaces.num_envs, self.num_actions)
        self.noise = OrnsteinUhlenbeck(shape, spaces.dt, o.noise_kappa, o.noise_sigma, parts.noise)

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        h_BH, state = self.features_step(obs_BO, state, start_B)
        q_BA = self.q(h_BH)
        if explore:
            q_BA = q_BA + self.noise.sample()
        return q_BA.argmax(-1), state

    def update(self, batch: Windows) -> Metrics:
        h_TBH = self.features(batch)
        s, s_next = h_TBH[:-1], h_TBH[1:]
        with torch.no_grad():
            next_q = (self.target_q or self.q)(s_next).max(-1).values
            next_q = bounded(next_q, self.bounds)
            y = batch.reward_TB * self.dt
            y += (1 - batch.terminated_TB) * self.discount * next_q
        q = self.q(s).gather(-1, batch.action_TBA.unsqueeze(-1)).squeeze(-1)
        residual = q.detach() - y

        descend([(self.optimizers["q"], q, residual / residual.numel())])
        if self.target_q is not None:
            blend(self.target_q, self.q, self.options.tau)
        return {
            "train/residual_per_second": residual.abs() / self.dt,
            "train/value": q.detach(),
        }

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        h_BH, _ = self.features_step(obs_BO, self.initial_state(B), fresh)
        q_BA = self.q(h_BH)
        return q_BA.max(-1).values, action_level(q_BA.argmax(-1), self.num_actions)
