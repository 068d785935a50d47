"""Deep Q-Network (Mnih et al., 2015), as in Tallec 2019, Algorithm 7.

    y    = r dt + (1 - d) gamma^dt max_a Q'(s', a)
    psi <- psi - lr_Q (Q(s, a) - y) dQ/dpsi
    psi' <- tau psi' + (1 - tau) psi

Over a span of n steps (`td_span_seconds`)
y = sum_k gamma^(k dt) r_k dt + (1 - d) gamma^(n dt) max_a Q'(s_n, a), as if what was done after the
first step had been greedy. With a memory, s is what it makes of the past, and Q's gradient reaches
it (and the encoder). The target looks at the same memory.

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
from rlkit.schedule import BlockSchedule, WindowLengths
from rlkit.types import Metrics, State, Windows


@dataclass(frozen=True)
class DQNOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation; learns with the critic"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    hidden_sizes: tuple[int, ...] = option("units of each hidden layer", low=1)
    batch_size: int = option("sequences per update; interleaved carries count each", low=1)
    gamma: float = option("discount per second", above=0, high=0.999999)
    lr_q: float = option("rate of Q", unit="1/s", above=0, search=(0.03, 0.3))
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


class DQN(Agent):
    actions = "discrete"

    def __init__(self, options: DQNOptions, parts: Parts):
        super().__init__(parts, options.encoder, options.encoder_sizes)
        spaces, H, o = parts.spaces, self.memory.output_size, options
        self.options = o
        self.lengths = WindowLengths.of(o, spaces.dt, bool(self.memory.initial_state(1)))
        self.batch_size = max(1, round(o.batch_size / self.lengths.carries))
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
        self.optimizers = self.memory_optimizers(parts, law, o.lr_memory, horizon)
        self.optimizers["q"] = FlatParameters(self.q, rule)
        shape = (spaces.num_envs, self.num_actions)
        self.noise = OrnsteinUhlenbeck(shape, spaces.dt, o.noise_kappa, o.noise_sigma, parts.noise)
        self.eval()  # noise of the memory's own is off

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        s_BH, _, state = self.features_step(obs_BO, state, start_B)
        q_BA = self.q(s_BH)
        if explore:
            q_BA = q_BA + self.noise.sample()
        return q_BA.argmax(-1), state

    def update(self, batch: Windows) -> Metrics:
        seen = self.look(batch)
        s, batch = seen.first(seen.s), seen.batch
        with torch.no_grad():
            next_q = (self.target_q or self.q)(seen.s_next).max(-1).values
            y = seen.over_span(batch.reward_TB * seen.dt, bounded(next_q, self.bounds))
        taken = seen.first(batch.action_TBA).unsqueeze(-1)
        q = self.q(s).gather(-1, taken).squeeze(-1)
        residual = seen.valid(q.detach() - y)

        term = self.optimizers["q"], q, seen.mean_weight(residual)
        descend([term], seen.shared, seen.costs)
        if self.target_q is not None:
            blend(self.target_q, self.q, self.options.tau)
        return {
            "train/residual_per_second": residual.abs() / (seen.lengths.span * seen.dt),
            "train/value": q.detach(),
        }

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        s_BH, _, _ = self.features_step(obs_BO, self.initial_state(B), fresh)
        q_BA = self.q(s_BH)
        return q_BA.max(-1).values, action_level(q_BA.argmax(-1), self.num_actions)
