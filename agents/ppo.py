"""Proximal policy optimisation (Schulman et al., 2017) on any memory.

    repeat
        act for T steps in B environments; store o, a, log π(a), V, and the memory state h before
            every chunk of L steps
        A_t = Σ_k (γλ)^k δ_{t+k},   δ_t = r_t + γ V_{t+1} - V_t,   R_t = A_t + V_t
        for each epoch, for each minibatch of whole chunks, from its stored h:
            ρ = π(a) / π_old(a),   A normalised in the minibatch
            minimise  - mean min(ρ A, clip(ρ, 1 - ε, 1 + ε) A)
                      + c_v · ½ mean (V - R)²  -  c_H · mean entropy of π
                      + the memory's own penalty (of both, if policy and value have one each)
            by a step whose gradient is scaled down to `max_grad_norm`

Gradients flow through a chunk and stop at its ends and where an episode starts. γ and λ are given
per stock step of the environment and raised to dt / stock_dt; rewards are r dt / stock_dt.

Differs from the paper: V is learnt in units of its targets' spread (PopArt), without which masked
CartPole takes far longer; if asked, V is clipped like π in those units, c_H and the step size fall
linearly over the run, A stays as it is, and epochs stop at a divergence; Gaussians are clipped by
the environment.
Memories with noise of their own act and learn without it: ρ would not be 1 otherwise.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from agents.base import Agent, Parts, action_level
from rlkit.distributions import Categorical, Gaussian
from rlkit.loops.on_policy import Sample
from rlkit.memory.base import Memory, select
from rlkit.networks.layers import tanh_head
from rlkit.noise import UniformDraws
from rlkit.normalization import ValueNormalizer
from rlkit.optim.flat import FlatParameters
from rlkit.optim.make import make_optimizer
from rlkit.options import option
from rlkit.rollout import Minibatch, Rollout, minibatches
from rlkit.schedule import BlockSchedule
from rlkit.types import Metrics, State

HORIZON_UPDATES = 100
"""Averaging time of the second moment with `optimizer=rmsprop`."""


@dataclass(frozen=True)
class PPOOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    head_sizes: tuple[int, ...] = option("tanh layers of policy and value after it", low=1)
    shared_memory: bool = option("one memory for policy and value, or one each")
    rollout_steps: int = option("T, acting between updates", unit="vector steps", low=1)
    chunk_steps: int | None = option("L, length of learnt sequences; null: T", unit="steps", low=1)
    refresh_states: Literal["never", "epoch"] = option("when stored chunk states are recomputed")
    epochs: int = option("passes over a rollout", low=1)
    minibatches: int = option("parts of a rollout, of whole chunks", low=1)
    gamma: float = option("discount per stock step", above=0, high=1)
    gae_lambda: float = option("λ of the advantages, per stock step", low=0, high=1)
    clip: float = option("ε, trust region of the probability ratio", above=0)
    clip_value: bool = option("clip V like the ratio")
    value_coefficient: float = option("c_v", low=0)
    entropy_coefficient: float = option("c_H at first", low=0)
    entropy_final_ratio: float = option("share of c_H left at the end of the run", low=0)
    normalize_value_rate: float = option("PopArt's weight of a rollout; 0: off", low=0, high=1)
    normalize_advantages: bool = option("mean 0, standard deviation 1 in each minibatch")
    lr: float = option("step size at first", above=0, search=(1e-4, 3e-3))
    lr_final_ratio: float = option("share of it left at the end of the run", low=0)
    max_grad_norm: float = option("the gradient is scaled down to this norm", above=0)
    target_kl: float | None = option("no further epoch beyond this divergence", unit="nat", above=0)
    initial_std: float = option("of continuous actions", above=0)


class PPO(Agent):
    actions = "any"
    loop = "on_policy"

    def __init__(self, options: PPOOptions, parts: Parts):
        super().__init__(parts, options.encoder, options.encoder_sizes)
        o, spaces = options, parts.spaces
        self.options, self.noise = o, UniformDraws(parts.noise)
        stock_steps = spaces.dt / (spaces.stock_dt or spaces.dt)
        self.reward_scale = stock_steps
        self.discount, self.lambda_ = o.gamma**stock_steps, o.gae_lambda**stock_steps
        self.chunk_steps = o.chunk_steps or o.rollout_steps
        self.schedule = BlockSchedule.of_rollouts(o.rollout_steps, o.epochs, o.minibatches)

        self.num_states = len(self.memory.initial_state(1))
        self.critic_memory: Memory | None = None
        if not o.shared_memory:
            self.critic_memory = parts.make_memory(self.encoder.output_size)
        n, H = spaces.action_size, self.memory.output_size
        self.discrete, self.num_actions = spaces.discrete, n
        self.distribution: Categorical | Gaussian
        self.distribution = Categorical(n) if spaces.discrete else Gaussian(n, o.initial_std)
        self.policy = tanh_head(H, o.head_sizes, self.distribution.parameter_size, gain=0.01)
        self.critic = tanh_head(H, o.head_sizes, 1, gain=1.0)
        self.optimizers = {
            "all": FlatParameters(self, make_optimizer(parts.optimizer, o.lr, HORIZON_UPDATES))
        }
        last = self.critic[-1]
        assert isinstance(last, nn.Linear)
        self.value_scale = ValueNormalizer(last, o.normalize_value_rate)
        self.eval()

    # ---- acting -----------------------------------------------------------------------------

    def initial_state(self, B: int) -> State:
        state = self.memory.initial_state(B)
        return state if self.critic_memory is None else state + self.critic_memory.initial_state(B)

    def step(self, obs_BO: Tensor, state: State, start_B: Tensor) -> tuple[Tensor, Tensor, State]:
        """Policy parameters (B, P), critic output (B,) and the memory state after one step."""
        x_BI, n = self.encoder(obs_BO), self.num_states
        pi_BH, after = _step(self.memory, x_BI, state[:n], start_B)
        v_BH = pi_BH
        if self.critic_memory is not None:
            v_BH, critic_after = _step(self.critic_memory, x_BI, state[n:], start_B)
            after = after + critic_after
        return self.policy(pi_BH), self.critic(v_BH).squeeze(-1), after

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        p_BP, _, state = self.step(obs_BO, state, start_B)
        return (self.draw(p_BP) if explore else self.distribution.mode(p_BP)), state

    def sample(self, obs_BO: Tensor, state: State, start_B: Tensor) -> Sample:
        p_BP, v_B, state = self.step(obs_BO, state, start_B)
        action_BA = self.draw(p_BP)
        log_prob_B = self.distribution.log_prob(p_BP, action_BA)
        return Sample(action_BA, log_prob_B, self.value_scale.denormalize(v_B), state)

    def draw(self, p_BP: Tensor) -> Tensor:
        return self.distribution.sample(p_BP, self.noise.uniform(tuple(p_BP.shape)))

    def value(self, obs_BO: Tensor, state: State, start_B: Tensor) -> Tensor:
        return self.value_scale.denormalize(self.step(obs_BO, state, start_B)[1])

    # ---- learning ---------------------------------------------------------------------------

    def update(self, rollout: Rollout, progress: float) -> tuple[Metrics, int]:
        """Several epochs on one rollout.

        Args:
            rollout: with advantages.
            progress: share of the run that is over; the schedules follow it.
        """
        o, metrics, updates = self.options, defaultdict(list), 0
        if o.normalize_value_rate:
            self.value_scale.observe(rollout.target)
        scaled = self.value_scale.normalize
        entropy_coefficient = o.entropy_coefficient * _linear(progress, o.entropy_final_ratio)
        self.optimizers["all"].scale_step(_linear(progress, o.lr_final_ratio))
        data = rollout.sequences()
        data = data._replace(value=scaled(data.value), target=scaled(data.target))
        for epoch in range(o.epochs):
            if epoch and o.refresh_states == "epoch":
                self.refresh(rollout)
                data = data._replace(state=rollout.states())
            for batch in minibatches(data, o.minibatches, self.noise.generator):
                for name, value in self.descend(batch, entropy_coefficient, not updates).items():
                    metrics[name].append(value)
                updates += 1
            kl = torch.stack(metrics["train/kl"][-o.minibatches :])
            if o.target_kl is not None and kl.mean() > o.target_kl:
                break
        metrics |= self.openings(data)
        self.encoder.observe(rollout.obs.flatten(0, 1))
        spread = rollout.target.var(unbiased=False).clamp(min=1e-12)
        unexplained = rollout.advantage.var(unbiased=False) / spread
        metrics["train/explained_variance"] = [1 - unexplained]
        metrics["train/value"] = [rollout.value.mean()]
        return {name: torch.stack(values) for name, values in metrics.items()}, updates

    def descend(self, b: Minibatch, entropy_coefficient: float, measure: bool) -> Metrics:
        """One step down the loss of the docstring's box."""
        o = self.options
        p, v, h, penalty = self.evaluate(b)
        log_prob, entropy = self.distribution.log_prob_and_entropy(p, b.action)
        log_ratio = log_prob - b.log_prob
        ratio = log_ratio.exp()
        A = b.advantage
        if o.normalize_advantages:
            A = (A - A.mean()) / (A.std(unbiased=False) + 1e-8)
        policy_loss = -torch.min(ratio * A, ratio.clamp(1 - o.clip, 1 + o.clip) * A).mean()
        error = (v - b.target).square()
        if o.clip_value:
            clipped = b.value + (v - b.value).clamp(-o.clip, o.clip)
            error = torch.max(error, (clipped - b.target).square())
        value_loss = o.value_coefficient * 0.5 * error.mean()
        loss = policy_loss + value_loss - entropy_coefficient * entropy.mean()
        if penalty is not None:
            loss = loss + penalty.mean()

        metrics = {}
        if measure and h.requires_grad and self.critic_memory is None:
            to_h = torch.autograd.grad(value_loss, h, retain_graph=True)[0].norm()
            pi_to_h = torch.autograd.grad(policy_loss, h, retain_graph=True)[0].norm()
            metrics["train/value_gradient_share"] = to_h / (to_h + pi_to_h)
        grad_norm = self.optimizers["all"].step_down(loss, o.max_grad_norm)
        with torch.no_grad():
            return metrics | {
                "train/policy_loss": policy_loss.detach(),
                "train/value_loss": value_loss.detach(),
                "train/entropy": entropy.detach().mean(),
                "train/kl": (ratio - 1 - log_ratio).mean(),
                "train/clip_fraction": ((ratio - 1).abs() > o.clip).float().mean(),
                "train/gradient_norm": grad_norm,
            }

    def evaluate(self, b: Minibatch) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Policy parameters, critic output, shared features and penalty along the chunks."""
        x, n = self.encoder(b.obs), self.num_states
        h, _, penalty = self.memory(x, b.state[:n], b.start)
        v_h = h
        if self.critic_memory is not None:
            v_h, _, critic_penalty = self.critic_memory(x, b.state[n:], b.start)
            if penalty is not None and critic_penalty is not None:
                penalty = penalty + critic_penalty
        return self.policy(h), self.critic(v_h).squeeze(-1), h, penalty

    @torch.no_grad()
    def openings(self, data: Minibatch) -> dict[str, list[Tensor]]:
        """How far the memory's gates opened at the first step of each chunk, if it has such."""
        n = self.num_states
        x_NI = self.encoder(data.obs[0])
        fresh = self.memory.fresh_state(x_NI)
        gates_NH = self.memory.gate_openings(x_NI, select(data.start[0], fresh, data.state[:n]))
        if gates_NH is None:
            return {}
        open_NH = (gates_NH > 0).to(gates_NH.dtype)
        return {"memory/gates_open": [open_NH.mean()], "memory/gates_mean": [gates_NH.mean()]}

    @torch.no_grad()
    def refresh(self, rollout: Rollout) -> None:
        """Recomputes the states before the chunks with the present weights, from the first on."""
        state, L, n = rollout.carries[0], rollout.L, self.num_states
        for c in range(1, len(rollout.carries)):
            past = slice((c - 1) * L, c * L)
            x, start = self.encoder(rollout.obs[past]), rollout.start[past]
            after = self.memory(x, state[:n], start).state
            if self.critic_memory is not None:
                after = after + self.critic_memory(x, state[n:], start).state
            state = rollout.carries[c] = after

    @torch.no_grad()
    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        B = obs_BO.shape[0]
        fresh = torch.ones(B, dtype=torch.bool)
        p_BP, v_B, _ = self.step(obs_BO, self.initial_state(B), fresh)
        action = self.distribution.mode(p_BP)
        action = action_level(action, self.num_actions) if self.discrete else action[..., 0]
        return self.value_scale.denormalize(v_B), action


def _step(memory: Memory, x_BI: Tensor, state: State, start_B: Tensor) -> tuple[Tensor, State]:
    y_BH, state, _ = memory.step(x_BI, select(start_B, memory.fresh_state(x_BI), state))
    return y_BH, state


def _linear(progress: float, final: float) -> float:
    return 1 + (final - 1) * progress
