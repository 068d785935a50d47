"""Streaming actor-critic with exact real-time gradients: every step teaches once and is forgotten.

Stream AC(λ) (Elsayed, Vasan & Mahmood, 2024), its policy and its critic each on a memory of their
own whose traces E = ∂h/∂θ are carried forward (RT2; Elelimy, 2023):

    at every step of every environment
        h', E' = step(o, h, E);   a ~ π(h');   r, o' from the environment
        δ = r / σ + γ V(o') - V(o),     V(o') = 0 where the task ended, not where time was up
        z_V ← γλ z_V + ∇ V(o),          z_π ← γλ z_π + ∇ (log π(a) + τ sign(δ) H(π))
        θ ← θ + α' δ z,                 α' ≤ α so that it does not overshoot (ObGD)
        z ← 0 where an episode ended

ObGD is `rlkit/optim/eligibility.py`. ∇ goes through E and so reaches the whole past; z is credit
for what was done, E for what was remembered. σ² is the running variance of Σ γ^k r_{t-k}. γ and λ
are given per stock step of the environment and raised to dt / stock_dt; rewards are
r dt / stock_dt.

h, E and z of each environment are made by all parameters since the episode began, and stay so.
An encoder with weights learns with the critic, from the present step alone.

Differs from the paper: memories; several environments, whose steps are averaged.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from agents.base import Agent, Parts, action_level
from rlkit.distributions import Categorical, Gaussian
from rlkit.memory.base import Memory, select
from rlkit.memory.traced import Traced
from rlkit.networks.layers import sparse_head
from rlkit.noise import UniformDraws
from rlkit.normalization import RunningNormalizer
from rlkit.optim.eligibility import Eligibility
from rlkit.optim.make import make_optimizer
from rlkit.options import option
from rlkit.schedule import BlockSchedule
from rlkit.types import Metrics, State, Transition, Tree

HORIZON_UPDATES = 1000
"""Averaging time of the second moment with `optimizer=rmsprop`."""


@dataclass(frozen=True)
class ActorCriticOnlineOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    head_sizes: tuple[int, ...] = option("normalised layers of policy and value after it", low=1)
    sparsity: float = option("share of the heads' weights that start as zero", low=0, high=0.99)
    gamma: float = option("discount per stock step", above=0, high=1)
    trace_lambda: float = option("λ of the eligibility traces, per stock step", low=0, high=1)
    entropy_coefficient: float = option("τ", low=0)
    normalize_rewards: bool = option("in units of the spread of their discounted sum")
    lr: float = option("longest step", above=0, search=(0.1, 1))
    policy_kappa: float = option("κ of the policy; larger: shorter steps; 0: unbounded", low=0)
    value_kappa: float = option("κ of the critic", low=0)
    initial_std: float = option("of continuous actions", above=0)


class Critic(nn.Module):
    """Observation and memory state → V."""

    def __init__(self, encoder: nn.Module, memory: Memory, head: nn.Module):
        super().__init__()
        self.encoder, self.memory, self.head = encoder, memory, head

    def forward(self, obs_BO: Tensor, *state: Tensor) -> Tensor:
        v_B1: Tensor = self.head(self.memory.step(self.encoder(obs_BO), state).y)
        return v_B1.squeeze(-1)


class Policy(nn.Module):
    """Features, action and memory state → log π(a) and the entropy of π."""

    def __init__(self, memory: Memory, head: nn.Module, distribution: Categorical | Gaussian):
        super().__init__()
        self.memory, self.head, self.distribution = memory, head, distribution

    def forward(self, x_BI: Tensor, action_BA: Tensor, *state: Tensor) -> tuple[Tensor, Tensor]:
        p_BP = self.head(self.memory.step(x_BI, state).y)
        return self.distribution.log_prob_and_entropy(p_BP, action_BA)


class ActorCriticOnline(Agent):
    actions = "any"
    loop = "online"
    gradient = "rt2"

    def __init__(self, options: ActorCriticOnlineOptions, parts: Parts):
        make = parts.make_memory
        parts = parts._replace(make_memory=lambda size: Traced(make(size)))
        super().__init__(parts, options.encoder, options.encoder_sizes)
        o, spaces = options, parts.spaces
        self.options, self.noise = o, UniformDraws(parts.noise)
        stock_steps = spaces.dt / (spaces.stock_dt or spaces.dt)
        self.reward_scale = stock_steps
        self.discount = o.gamma**stock_steps
        self.decay = (o.gamma * o.trace_lambda) ** stock_steps
        self.schedule = BlockSchedule.online()

        self.policy_memory = parts.make_memory(self.encoder.output_size)
        n, H = spaces.action_size, self.memory.output_size
        self.discrete, self.num_actions = spaces.discrete, n
        self.distribution: Categorical | Gaussian
        self.distribution = Categorical(n) if spaces.discrete else Gaussian(n, o.initial_std)
        P = self.distribution.parameter_size
        self.policy = sparse_head(H, o.head_sizes, P, o.sparsity)
        self.critic = sparse_head(H, o.head_sizes, 1, o.sparsity)
        self.returns = RunningNormalizer(())
        self.return_B = torch.zeros(spaces.num_envs)

        factory = make_optimizer(parts.optimizer, o.lr, HORIZON_UPDATES)
        B = spaces.num_envs
        critic = Critic(self.encoder, self.memory, self.critic)
        policy = Policy(self.policy_memory, self.policy, self.distribution)
        self.value_rows = Eligibility(critic, factory, B, o.value_kappa)
        self.policy_rows = Eligibility(policy, factory, B, o.policy_kappa)
        self.optimizers = {"value": self.value_rows, "policy": self.policy_rows}
        self.eval()

    # ---- acting -----------------------------------------------------------------------------

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        _, y_BH, state = self.features_step(obs_BO, state, start_B)
        p_BP = self.policy(y_BH)
        if not explore:
            return self.distribution.mode(p_BP), state
        return self.distribution.sample(p_BP, self.noise.uniform(tuple(p_BP.shape))), state

    # ---- learning ---------------------------------------------------------------------------

    def learn(self, step: Transition) -> Metrics:
        """The box above, once, for the step just made."""
        o = self.options
        with torch.no_grad():
            x_BI, x_next_BI = self.encoder(step.obs_BO), self.encoder(step.next_obs_BO)
            after, _ = self.apart(step.next_state)
            v_next_B = self.critic(self.memory.step(x_next_BI, after).y).squeeze(-1)
            pairs = zip(self.memories, self.apart(step.state), strict=True)
            states = [select(step.start_B, m.fresh_state(x_BI), own) for m, own in pairs]
        v_B = self.value_rows.outputs(step.obs_BO, *states[0])
        log_prob_B, entropy_B = self.policy_rows.outputs(x_BI, step.action_BA, *states[1])

        reward_B = self.scaled(step.reward_B * self.reward_scale)
        future_B = self.discount * (1 - step.terminated_B) * v_next_B
        delta_B = reward_B + future_B - v_B.detach()
        self.value_rows.accumulate(v_B, self.decay)
        bonus_B = o.entropy_coefficient * delta_B.sign() * entropy_B
        self.policy_rows.accumulate(log_prob_B + bonus_B, self.decay)
        value_share_B = self.value_rows.ascend(delta_B)
        policy_share_B = self.policy_rows.ascend(delta_B)

        ended_B = step.truncated_B | (step.terminated_B > 0)
        self.value_rows.forget(ended_B)
        self.policy_rows.forget(ended_B)
        self.return_B = self.return_B.masked_fill(ended_B, 0)
        self.encoder.observe(step.obs_BO)
        return {
            "train/error": delta_B.abs(),
            "train/value": v_B.detach() * self.spread,
            "train/entropy": entropy_B.detach(),
            "train/value_step_share": value_share_B,
            "train/policy_step_share": policy_share_B,
        }

    def scaled(self, reward_B: Tensor) -> Tensor:
        """Rewards in units of the spread of their discounted sum, which takes them in."""
        if not self.options.normalize_rewards:
            return reward_B
        self.return_B = reward_B + self.discount * self.return_B
        self.returns.observe(self.return_B)
        return reward_B / self.spread

    @property
    def spread(self) -> Tensor:
        """σ; 1 before any reward and where rewards are left as they are."""
        known = self.options.normalize_rewards and self.returns.count > 0
        return self.returns.variance.sqrt().float() if known else torch.ones(())

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        start_B = torch.ones(B, dtype=torch.bool)
        v_BH, y_BH, _ = self.features_step(obs_BO, self.initial_state(B), start_B)
        action = self.distribution.mode(self.policy(y_BH))
        action = action_level(action, self.num_actions) if self.discrete else action[..., 0]
        return self.critic(v_BH).squeeze(-1) * self.spread, action

    def take_over(self, other: Agent, dt_ratio: float) -> None:
        """As every agent does; new episodes begin, so nothing done before gets credit any more."""
        super().take_over(other, dt_ratio)
        everywhere = torch.ones_like(self.return_B, dtype=torch.bool)
        self.value_rows.forget(everywhere)
        self.policy_rows.forget(everywhere)
        self.return_B = torch.zeros_like(self.return_B)

    def get_training_state(self) -> Tree:
        return super().get_training_state() | {"return": self.return_B}

    def set_training_state(self, state: Tree) -> None:
        super().set_training_state(state)
        self.return_B = state["return"]
