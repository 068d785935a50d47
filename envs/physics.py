"""Physics: what an environment has to say beyond clocks, seeds and resets.

A `Physics` holds no state: it maps states [S, B] and actions to states, reward rates and
terminations. `envs.batched.BatchedEnv` advances B copies with it, `envs.single.SingleEnv` one,
bit for bit the same.

Shapes: S state, B copies, O observation, A action.  State float64, observation float32.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from envs.wrappers.time_discretization import steps_of
from rlkit.options import ConfigError

if TYPE_CHECKING:
    from envs.batched import BatchedEnv
    from envs.single import SingleEnv

Array = NDArray[Any]


class PhasePlane(NamedTuple):
    """A grid over a two-dimensional state space, and what the agent would observe there."""

    x: Array
    """(n,)"""
    y: Array
    """(n,)"""
    obs: Array
    """(n * n, O) float32, row-major with y slow"""
    x_label: str
    y_label: str


class Axis(NamedTuple):
    """One state variable and the range worth drawing."""

    label: str
    low: float
    high: float


class Physics(ABC):
    """The contract.

    Args:
        options: the declared options of the environment.
        dt: seconds per step.
    """

    base_id: ClassVar[str]
    """Key of the velocity table: the stock id without version."""
    stock_id: ClassVar[str]
    """The gymnasium environment of the same physics; it also draws."""
    stock_dt: ClassVar[float]
    phase_axes: ClassVar[tuple[Axis, Axis] | None] = None

    observation_space: Box
    action_space: Box | Discrete
    reward_bounds: tuple[float, float] | None = None
    success_above: float | None = None
    """An episode whose return, the sum of r dt, is above it succeeded; None if that is unknown."""
    time_limit_seconds: float | None

    def __init__(self, options: Any, dt: float):
        self.options, self.dt = options, float(dt)
        self.time_limit_seconds = options.time_limit_seconds

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Array:
        """An initial state (S,), drawn in upstream's order and shapes."""

    @abstractmethod
    def step(self, state_SB: Array, action_B: Array) -> tuple[Array, Array, Array]:
        """(next state, reward rate float64, terminated); writes into none of its arguments."""

    @abstractmethod
    def observe(self, state_SB: Array) -> Array:
        """The observation [B, O] float32, a new array."""

    def observe_start(self, state_SB: Array) -> Array:
        """The observation after a reset, where upstream computes it differently."""
        return self.observe(state_SB)

    @classmethod
    def native_dt(cls, options: Any) -> float:
        return float(options.native_dt)

    @classmethod
    def make_vector(
        cls,
        options: Any,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> "BatchedEnv":
        from envs.batched import BatchedEnv

        return BatchedEnv(cls(options, dt), num_envs, action_repeat, render_mode, autoreset_mode)

    @classmethod
    def make_single(
        cls, options: Any, dt: float, action_repeat: int = 1, render_mode: str | None = None
    ) -> "SingleEnv":
        from envs.single import SingleEnv

        return SingleEnv(cls(options, dt), action_repeat, render_mode)


def repeat_step(
    physics: Physics, repeat: int, state_SB: Array, action_B: Array
) -> tuple[Array, Array, Array]:
    """`repeat` steps of the same action; a copy that terminates stays where it ended.

    The reward is the mean rate over the longer step, with nothing after the end, so that
    reward times the longer dt equals the sum of rewards times the shorter one.
    """
    state_SB, reward_B, terminated_B = physics.step(state_SB, action_B)
    for _ in range(repeat - 1):
        next_SB, next_reward_B, ended_B = physics.step(state_SB, action_B)
        state_SB = np.where(terminated_B, state_SB, next_SB)
        reward_B = reward_B + np.where(terminated_B, 0.0, next_reward_B)
        terminated_B = terminated_B | ended_B
    return state_SB, reward_B / repeat, terminated_B


def generator_of(state: Mapping[str, Any]) -> np.random.Generator:
    """A PCG64 generator in the given state."""
    bits = np.random.PCG64()
    bits.state = state  # type: ignore[assignment]
    return np.random.Generator(bits)


def seeded(
    rngs: Sequence[np.random.Generator], seed: int | Sequence[int | None] | None, num_envs: int
) -> list[np.random.Generator]:
    """The generators of all copies after `reset(seed=…)`.

    Args:
        rngs: those before; empty at first.
        seed: s for s, s + 1, …; or one seed per copy; None goes on with the generators.
        num_envs: copies.
    """
    if seed is None:
        seed = [None] * num_envs
    elif isinstance(seed, int | np.integer):
        seed = [int(seed) + i for i in range(num_envs)]
    if len(seed) != num_envs:
        raise ValueError(f"{len(seed)} seeds were given for {num_envs} environments")
    return [rngs[i] if s is None and rngs else seeding.np_random(s)[0] for i, s in enumerate(seed)]


def limit_steps(physics: Physics, dt: float) -> int | None:
    """Steps of an episode; None if it is endless."""
    if physics.time_limit_seconds is None:
        return None
    return steps_of(physics.time_limit_seconds, dt)


def checked_mode(render_mode: str | None) -> str | None:
    """The render mode, if it is one of ours."""
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode is '{render_mode}', but must be null or 'rgb_array'")
    return render_mode


def checked_options(options: Mapping[str, Any] | None) -> Any:
    """The initial clock(s) in reset options."""
    options = dict(options or {})
    elapsed = options.pop("elapsed_steps", 0)
    if options:
        raise ValueError(f"unknown reset option '{next(iter(options))}' (allowed: elapsed_steps)")
    return elapsed


def checked_actions(actions: Any, space: Any, num_envs: int) -> Array:
    """Actions as int64 [B] or float32 [B, A]."""
    if isinstance(space, Discrete):
        action_B = np.asarray(actions)
        if action_B.shape != (num_envs,) or action_B.dtype.kind not in "iu":
            raise ValueError(
                f"actions are {action_B.dtype} of shape {action_B.shape},"
                f" but must be integers of shape ({num_envs},)"
            )
        if action_B.dtype != np.int64:
            action_B = action_B.astype(np.int64)
        # as unsigned numbers, so that one comparison catches negatives too
        if np.count_nonzero(action_B.view(np.uint64) >= np.uint64(space.n)):
            raise ValueError(f"an action lies outside 0 .. {space.n - 1}")
        return action_B
    action_BA = np.asarray(actions, dtype=np.float32)
    if action_BA.shape != (num_envs, *space.shape):
        raise ValueError(
            f"actions are of shape {action_BA.shape}, but must be ({num_envs}, {space.shape[0]})"
        )
    return action_BA
