"""The dynamics M: a memory that is fed codes and actions, and a mixture over the next code.

    h_t, carry = memory([a_t, z_t], carry)
    w, μ, σ, r̂, l = mdn(h_t)
    loss = ( - log p(z_{t+1}) + (r̂ - r_t)² + BCE(l, terminated_t) ) / (Z + 2)

Trained on windows of L steps from anywhere in the recorded episodes, laid end to end: the memory
starts afresh at the window's first step and where an episode begins. Codes are drawn anew from
N(μ, σ) of the vision each time.

Shapes: T time, B batch, Z latents, A action, M frames, N transitions.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from rlkit.memory.base import Memory, select
from rlkit.networks.mdn import MDN, Prediction
from rlkit.optim.flat import FlatParameters, OptimizerFactory
from rlkit.schedule import Plateau
from rlkit.types import State, Tree

VALIDATION_WINDOWS = 64


class Dynamics(nn.Module):
    """Memory, mixture head, and a bank of recorded first codes for dreams to begin with.

    Args:
        make_memory: input size → memory.
        latent_size: Z.
        actions: A; components, or number of discrete actions.
        components: of the mixture.
        mixture: see `MDN`.
        bank_size: codes in the bank.
    """

    bank_mean: Tensor
    bank_std: Tensor

    def __init__(
        self,
        make_memory: Callable[[int], Memory],
        latent_size: int,
        actions: int,
        components: int,
        mixture: Literal["joint", "per_dim"],
        bank_size: int,
    ):
        super().__init__()
        self.A, self.Z = actions, latent_size
        self.memory = make_memory(actions + latent_size)
        self.mdn = MDN(self.memory.output_size, latent_size, components, mixture)
        self.register_buffer("bank_mean", torch.zeros(bank_size, latent_size))
        self.register_buffer("bank_std", torch.zeros(bank_size, latent_size))

    def input(self, z: Tensor, action: Tensor) -> Tensor:
        """[a, z], discrete actions as one of A."""
        if not action.is_floating_point():
            action = one_hot(action, self.A).to(z.dtype)
        return torch.cat((action, z), dim=-1)

    def step(
        self, z_BZ: Tensor, action_BA: Tensor, state: State, start_B: Tensor
    ) -> tuple[Tensor, State]:
        """The memory's output and state after one step."""
        x_BI = self.input(z_BZ, action_BA)
        state = select(start_B, self.memory.fresh_state(x_BI), state)
        y_BH, state, _ = self.memory.step(x_BI, state)
        return y_BH, state

    def forward(
        self, z_TBZ: Tensor, action_TBA: Tensor, start_TB: Tensor
    ) -> tuple[Prediction, Tensor | None]:
        """What is expected after each step of a window whose first starts afresh; the penalty."""
        x_TBI = self.input(z_TBZ, action_TBA)
        state = self.memory.initial_state(x_TBI.shape[1])
        y_TBH, _, penalty = self.memory(x_TBI, state, start_TB)
        return self.mdn(y_TBH), penalty


class Transitions(NamedTuple):
    """Recorded episodes as codes, laid end to end.

    Attributes:
        mean, std: (M, Z) of every frame.
        frame: (N,) the frame before each transition; the next one follows it.
        action: (N, A) float or (N,) int64.
        reward: (N,).
        terminated: (N,) 1.0 or 0.0.
        start: (N,) true where an episode begins.
    """

    mean: Tensor
    std: Tensor
    frame: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    start: Tensor

    def windows(self, first_B: Tensor, L: int, generator: torch.Generator) -> "Window":
        """Windows of L transitions, with codes drawn anew."""
        at = torch.arange(L)[:, None] + first_B
        frame, start = self.frame[at], self.start[at].clone()
        start[0] = True
        z, z_next = (self.codes(f, generator) for f in (frame, frame + 1))
        return Window(z, z_next, self.action[at], self.reward[at], self.terminated[at], start)

    def codes(self, frame: Tensor, generator: torch.Generator) -> Tensor:
        mean = self.mean[frame].float()
        return mean + self.std[frame].float() * torch.randn(mean.shape, generator=generator)


class Window(NamedTuple):
    """T transitions of B windows."""

    z: Tensor
    z_next: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    start: Tensor


def loss_of(p: Prediction, w: Window) -> Tensor:
    """The loss of the docstring's box, a mean over steps and windows."""
    code = -p.log_prob(w.z_next).mean()
    reward = (p.reward - w.reward).square().mean()
    terminal = binary_cross_entropy_with_logits(p.terminal, w.terminated)
    return (code + reward + terminal) / (w.z.shape[-1] + 2)


