"""What every agent is: it acts with an explicit memory state, and it learns from batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, select
from rlkit.networks.encoder import Encoder
from rlkit.observations import ObsPart
from rlkit.optim.flat import FlatParameters
from rlkit.schedule import BlockSchedule
from rlkit.types import Spaces, State, Transition, Tree, Windows


class Parts(NamedTuple):
    """What an agent is built from, beside its own options."""

    spaces: Spaces
    make_memory: Callable[[int], Memory]
    """input size → memory"""
    optimizer: Mapping[str, Any]
    normalize: bool
    """normalise observations by the running moments of all that was seen"""
    noise: torch.Generator


class Agent(nn.Module):
    """Networks are submodules; whatever else changes while learning is in `optimizers` and `noise`.

    How it learns, `update`, is asked for by its loop: see `rlkit/loops/`.

    Attributes:
        actions: the kind of action spaces it can control.
        loop: the loop that drives it, a name of `configs/build.py`.
        options: its own options, as declared.
        schedule: how acting and learning alternate.
    """

    actions: ClassVar[Literal["continuous", "discrete", "any"]]
    loop: ClassVar[Literal["off_policy", "on_policy"]] = "off_policy"
    options: Any
    schedule: BlockSchedule
    noise: Any
    """what exploration draws from, with get_state and set_state: a process or a generator"""
    optimizers: dict[str, FlatParameters]

    def __init__(self, parts: Parts, encoder: str = "auto", encoder_sizes: Sequence[int] = ()):
        super().__init__()
        spaces = parts.spaces
        kinds = spaces.obs_parts or (ObsPart("obs", "vector", spaces.obs_shape),)
        self.encoder = Encoder(spaces.obs_shape, kinds, encoder, encoder_sizes, parts.normalize)
        self.memory = parts.make_memory(self.encoder.output_size)

    def initial_state(self, B: int) -> State:
        return self.memory.initial_state(B)

    def features_step(self, obs_BO: Tensor, state: State, start_B: Tensor) -> tuple[Tensor, State]:
        """The memory's output for one step of acting."""
        x_BI = self.encoder(obs_BO)
        state = select(start_B, self.memory.fresh_state(x_BI), state)
        y_BH, state, _ = self.memory.step(x_BI, state)
        return y_BH, state

    def features(self, batch: Windows) -> Tensor:
        """The memory's output (T + 1, B, H) along stored windows."""
        y_TBH: Tensor = self.memory(self.encoder(batch.obs_TBO), batch.state).y
        return y_TBH

    def observe(self, step: Transition) -> None:
        """Sees every step taken in training, stored or not."""
        self.encoder.observe(step.obs_BO)

    def act(
        self, obs_BO: Tensor, state: State, start_B: Tensor, explore: bool
    ) -> tuple[Tensor, State]:
        """Actions for a batch of observations.

        Args:
            obs_BO: observations.
            state: memory state before them.
            start_B: true where an episode begins; the memory restarts there.
            explore: add exploration noise (and advance it).

        Returns:
            float actions in [-1, 1] (B, A), or int64 (B,); and the memory state after.
        """
        raise NotImplementedError

    def inspect(self, obs_BO: Tensor) -> tuple[Tensor, Tensor]:
        """Value (B,) and greedy action (B,) in [-1, 1], with fresh memory: for pictures."""
        raise NotImplementedError

    def get_state(self) -> Tree:
        """Weights and normaliser, all that a policy is."""
        return {name: tensor.clone() for name, tensor in self.state_dict().items()}

    def get_training_state(self) -> Tree:
        """Optimisers and noise, needed to go on learning."""
        optimizers = {k: o.get_state() for k, o in self.optimizers.items()}
        return {"optimizers": optimizers, "noise": self.noise.get_state()}

    def set_training_state(self, state: Tree) -> None:
        for name, optimizer in self.optimizers.items():
            optimizer.set_state(state["optimizers"][name])
        self.noise.set_state(state["noise"])


def bootstrap_bounds(
    enabled: bool, spaces: Spaces, step_seconds: float, discount: float
) -> tuple[float, float] | None:
    """Smallest and largest possible value, Σ γ^(k·dt)·r·dt, where reward bounds are declared.

    Zero is always possible: an episode may be about to end.
    """
    if not enabled or spaces.reward_bounds is None:
        return None
    low, high = spaces.reward_bounds
    horizon = step_seconds / (1 - discount)
    return min(low * horizon, 0.0), max(high * horizon, 0.0)


def bounded(value: Tensor, bounds: tuple[float, float] | None) -> Tensor:
    """The value, kept within bounds if there are any."""
    return value if bounds is None else value.clamp(*bounds)


def action_level(index: Tensor, num_actions: int) -> Tensor:
    """Discrete actions as levels in [-1, 1], for pictures."""
    return index.float() / (num_actions - 1) * 2 - 1
