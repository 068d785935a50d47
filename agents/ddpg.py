"""Deep Deterministic Policy Gradient (Lillicrap et al., 2016), as in Tallec 2019, Algorithm 6.

    y    = r dt + (1 - d) gamma^dt Q'(s', pi'(s'))
    psi <- psi - lr_Q (Q(s, a) - y) dQ/dpsi
    phi <- phi + lr_pi dQ(s, pi(s))/dphi
    psi' <- tau psi' + (1 - tau) psi,   phi' <- tau phi' + (1 - tau) phi

Over a span of n steps (`td_span_seconds`)
y = sum_k gamma^(k dt) r_k dt + (1 - d) gamma^(n dt) Q'(s_n, pi'(s_n)), as if what was done after
the first step had been greedy. With a memory, s is what it makes of the past. Q's gradient reaches
it (and the encoder); the policy sees it detached, or has one of its own. The targets look at the
same memory.

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
from rlkit.schedule import BlockSchedule, WindowLengths
from rlkit.types import Metrics, State, Windows


@dataclass(frozen=True)
class DDPGOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation; learns with the critic"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    shared_memory: bool = option("one memory for critics and policy, or one each")
    hidden_sizes: tuple[int, ...] = option("units of each hidden layer", low=1)
    batch_size: int = option("sequences per update; interleaved carries count each", low=1)
    gamma: float = option("discount per second", above=0, high=0.999999)
    lr_q: float = option("rate of Q", unit="1/s", above=0, search=(0.03, 0.3))
    lr_policy: float = option(
        "rate of the policy (continuous actions)", unit="1/s", above=0, search=(0.01, 0.05)
    )
    lr_memory: float = option("rate of memory and encoder", unit="1/s", above=0, search=(0.03, 0.3))
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
    store_every_seconds: float = option(
        "spacing of stored single steps, 0: all; windows have no gaps", unit="s", low=0
    )
    window_seconds: float | None = option(
        "length of a memory's learnt sequences; null: 16 ticks", unit="s", above=0
    )
    burn_in_seconds: float = option("before them, to refresh the memory's state", unit="s", low=0)
    carry_seconds: float = option(
        "tick of the memory, by interleaved carries; 0: every step", unit="s", low=0
    )
    td_span_seconds: float = option("what one residual spans; 0: one step", unit="s", low=0)
    priority_exponent: float = option("of |residual| in drawing windows; 0: uniform", low=0, high=1)
    importance_exponent: float = option("how far their weights undo that", low=0, high=1)
    replay_capacity: int = option(
        "steps kept over all environments; with windows also final observations", low=1
    )


class DDPG(Agent):
    actions = "continuous"

    def __init__(self, options: DDPGOptions, parts: Parts):
        super().__init__(parts, options.encoder, options.encoder_sizes)
        spaces, H, o = parts.spaces, self.memory.output_size, options
        self.options = o
        self.lengths = WindowLengths.of(o, spaces.dt, bool(self.memory.initial_state(1)))
        self.batch_size = max(1, round(o.batch_size / self.lengths.carries))
        self.discount = o.gamma**spaces.dt
        self.schedule = BlockSchedule.of(o, spaces.dt)
        updates_per_second = self.schedule.updates_per_step / spaces.dt
        law = TimeScaling(o.scaling, spaces.dt, o.reference_dt, updates_per_second)
        self.dt = law.step_seconds
        self.bounds = bootstrap_bounds(o.clamp_bootstrap, spaces, self.dt, self.discount)

        A = spaces.action_size
        if not o.shared_memory:
            self.policy_memory = parts.make_memory(self.encoder.output_size)
        self.q = MLP(H + A, o.hidden_sizes, 1)
        self.policy = MLP(H, o.hidden_sizes, A, tanh=True, output_scale=0.1)
        self.target_q = copy.deepcopy(self.q) if o.tau > 0 else None
        self.target_policy = copy.deepcopy(self.policy) if o.tau > 0 else None

        horizon = law.horizon_updates(o.moment_horizon_seconds)
        self.optimizers = self.memory_optimizers(parts, law, o.lr_memory, horizon) | {
            name: FlatParameters(
                getattr(self, name),
                make_optimizer(parts.optimizer, law.step_size(rate), horizon),
            )
            for name, rate in {"q": o.lr_q, "policy": o.lr_policy}.items()
        }
        shape = (spaces.num_envs, A)
        self.noise = OrnsteinUhlenbeck(shape, spaces.dt, o.noise_kappa, o.noise_sigma, parts.noise)
        self.eval()  # noise of the memory's own is off

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        _, s_policy_BH, state = self.features_step(obs_BO, state, start_B)
        action_BA = self.policy(s_policy_BH)
        if explore:
            action_BA = action_BA + self.noise.sample()
        return action_BA.clamp(-1, 1), state

    def update(self, batch: Windows) -> Metrics:
        seen = self.look(batch)
        s, batch = seen.s, seen.batch
        with torch.no_grad():
            s_next, a_next = seen.s_next, (self.target_policy or self.policy)(seen.policy_next)
            next_q = (self.target_q or self.q)(torch.cat((s_next, a_next), -1)).squeeze(-1)
            y = seen.over_span(batch.reward_TB * seen.dt, bounded(next_q, self.bounds))
        q = self.q(seen.first(torch.cat((s, batch.action_TBA), -1))).squeeze(-1)
        here = torch.cat((s.detach(), self.policy(seen.s_policy)), -1)
        best = self.q(here, frozen=True).squeeze(-1)
        residual = seen.valid(q.detach() - y)

        uphill = seen.valid(torch.full_like(best, -1 / best.numel()))
        o = self.optimizers
        terms = [(o["q"], q, seen.mean_weight(residual)), (o["policy"], best, uphill)]
        descend(terms, seen.shared, seen.costs)
        for target, network in ((self.target_q, self.q), (self.target_policy, self.policy)):
            if target is not None:
                blend(target, network, self.options.tau)
        return {
            "train/residual_per_second": residual.abs() / (seen.lengths.span * seen.dt),
            "train/value": q.detach(),
        }

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        s_BH, s_policy_BH, _ = self.features_step(obs_BO, self.initial_state(B), fresh)
        action_BA = self.policy(s_policy_BH)
        return self.q(torch.cat((s_BH, action_BA), -1)).squeeze(-1), action_BA[:, 0]
