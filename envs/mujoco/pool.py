"""The vector form: B simulations of one body, stepped by one or more threads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.mujoco.body import Array, Body
from envs.mujoco.copies import Copies
from envs.physics import (
    PhasePlane,
    checked_actions,
    checked_mode,
    checked_options,
    generator_of,
    seeded,
)
from rlkit.observations import parts_of


class MujocoPool(VectorEnv):
    """B simulations of one body (autoreset SAME_STEP).

    Copy i of `reset(seed=s)` is the process that a single environment seeded s + i is, whatever
    B and the number of threads are. Where a copy ended, the returned row is its first new
    observation and `infos["final_obs"][i]` its last one (other rows: their observation).

    Args:
        body: the task.
        num_envs: B.
        action_repeat: steps an action is held; multiplies dt.
        render_mode: None or "rgb_array"; copy 0 is drawn.
        num_threads: that step the copies.
    """

    reward_bounds = None
    success_above = None

    def __init__(
        self,
        body: Body,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
        num_threads: int = 1,
    ):
        self.render_mode = checked_mode(render_mode)
        self.copies = Copies(body, num_envs, action_repeat, num_threads)
        self.body, self.num_envs, self.base_id = body, num_envs, body.base_id
        self.dt, self.stock_dt = self.copies.dt, body.stock_dt
        self.limit_steps = self.copies.limit_steps
        self.obs_parts = parts_of(body.observation_space)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": 1 / self.dt,
            "autoreset_mode": AutoresetMode.SAME_STEP,
        }
        self.single_observation_space = body.observation_space
        self.single_action_space = body.action_space
        self.observation_space = batch_space(body.observation_space, num_envs)
        self.action_space = batch_space(body.action_space, num_envs)
        self._rngs: list[np.random.Generator] = []

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
        obs_BO = self.copies.begin(range(self.num_envs), self._rngs)
        self.copies.elapsed_B[:] = elapsed
        return obs_BO, {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        if not self._rngs:
            raise RuntimeError("step was called before reset")
        action_BA = checked_actions(actions, self.single_action_space, self.num_envs)
        obs_BO, reward_B, terminated_B, truncated_B = self.copies.step(action_BA)
        ended_B = terminated_B | truncated_B
        if not np.count_nonzero(ended_B):
            return obs_BO, reward_B, terminated_B, truncated_B, {}
        infos = {"final_obs": obs_BO.copy(), "_final_obs": ended_B}
        rows_K = np.flatnonzero(ended_B).tolist()
        obs_BO[rows_K] = self.copies.begin(rows_K, self._rngs)
        return obs_BO, reward_B, terminated_B, truncated_B, infos

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit, as plain data."""
        if not self._rngs:
            raise RuntimeError("get_state was called before reset")
        rngs = [rng.bit_generator.state for rng in self._rngs]
        return {**self.copies.get_state(), "rngs": rngs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` of an environment with as many copies returned."""
        self.copies.set_state(state)
        self._rngs = [generator_of(s) for s in state["rngs"]]

    def phase_plane(self, n: int) -> PhasePlane | None:
        """None: no body has a plane of states."""
        return None

    def render(self) -> tuple[Array, ...] | None:
        """A tuple of one frame, of copy 0."""
        if self.render_mode is None or not self._rngs:
            return None
        return (self.copies.paint(),)

    def close_extras(self, **kwargs: Any) -> None:
        self.copies.close()
