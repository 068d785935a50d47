"""What every agent is: it acts with an explicit memory state, and it learns from batches."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rlkit.memory.base import Memory, select
from rlkit.memory.retime import retime
from rlkit.networks.encoder import Encoder
from rlkit.observations import ObsPart
from rlkit.optim.dt_scaling import TimeScaling
from rlkit.optim.flat import FlatParameters
from rlkit.optim.make import make_optimizer
from rlkit.returns import over_span
from rlkit.schedule import BlockSchedule, WindowLengths
from rlkit.types import Spaces, State, Transition, Tree, Windows

MEMORIES = ("memory", "policy_memory")
"""Names of their optimisers."""


class Parts(NamedTuple):
    """What an agent is built from, beside its own options."""

    spaces: Spaces
    make_memory: Callable[[int], Memory]
    """input size → memory"""
    optimizer: Mapping[str, Any]
    normalize: bool
    """normalise observations by the running moments of all that was seen"""
    noise: torch.Generator


class Seen(NamedTuple):
    """Windows as an agent of the off-policy loop sees them, after burn-in.

    Attributes:
        s: what the critics see at T steps (T, B, H); gradients reach the memory.
        s_next: one step later.
        s_policy, policy_next: what the policy sees, and sees one step later.
        batch: T steps.
        lengths: the span of a residual.
        dt: what a step counts for in rewards and residuals, seconds; one number, or (B,).
        discount_TB: γ^dt, 0 where a step terminated.
        shared, costs: of the memories, for `descend`.
    """

    s: Tensor
    s_next: Tensor
    s_policy: Tensor
    policy_next: Tensor
    batch: Windows
    lengths: WindowLengths
    dt: float | Tensor
    discount_TB: Tensor
    shared: list[FlatParameters]
    costs: list[tuple[Tensor, Tensor]]

    def first(self, x_TB: Tensor) -> Tensor:
        """The steps from which a whole span is left; residuals are taken there."""
        return x_TB[: len(self.s) - self.lengths.span + 1]

    def over_span(self, x_TB: Tensor, after_TB: Tensor | None = None) -> Tensor:
        """Discounted sums over the span (`rlkit.returns.over_span`)."""
        start_TB = self.batch.start_TB  # after a final observation, where nothing was done
        cut_TB = None if start_TB is None else start_TB[2:]
        return over_span(x_TB, self.discount_TB, self.lengths.span, after_TB, cut_TB)

    def valid(self, x_TB: Tensor) -> Tensor:
        """Residuals or weights, 0 at final observations."""
        if self.batch.start_TB is None:
            return x_TB
        return x_TB.masked_fill(self.batch.start_TB[1 : len(x_TB) + 1], 0)

    def mean_weight(self, residual_TB: Tensor) -> Tensor:
        """What each residual weighs in the mean over the batch."""
        weight_B = self.batch.weight_B
        residual_TB = residual_TB if weight_B is None else residual_TB * weight_B
        return residual_TB / residual_TB.numel()


class Agent(nn.Module):
    """Networks are submodules; whatever else changes while learning is in `optimizers` and `noise`.

    How it learns, `update`, is asked for by its loop: see `rlkit/loops/`.

    Attributes:
        actions: the kind of action spaces it can control.
        loop: the loop that drives it, a name of `configs/build.py`.
        gradient: the estimator it learns by; rt2: by real-time traces alone.
        options: its own options, as declared.
        schedule: how acting and learning alternate.
        lengths: of the windows it learns from (off-policy).
        dt: what a decision counts for in rewards and residuals, seconds (off-policy).
        policy_memory: the policy's own, if it has one.
    """

    actions: ClassVar[Literal["continuous", "discrete", "any"]]
    loop: ClassVar[Literal["off_policy", "on_policy", "online", "staged"]] = "off_policy"
    gradient: ClassVar[Literal["bptt", "rt2"]] = "bptt"
    options: Any
    schedule: BlockSchedule
    lengths: WindowLengths
    dt: float
    discount: float
    noise: Any
    """what exploration draws from, with get_state and set_state: a process or a generator"""
    optimizers: dict[str, FlatParameters]

    def __init__(self, parts: Parts, encoder: str = "auto", encoder_sizes: Sequence[int] = ()):
        super().__init__()
        spaces = parts.spaces
        self.decision_seconds = spaces.dt
        kinds = spaces.obs_parts or (ObsPart("obs", "vector", spaces.obs_shape),)
        self.encoder = Encoder(spaces.obs_shape, kinds, encoder, encoder_sizes, parts.normalize)
        self.memory = parts.make_memory(self.encoder.output_size)
        self.policy_memory: Memory | None = None

    # ---- memory: what every off-policy agent does with it --------------------------------------

    @property
    def memories(self) -> list[Memory]:
        """The critics' and the policy's, if it has one; a state is theirs on end."""
        return [self.memory] if self.policy_memory is None else [self.memory, self.policy_memory]

    def apart(self, state: State) -> list[State]:
        """The state of each memory."""
        if self.policy_memory is None:
            return [state]
        n = len(state) // len(self.memories)
        return [state[i * n : (i + 1) * n] for i in range(len(self.memories))]

    def initial_state(self, B: int) -> State:
        return tuple(s for m in self.memories for s in m.initial_state(B))

    @property
    def carries(self) -> int:
        return self.memory.carries

    def carry(self, state: State) -> State:
        pairs = zip(self.memories, self.apart(state), strict=True)
        return tuple(s for memory, own in pairs for s in memory.carry(own))

    def resume(self, carries: State) -> State:
        pairs = zip(self.memories, self.apart(carries), strict=True)
        return tuple(s for memory, own in pairs for s in memory.resume(own))

    def memory_optimizers(
        self, parts: Parts, law: TimeScaling, rate: float, horizon: float
    ) -> dict[str, FlatParameters]:
        """Of the critics' encoder and memory, and of the policy's memory, if they have weights."""
        trained = {"memory": nn.ModuleList([self.encoder, self.memory])}
        if self.policy_memory is not None:
            trained["policy_memory"] = nn.ModuleList([self.policy_memory])
        return {
            name: FlatParameters(
                module, make_optimizer(parts.optimizer, law.step_size(rate), horizon)
            )
            for name, module in trained.items()
            if any(True for _ in module.parameters())
        }

    def features_step(
        self, obs_BO: Tensor, state: State, start_B: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """What critics and policy see at one step of acting, and the state after it."""
        x_BI, outputs = self.encoder(obs_BO), []
        after: State = ()
        for memory, own in zip(self.memories, self.apart(state), strict=True):
            own = select(start_B, memory.fresh_state(x_BI), own)
            y_BH, own, _ = memory.step(x_BI, own)
            outputs.append(y_BH)
            after += own
        return outputs[0], outputs[-1], after

    def look(self, batch: Windows) -> Seen:
        """Runs the memories along stored windows, without gradient during burn-in."""
        obs, start, k = batch.obs_TBO, batch.start_TB, self.lengths.burn_in
        states = self.apart(batch.state)
        if k:
            assert start is not None
            with torch.no_grad():
                x, pairs = self.encoder(obs[:k]), zip(self.memories, states, strict=True)
                states = [memory(x, own, start[:k]).state for memory, own in pairs]
            obs, start = obs[k:], start[k:]
            batch = batch._replace(
                obs_TBO=obs,
                action_TBA=batch.action_TBA[k:],
                reward_TB=batch.reward_TB[k:],
                terminated_TB=batch.terminated_TB[k:],
                start_TB=start,
            )
        x = self.encoder(obs)
        y, _, penalty = self.memory(x, states[0], start)
        s, s_next, penalties = y[:-1], y[1:], [penalty]
        s_policy, policy_next = s.detach(), s_next
        if self.policy_memory is not None:
            y, _, penalty = self.policy_memory(x.detach(), states[1], start)
            s_policy, policy_next = y[:-1], y[1:]
            penalties.append(penalty)
        shared = [self.optimizers[k] for k in MEMORIES if k in self.optimizers]
        costs = [(p, torch.full_like(p, 1 / p.numel())) for p in penalties if p is not None]
        dt: float | Tensor = self.dt
        discount: float | Tensor = self.discount
        if batch.dt_B is not None:
            discount = self.options.gamma**batch.dt_B
            dt = self.dt / self.decision_seconds * batch.dt_B
        discount_TB = (1 - batch.terminated_TB) * discount
        sight = s, s_next, s_policy, policy_next
        return Seen(*sight, batch, self.lengths, dt, discount_TB, shared, costs)

    # ---- the contract ---------------------------------------------------------------------------

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

    def take_over(self, other: "Agent", dt_ratio: float) -> None:
        """Goes on from an agent of another dt: weights, moments, normalisers and noise are its.

        The time constants of memories stay the same in seconds (`rlkit.memory.retime`).

        Args:
            other: an agent of the same options.
            dt_ratio: this one's dt in units of the other's.
        """
        self.load_state_dict(other.get_state())
        self.set_training_state(other.get_training_state())
        for optimizer in self.optimizers.values():
            optimizer.scale_step(1.0)  # torch's keep the step size in their state
        retime(self, dt_ratio * self.memory.carries / other.memory.carries)


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
