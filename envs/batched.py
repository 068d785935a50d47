"""The batched form: B copies of one physics, advanced by array arithmetic.

Shapes: S state, B copies, K of them restarting, O observation.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs import drawing
from envs.physics import (
    Array,
    PhasePlane,
    Physics,
    checked_actions,
    checked_mode,
    checked_options,
    generator_of,
    limit_steps,
    repeat_step,
    seeded,
)
from rlkit.observations import parts_of
from rlkit.options import ConfigError

_ONE = np.array(1)  # spares the conversion of a Python number in every step


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
        self.obs_parts = parts_of(physics.observation_space)
        self.success_above = physics.success_above
        self.limit_steps = limit_steps(physics, self.dt)
        endless = np.iinfo(np.int64).max
        self._limit = np.array(endless if self.limit_steps is None else self.limit_steps)
        self.autoreset_mode, self.render_mode = autoreset_mode, checked_mode(render_mode)
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
        elapsed = checked_options(options)
        self._rngs = seeded(self._rngs, seed, self.num_envs)
        self._state_SB = np.stack([self.physics.draw(rng) for rng in self._rngs], axis=1)
        self._elapsed_B = np.broadcast_to(np.int64(elapsed), (self.num_envs,)).copy()
        self._ended_B = np.zeros(self.num_envs, dtype=bool)
        return self.physics.observe_start(self._state_SB), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        if self._state_SB is None:
            raise RuntimeError("step was called before reset")
        action_B = checked_actions(actions, self.single_action_space, self.num_envs)
        if self.action_repeat == 1:
            state_SB, reward_B, terminated_B = self.physics.step(self._state_SB, action_B)
        else:
            state_SB, reward_B, terminated_B = repeat_step(
                self.physics, self.action_repeat, self._state_SB, action_B
            )
        self._state_SB = state_SB
        self._elapsed_B += _ONE
        truncated_B = self._elapsed_B >= self._limit
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            return self._next_step(reward_B, terminated_B, truncated_B)
        obs_BO = self.physics.observe(state_SB)
        ended_B = terminated_B | truncated_B
        if not np.count_nonzero(ended_B):
            return obs_BO, reward_B, terminated_B, truncated_B, {}
        infos = {"final_obs": obs_BO.copy(), "_final_obs": ended_B}
        (rows,) = ended_B.nonzero()
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
        start_KS = np.array([draw(rngs[i]) for i in rows.tolist()])
        self._state_SB.T[rows] = start_KS
        self._elapsed_B[rows] = 0
        return self.physics.observe_start(start_KS.T)

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
        self._artist = self._artist or drawing.make_artist(self.physics)
        return (drawing.paint(self._artist, self._state_SB[:, 0]),)

    def close_extras(self, **kwargs: Any) -> None:
        if self._artist is not None:
            self._artist.close()
