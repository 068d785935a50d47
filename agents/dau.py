"""Deep Advantage Updating (Tallec, Blier & Ollivier, 2019): Q-learning that survives dt -> 0.

    A(s, a) = Abar(s, a) - Abar(s, pi(s))                                                  (8.27)
    dQ      = V(s) + dt A(s, a) - (r dt + (1 - d) gamma^dt V(s'))                          (8.33)
    theta <- theta - lr_V dQ/dt dV/dtheta                                                  (8.34)
    psi   <- psi   - lr_A dQ/dt dA/dpsi                                                    (8.35)
    phi   <- phi   + lr_pi dAbar(s, pi(s))/dphi        continuous actions; else pi = argmax Abar

Over a span of n steps (`td_span_seconds`) the residual is the discounted sum of n of these,

    dQ      = V(s_0) + sum_k gamma^(k dt) dt A(s_k, a_k)
              - (sum_k gamma^(k dt) r_k dt + (1 - d) gamma^(n dt) V(s_n)),

which vanishes for the optimal V and A whatever was done, and the steps are

    theta <- theta - lr_V dQ/(n dt) dV(s_0)/dtheta
    psi   <- psi   - lr_A dQ/(n dt) 1/n sum_k gamma^(k dt) dA(s_k, a_k)/dpsi:

the gradient of dQ^2/2 over n dt, and over (n dt)^2 for A, as 8.34 and 8.35 have it at n = 1. dQ is
O(n dt) like its number of terms, so both have a limit as dt -> 0, at a fixed n or a fixed n dt.
Near an end the sum is shorter but the divisor the same, so that the n residuals that see a terminal
state weigh as much as the one of a single step does.

With a memory, s is what it makes of the past. The critics' gradients reach it (and the encoder);
the policy sees it detached, or has one of its own.

Step sizes are O(dt) (`rlkit.optim.dt_scaling`), exploration is an Ornstein-Uhlenbeck process:
added to the action (continuous) or to Abar(s, .) before the argmax (discrete).
r is reward per second, gamma the discount per second, dt in seconds.

Differs from the paper: Algorithms 4 and 5 print V(s) where the target needs V(s'). RMSprop
starts warm and the policy's last weights start small. Time limits bootstrap. V(s') is kept within
its possible range, [r_min, r_max] dt/(1 - gamma^dt) and 0, where reward bounds are declared. The
`fast` values count updates and storage in physical time; `preset=paper` is the thesis' schedule.
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
class DAUOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation; learns with the critic"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    shared_memory: bool = option("one memory for critics and policy, or one each")
    hidden_sizes: tuple[int, ...] = option("units of each hidden layer", low=1)
    batch_size: int = option("sequences per update; interleaved carries count each", low=1)
    gamma: float = option("discount per second", above=0, high=0.999999)
    lr_value: float = option("rate of V", unit="1/s", above=0, search=(0.03, 0.3))
    lr_advantage: float = option("rate of Abar", unit="1/s", above=0, search=(0.03, 0.3))
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


class DAU(Agent):
    actions = "any"

    def __init__(self, options: DAUOptions, parts: Parts):
        super().__init__(parts, options.encoder, options.encoder_sizes)
        spaces, H, o = parts.spaces, self.memory.output_size, options
        self.options = o
        self.lengths = WindowLengths.of(o, spaces.dt, bool(self.memory.initial_state(1)))
        self.batch_size = max(1, round(o.batch_size / self.lengths.carries))
        self.discrete, self.num_actions = spaces.discrete, spaces.action_size
        self.discount = o.gamma**spaces.dt
        self.schedule = BlockSchedule.of(o, spaces.dt)
        updates_per_second = self.schedule.updates_per_step / spaces.dt
        law = TimeScaling(o.scaling, spaces.dt, o.reference_dt, updates_per_second)
        self.dt = law.step_seconds
        self.bounds = bootstrap_bounds(o.clamp_bootstrap, spaces, self.dt, self.discount)

        A = spaces.action_size
        if not (o.shared_memory or self.discrete):
            self.policy_memory = parts.make_memory(self.encoder.output_size)
        self.value = MLP(H, o.hidden_sizes, 1)
        if self.discrete:
            self.advantage = MLP(H, o.hidden_sizes, A)
        else:
            self.advantage = MLP(H + A, o.hidden_sizes, 1)
            self.policy = MLP(H, o.hidden_sizes, A, tanh=True, output_scale=0.1)
        self.target_value = copy.deepcopy(self.value) if o.tau > 0 else None

        horizon = law.horizon_updates(o.moment_horizon_seconds)
        rates = {"value": o.lr_value, "advantage": o.lr_advantage}
        if not self.discrete:
            rates["policy"] = o.lr_policy
        self.optimizers = self.memory_optimizers(parts, law, o.lr_memory, horizon) | {
            name: FlatParameters(
                getattr(self, name),
                make_optimizer(parts.optimizer, law.step_size(rate), horizon),
            )
            for name, rate in rates.items()
        }
        shape = (spaces.num_envs, A)
        self.noise = OrnsteinUhlenbeck(shape, spaces.dt, o.noise_kappa, o.noise_sigma, parts.noise)
        self.eval()  # noise of the memory's own is off

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        s_BH, s_policy_BH, state = self.features_step(obs_BO, state, start_B)
        scores_BA = self.advantage(s_BH) if self.discrete else self.policy(s_policy_BH)
        if explore:
            scores_BA = scores_BA + self.noise.sample()
        return (scores_BA.argmax(-1) if self.discrete else scores_BA.clamp(-1, 1)), state

    def update(self, batch: Windows) -> Metrics:
        seen = self.look(batch)
        s, batch, dt = seen.s, seen.batch, seen.dt
        with torch.no_grad():
            next_value = (self.target_value or self.value)(seen.s_next).squeeze(-1)
            next_value = bounded(next_value, self.bounds)
            target = seen.over_span(batch.reward_TB * dt, next_value)
        value = self.value(seen.first(s)).squeeze(-1)
        if self.discrete:
            abar = self.advantage(s)
            taken = abar.gather(-1, batch.action_TBA.unsqueeze(-1)).squeeze(-1)
            advantage = taken - abar.max(-1).values
        else:
            greedy = self.policy(seen.s_policy)
            pair = torch.stack((batch.action_TBA, greedy.detach()))
            abar = self.advantage(torch.cat((s.expand(2, *s.shape), pair), -1)).squeeze(-1)
            advantage = abar[0] - abar[1]
        gained, n = seen.over_span(advantage), seen.lengths.span
        dq_dt = seen.valid((value + dt * gained - target).detach()) / (n * dt)
        mean_dq_dt = seen.mean_weight(dq_dt)

        o = self.optimizers
        terms = [(o["value"], value, mean_dq_dt), (o["advantage"], gained, mean_dq_dt / n)]
        if not self.discrete:
            here = torch.cat((s.detach(), greedy), -1)
            best = self.advantage(here, frozen=True).squeeze(-1)
            uphill = seen.valid(torch.full_like(best, -1 / best.numel()))
            terms.append((o["policy"], best, uphill))
        descend(terms, seen.shared, seen.costs)
        if self.target_value is not None:
            blend(self.target_value, self.value, self.options.tau)
        return {
            "train/residual_per_second": dq_dt.abs(),
            "train/value": value.detach(),
            "train/advantage": advantage.detach(),
        }

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        s_BH, s_policy_BH, _ = self.features_step(obs_BO, self.initial_state(B), fresh)
        if self.discrete:
            action_B = action_level(self.advantage(s_BH).argmax(-1), self.num_actions)
        else:
            action_B = self.policy(s_policy_BH)[:, 0]
        return self.value(s_BH).squeeze(-1), action_B