def persistence_loss(w: Window) -> Tensor:
    """Loss of "next z = z" with the best constant spreads, reward and share of terminations."""
    mean, variance = w.reward.mean(), (w.z_next - w.z).square().mean((0, 1)).clamp(min=1e-10)
    log_std = 0.5 * variance.log()
    shape = (*w.z.shape[:2], 1, w.z.shape[-1])
    share = w.terminated.mean().clamp(1e-6, 1 - 1e-6)
    constant = Prediction(
        torch.zeros(*shape[:-1], 1),
        w.z.unsqueeze(-2),
        log_std.expand(shape),
        mean.expand(shape[:2]),
        (share / (1 - share)).log().expand(shape[:2]),
    )
    return loss_of(constant, w)


class DynamicsTraining:
    """Stage: fits the dynamics to recorded transitions.

    Args:
        inputs: all its result depends on.
        dynamics: what is trained.
        encode: reads and encodes the episodes; gives (training, held out), called at the start.
        optimizer: of all weights.
        options: the agent's.
    """

    name = "dynamics"

    def __init__(
        self,
        inputs: dict[str, Any],
        dynamics: Dynamics,
        encode: Callable[[], tuple[Transitions, Transitions]],
        optimizer: OptimizerFactory,
        options: Any,
    ):
        self.inputs, self.dynamics, self.encode, self.options = inputs, dynamics, encode, options
        self.parameters = FlatParameters(dynamics, optimizer)
        self.plateau = Plateau(options.patience, options.stop_after)
        self.sequences = 0
        self.data: tuple[Transitions, Transitions] | None = None

    @property
    def progress(self) -> float:
        done = self.sequences >= self.options.dynamics_sequences or self.plateau.stopped
        return 1.0 if done else self.sequences / self.options.dynamics_sequences

    def complete(self, result: Tree) -> bool:
        return True

    def advance(self) -> dict[str, float]:
        """Trains until the next validation."""
        o = self.options
        if self.data is None:
            self.data = self.encode()
            self.fill_bank(self.data[0])
        train, held_out = self.data
        seeds = np.random.SeedSequence((self.inputs["seed"], 3, self.sequences))
        generator = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))
        self.parameters.scale_step(self.plateau.factor)
        L, losses = min(o.sequence_steps, len(train.frame)), []
        until = min(self.sequences + o.dynamics_validate_sequences, o.dynamics_sequences)
        while self.sequences < until:
            first_B = torch.randint(
                len(train.frame) - L + 1, (o.dynamics_batch,), generator=generator
            )
            w = train.windows(first_B, L, generator)
            prediction, penalty = self.dynamics(w.z, w.action, w.start)
            loss = loss_of(prediction, w)
            if penalty is not None:
                loss = loss + penalty.mean()
            self.parameters.step_down(loss, o.max_grad_norm)
            losses.append(loss.detach())
            self.sequences += o.dynamics_batch
        validation, persistence = self.validate(held_out)
        self.plateau.see(validation)
        return {
            "dynamics/sequences": float(self.sequences),
            "dynamics/loss": float(torch.stack(losses).mean()),
            "dynamics/validation_loss": validation,
            "dynamics/persistence_loss": persistence,
            "dynamics/lr_factor": self.plateau.factor,
            "dynamics/terminals": float(train.terminated.sum()),
        }

    def fill_bank(self, t: Transitions) -> None:
        """The first codes of the episodes, repeated or cut to the size of the bank."""
        frame = t.frame[t.start]
        frame = frame[torch.arange(len(self.dynamics.bank_mean)) % len(frame)]
        self.dynamics.bank_mean.copy_(t.mean[frame])
        self.dynamics.bank_std.copy_(t.std[frame])

    @torch.no_grad()
    def validate(self, held_out: Transitions) -> tuple[float, float]:
        """Losses of the dynamics and of "next z = z" on the same held-out windows each time."""
        generator = torch.Generator().manual_seed(0)
        L = min(self.options.sequence_steps, len(held_out.frame))
        count = len(held_out.frame) - L + 1
        first_B = torch.randint(count, (VALIDATION_WINDOWS,), generator=generator)
        w = held_out.windows(first_B, L, generator)
        training, _ = self.dynamics.training, self.dynamics.eval()
        loss = float(loss_of(self.dynamics(w.z, w.action, w.start)[0], w))
        self.dynamics.train(training)
        return loss, float(persistence_loss(w))

    def get_state(self) -> Tree:
        return {
            "weights": dict(self.dynamics.state_dict()),
            "optimizer": self.parameters.get_state(),
            "plateau": self.plateau.get_state(),
            "sequences": self.sequences,
        }

    def set_state(self, state: Tree) -> None:
        self.dynamics.load_state_dict(state["weights"])
        self.parameters.set_state(state["optimizer"])
        self.plateau.set_state(state["plateau"])
        self.sequences = state["sequences"]

    def result(self) -> Tree:
        return {"weights": dict(self.dynamics.state_dict())}

    def adopt(self, result: Tree) -> None:
        self.dynamics.load_state_dict(result["weights"])
