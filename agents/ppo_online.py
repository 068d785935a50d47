"""RT2-PPO: proximal policy optimisation by exact real-time gradients (Elelimy, 2023, chapter 5).

    repeat
        act for T steps in B environments; store o, a, log π(a), V, and before every step the
            memory state h and its traces E = ∂h/∂θ
        A_t, R_t as in PPO
        for each epoch
            refresh: run (h, E) along the rollout again, with the present θ, from the first stored
            for each minibatch of single steps, shuffled:
                h', E' = one step from the stored (h, E) with the present θ
                θ ← θ - lr ∂loss/∂h' · E',    the loss that of PPO

It is PPO on chunks of one step, with a memory whose state holds its traces: nothing is ever
propagated back in time. With `refresh: never` h and E grow stale as the epochs go by; the first
of a rollout were made by all parameters before, always. A layer below the memory (`encoder_sizes`)
gets the gradient of the present step alone.

Differs from the thesis: V is in units of its targets' spread and is not clipped unless asked, as
in `agents/ppo.py`; no refresh before the first epoch, which would change nothing.
"""

from dataclasses import asdict, dataclass
from typing import Literal

import torch

from agents.base import Parts
from agents.ppo import PPO, PPOOptions
from rlkit.memory.traced import Traced
from rlkit.options import option
from rlkit.rollout import Rollout


@dataclass(frozen=True)
class PPOOnlineOptions:
    encoder: Literal["auto", "mlp", "cnn", "grid", "grid_conv"] = option(
        "what reads the observation"
    )
    encoder_sizes: tuple[int, ...] = option("tanh layers on vectors before the memory", low=1)
    head_sizes: tuple[int, ...] = option("tanh layers of policy and value after it", low=1)
    shared_memory: bool = option("one memory for policy and value, or one each")
    rollout_steps: int = option("T, acting between updates", unit="vector steps", low=1)
    refresh: Literal["never", "epoch"] = option("when stored states and traces are recomputed")
    epochs: int = option("passes over a rollout", low=1)
    minibatches: int = option("parts of a rollout, of single steps", low=1)
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


class PPOOnline(PPO):
    actions = "any"
    loop = "on_policy"
    gradient = "rt2"

    def __init__(self, options: PPOOnlineOptions, parts: Parts):
        values = asdict(options)
        refresh = values.pop("refresh")
        single_steps = PPOOptions(**values, chunk_steps=1, refresh_states=refresh)
        make = parts.make_memory
        super().__init__(single_steps, parts._replace(make_memory=lambda size: Traced(make(size))))

    @torch.no_grad()
    def refresh(self, rollout: Rollout) -> None:
        """Recomputes states and traces before all steps with the present weights."""
        first, n = rollout.carries[0], self.num_states
        x_TBI = self.encoder(rollout.obs)
        assert isinstance(self.memory, Traced)
        states = self.memory.before(x_TBI, first[:n], rollout.start)
        if self.critic_memory is not None:
            assert isinstance(self.critic_memory, Traced)
            states += self.critic_memory.before(x_TBI, first[n:], rollout.start)
        rollout.carries = list(zip(*states, strict=True))
