"""Environments from physics: one set of array functions, a batched and a single form.

A `Physics` holds no state: it maps states [S, B] and actions to states, reward rates and
terminations. `BatchedEnv` advances B copies with it, `SingleEnv` one, bit for bit the same.

Shapes: S state, B copies, O observation, A action.  State float64, observation float32.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.wrappers.time_discretization import steps_of
from rlkit.options import ConfigError

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
    """The contract: what an environment has to say beyond clocks, seeds and resets.

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
        return BatchedEnv(cls(options, dt), num_envs, action_repeat, render_mode, autoreset_mode)

    @classmethod
    def make_single(
        cls, options: Any, dt: float, action_repeat: int = 1, render_mode: str | None = None
    ) -> "SingleEnv":
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


class BatchedEnv(VectorEnv):
    """B copies of one physics, advanced by array arithmetic.

    Copy i of `reset(seed=s)` is the process that a single environment seeded s + i is, whatever
    B is. With `SAME_STEP` an ended copy returns its first new observation and
    `infos["final_obs"][i]` holds its last one (rows of copies that go on: their observation).

    Args:
        physics: what a step does.
        num_envs: B.
        action_repeat: physics steps per step of the environment; multiplies dt.
        render_mode: None or "rgb_array"; copy 0 is drawn.
        autoreset_mode: SAME_STEP (no wasted transition) or NEXT_STEP.
    """

    def __init__(
        self,
        physics: Physics,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ):
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        if autoreset_mode not in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
            raise ConfigError(f"autoreset mode {autoreset_mode} is neither SAME_STEP nor NEXT_STEP")
        self.physics, self.num_envs, self.action_repeat = physics, num_envs, action_repeat
        self.dt, self.stock_dt = physics.dt * action_repeat, physics.stock_dt
        self.base_id, self.reward_bounds = physics.base_id, physics.reward_bounds
        self.limit_steps = _limit_steps(physics, self.dt)
        self.autoreset_mode, self.render_mode = autoreset_mode, _checked_mode(render_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": 1 / self.dt,
            "autoreset_mode": autoreset_mode,
        }
        self.single_observation_space = physics.observation_space
        self.single_action_space = physics.action_space
        self.observation_space = batch_space(physics.observation_space, num_envs)
        self.action_space = batch_space(physics.action_space, num_envs)
        self._rngs: list[np.random.Generator] = []
        self._state_SB: Array | None = None
        self._elapsed_B = np.zeros(num_envs, dtype=np.int64)
        self._ended_B = np.zeros(num_envs, dtype=bool)  # read by NEXT_STEP only
        self._artist: gymnasium.Env | None = None

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Starts all copies.

        Args:
            seed: s for s, s + 1, …; or one seed per copy; None goes on with the generators.
            options: `{"elapsed_steps": (B,) ints}` lets the clocks start apart.
        """
        elapsed = _checked_options(options)
        if seed is None:
            seed = [None] * self.num_envs
        elif isinstance(seed, int | np.integer):
            seed = [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds were given for {self.num_envs} environments")
        if not self._rngs:
            self._rngs = [seeding.np_random(s)[0] for s in seed]
        else:
            for i, s in enumerate(seed):
                if s is not None:
                    self._rngs[i] = seeding.np_random(s)[0]
        self._state_SB = np.stack([self.physics.draw(rng) for rng in self._rngs], axis=1)
        self._elapsed_B = np.broadcast_to(np.int64(elapsed), (self.num_envs,)).copy()
        self._ended_B = np.zeros(self.num_envs, dtype=bool)
        return self.physics.observe_start(self._state_SB), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        if self._state_SB is None:
            raise RuntimeError("step was called before reset")
        action_B = _checked_actions(actions, self.single_action_space, self.num_envs)
        if self.action_repeat == 1:
            state_SB, reward_B, terminated_B = self.physics.step(self._state_SB, action_B)
        else:
            state_SB, reward_B, terminated_B = repeat_step(
                self.physics, self.action_repeat, self._state_SB, action_B
            )
        self._state_SB = state_SB
        self._elapsed_B += 1
        truncated_B = self._elapsed_B >= self.limit_steps
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            return self._next_step(reward_B, terminated_B, truncated_B)
        obs_BO = self.physics.observe(state_SB)
        ended_B = terminated_B | truncated_B
        if not np.count_nonzero(ended_B):
            return obs_BO, reward_B, terminated_B, truncated_B, {}
        infos = {"final_obs": obs_BO.copy(), "_final_obs": ended_B}
        rows = np.flatnonzero(ended_B)
        obs_BO[rows] = self._restart(rows)
        return obs_BO, reward_B, terminated_B, truncated_B, infos

    def _next_step(
        self, reward_B: Array, terminated_B: Array, truncated_B: Array
    ) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Copies that ended one call ago spend this one on their reset."""
        assert self._state_SB is not None
        obs_BO = self.physics.observe(self._state_SB)
        rows = np.flatnonzero(self._ended_B)
        if rows.size:
            obs_BO[rows] = self._restart(rows)
            reward_B[rows], terminated_B[rows], truncated_B[rows] = 0.0, False, False
        self._ended_B = terminated_B | truncated_B
        return obs_BO, reward_B, terminated_B, truncated_B, {}

    def _restart(self, rows: Array) -> Array:
        assert self._state_SB is not None
        draw, rngs = self.physics.draw, self._rngs
        start_SK = np.stack([draw(rngs[i]) for i in rows], axis=1)
        self._state_SB[:, rows] = start_SK
        self._elapsed_B[rows] = 0
        return self.physics.observe_start(start_SK)

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as plain data."""
        if self._state_SB is None:
            raise RuntimeError("get_state was called before reset")
        return {
            "state": self._state_SB.copy(),
            "elapsed_steps": self._elapsed_B.copy(),
            "ended": self._ended_B.copy(),
            "rngs": [rng.bit_generator.state for rng in self._rngs],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` of an environment with as many copies returned."""
        state_SB = np.array(state["state"], dtype=np.float64)
        if state_SB.shape[1] != self.num_envs:
            raise ValueError(f"the state is of {state_SB.shape[1]} copies, not {self.num_envs}")
        self._state_SB = state_SB
        self._elapsed_B = np.array(state["elapsed_steps"], dtype=np.int64)
        self._ended_B = np.array(state["ended"], dtype=bool)
        self._rngs = [generator_of(s) for s in state["rngs"]]

    def phase_plane(self, n: int) -> PhasePlane | None:
        """A grid of n by n states and their observations; None if the state is not a plane."""
        if self.physics.phase_axes is None:
            return None
        x_axis, y_axis = self.physics.phase_axes
        x, y = np.linspace(x_axis.low, x_axis.high, n), np.linspace(y_axis.low, y_axis.high, n)
        grid_SB = np.stack([np.tile(x, n), np.repeat(y, n)])
        return PhasePlane(x, y, self.physics.observe(grid_SB), x_axis.label, y_axis.label)

    def render(self) -> tuple[Array, ...] | None:
        """A tuple of one frame, of copy 0."""
        if self.render_mode is None or self._state_SB is None:
            return None
        self._artist = self._artist or make_artist(self.physics)
        return (paint(self._artist, self._state_SB[:, 0]),)

    def close_extras(self, **kwargs: Any) -> None:
        if self._artist is not None:
            self._artist.close()


class SingleEnv(gymnasium.Env):
    """One copy of a physics as a `gymnasium.Env`: the same functions on arrays of length one.

    Args:
        physics: what a step does.
        action_repeat: physics steps per step of the environment; multiplies dt.
        render_mode: None or "rgb_array".
    """

    def __init__(self, physics: Physics, action_repeat: int = 1, render_mode: str | None = None):
        self.physics, self.action_repeat = physics, action_repeat
        self.dt, self.stock_dt = physics.dt * action_repeat, physics.stock_dt
        self.base_id, self.reward_bounds = physics.base_id, physics.reward_bounds
        self.limit_steps = _limit_steps(physics, self.dt)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 1 / self.dt}
        self.render_mode = _checked_mode(render_mode)
        self.observation_space, self.action_space = physics.observation_space, physics.action_space
        self._state_S1: Array | None = None
        self._elapsed_steps = 0
        self._artist: gymnasium.Env | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self._elapsed_steps = int(_checked_options(options))
        self._state_S1 = self.physics.draw(self.np_random)[:, None]
        return self.physics.observe_start(self._state_S1)[0], {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._state_S1 is None:
            raise RuntimeError("step was called before reset")
        action_1 = _checked_actions(np.asarray(action)[None], self.action_space, 1)
        self._state_S1, reward_1, terminated_1 = repeat_step(
            self.physics, self.action_repeat, self._state_S1, action_1
        )
        self._elapsed_steps += 1
        truncated = self._elapsed_steps >= self.limit_steps
        obs_O = self.physics.observe(self._state_S1)[0]
        return obs_O, float(reward_1[0]), bool(terminated_1[0]), truncated, {}

    def get_state(self) -> dict[str, Any]:
        if self._state_S1 is None:
            raise RuntimeError("get_state was called before reset")
        return {
            "state": self._state_S1.copy(),
            "elapsed_steps": self._elapsed_steps,
            "rng": self.np_random.bit_generator.state,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._state_S1 = np.array(state["state"], dtype=np.float64)
        self._elapsed_steps = int(state["elapsed_steps"])
        self.np_random = generator_of(state["rng"])

    def render(self) -> Any:
        if self.render_mode is None or self._state_S1 is None:
            return None
        self._artist = self._artist or make_artist(self.physics)
        return paint(self._artist, self._state_S1[:, 0])

    def close(self) -> None:
        if self._artist is not None:
            self._artist.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        raise TypeError("copy an environment with get_state and set_state")


def generator_of(state: Mapping[str, Any]) -> np.random.Generator:
    """A PCG64 generator in the given state."""
    bits = np.random.PCG64()
    bits.state = state  # type: ignore[assignment]
    return np.random.Generator(bits)


def make_artist(physics: Physics) -> gymnasium.Env:
    """The stock environment, which knows how to draw a state.

    Raises:
        ConfigError: its drawing library is not installed.
    """
    try:
        import pygame  # noqa: F401
    except ImportError as e:
        raise ConfigError(
            f"drawing {physics.stock_id} needs pygame: pip install 'gymnasium[classic-control]'"
        ) from e
    return gymnasium.make(
        physics.stock_id, render_mode="rgb_array", disable_env_checker=True
    ).unwrapped


def paint(artist: gymnasium.Env, state_S: Array) -> Array:
    """An rgb frame [height, width, 3] uint8 of a state."""
    artist.state = state_S.copy()  # type: ignore[attr-defined]
    artist.last_u = None  # type: ignore[attr-defined]  # Pendulum's arrow
    return np.asarray(artist.render(), dtype=np.uint8)


def _limit_steps(physics: Physics, dt: float) -> int:
    if physics.time_limit_seconds is None:
        return int(np.iinfo(np.int64).max)
    return steps_of(physics.time_limit_seconds, dt)


def _checked_mode(render_mode: str | None) -> str | None:
    if render_mode not in (None, "rgb_array"):
        raise ConfigError(f"render_mode is '{render_mode}', but must be null or 'rgb_array'")
    return render_mode


def _checked_options(options: Mapping[str, Any] | None) -> Any:
    options = dict(options or {})
    elapsed = options.pop("elapsed_steps", 0)
    if options:
        raise ValueError(f"unknown reset option '{next(iter(options))}' (allowed: elapsed_steps)")
    return elapsed


def _checked_actions(actions: Any, space: Any, num_envs: int) -> Array:
    if isinstance(space, Discrete):
        action_B = np.asarray(actions)
        if action_B.shape != (num_envs,) or action_B.dtype.kind not in "iu":
            raise ValueError(
                f"actions are {action_B.dtype} of shape {action_B.shape},"
                f" but must be integers of shape ({num_envs},)"
            )
        action_B = action_B.astype(np.int64, copy=False)
        if action_B.view(np.uint64).max() >= space.n:  # one reduction catches negatives too
            raise ValueError(f"an action lies outside 0 .. {space.n - 1}")
        return action_B
    action_BA = np.asarray(actions, dtype=np.float32)
    if action_BA.shape != (num_envs, *space.shape):
        raise ValueError(
            f"actions are of shape {action_BA.shape}, but must be ({num_envs}, {space.shape[0]})"
        )
    return action_BA
