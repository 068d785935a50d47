"""B simulations of one model: what the pool and the single form have in common.

Shapes: B copies, K of them restarting, A actuators, P numbers of the physical state.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gymnasium
import numpy as np

from envs.mujoco.body import Array, Body, Reading
from envs.mujoco.model import mujoco_for
from envs.wrappers.time_discretization import steps_of
from rlkit.options import ConfigError


class Copies:
    """Steps, starts and states of B simulations.

    `mj_step` releases the interpreter's lock, so threads run side by side. Each copy is stepped by
    one of them alone: the results do not depend on their number.

    Args:
        body: the task.
        num_envs: B.
        action_repeat: steps an action is held.
        num_threads: this one included.
    """

    def __init__(self, body: Body, num_envs: int, action_repeat: int = 1, num_threads: int = 1):
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        self.body, self.num_envs, self.action_repeat = body, num_envs, action_repeat
        self.dt = body.dt * action_repeat
        limit = body.time_limit_seconds
        self.limit_steps = None if limit is None else steps_of(limit, self.dt)
        self._mujoco = mujoco_for(body.stock_id)
        self._datas = [self._mujoco.MjData(body.model) for _ in range(num_envs)]
        self._controls = [data.ctrl for data in self._datas]
        views = [body.views(data) for data in self._datas]
        self._views = {name: [v[name].reshape(-1) for v in views] for name in views[0]}
        self._spec = int(self._mujoco.mjtState.mjSTATE_INTEGRATION)
        self._size = self._mujoco.mj_stateSize(body.model, self._spec)
        self.num_threads = min(num_threads, num_envs)
        self._others = ThreadPoolExecutor(self.num_threads - 1) if self.num_threads > 1 else None
        self._place_B = np.zeros(num_envs)
        self.elapsed_B = np.zeros(num_envs, dtype=np.int64)
        self._artist: Any = None

    def begin(self, rows_K: Sequence[int], rngs: Sequence[np.random.Generator]) -> Array:
        """New episodes in some copies, each drawn from its own generator; first observations."""
        model = self.body.model
        for i in rows_K:
            data = self._datas[i]
            self._mujoco.mj_resetData(model, data)
            data.qpos[:], data.qvel[:] = self.body.draw(rngs[i])
            self._mujoco.mj_forward(model, data)
        reading = self._read(rows_K)
        self._place_B[rows_K] = self.body.place(reading)
        self.elapsed_B[rows_K] = 0
        return self.body.observe(reading)

    def step(self, action_BA: Array) -> tuple[Array, Array, Array, Array]:
        """(observations, reward rates float64, terminated, truncated).

        A held action is several steps whose mean rate is the reward, so that reward times the
        longer dt is the sum of rewards times the shorter one; a copy that terminates stays where
        it ended.
        """
        control_BA = self.body.controls_of(action_BA)
        for controls, row_A in zip(self._controls, control_BA, strict=True):
            controls[:] = row_A
        reading, reward_B, terminated_B = self._advance(range(self.num_envs), control_BA)
        for _ in range(self.action_repeat - 1):
            alive_B = ~terminated_B
            rows = np.flatnonzero(alive_B).tolist()
            reading, next_reward_B, ended_B = self._advance(rows, control_BA)
            reward_B += np.where(alive_B, next_reward_B, 0.0)
            terminated_B |= alive_B & ended_B
        if self.action_repeat > 1:
            reward_B /= self.action_repeat
        self.elapsed_B += 1
        if self.limit_steps is None:
            truncated_B = np.zeros(self.num_envs, dtype=bool)
        else:
            truncated_B = self.elapsed_B >= self.limit_steps
        return self.body.observe(reading), reward_B, terminated_B, truncated_B

    def _advance(self, rows: Sequence[int], control_BA: Array) -> tuple[Reading, Array, Array]:
        if self._others is None:
            self._simulate(rows)
        else:
            share = -(-len(rows) // self.num_threads)
            shares = [rows[k : k + share] for k in range(0, len(rows), share)] if rows else []
            running = [self._others.submit(self._simulate, part) for part in shares[1:]]
            if shares:
                self._simulate(shares[0])
            for one in running:
                one.result()
        reading = self._read(None)
        place_B = self.body.place(reading)
        speed_B = (place_B - self._place_B) / self.body.step_seconds
        self._place_B = place_B
        return reading, *self.body.outcome(reading, speed_B, control_BA)

    def _simulate(self, rows: Sequence[int]) -> None:
        mujoco, model, count = self._mujoco, self.body.model, self.body.frame_skip
        contacts = self.body.contacts
        for i in rows:
            data = self._datas[i]
            mujoco.mj_step(model, data, count)
            if contacts:
                mujoco.mj_rnePostConstraint(model, data)

    def _read(self, rows: Sequence[int] | None) -> Reading:
        """What matters of all copies, or of some."""
        if rows is None:
            return {
                name: np.concatenate(views).reshape(self.num_envs, -1)
                for name, views in self._views.items()
            }
        return {name: np.stack([views[i] for i in rows]) for name, views in self._views.items()}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit but the generators, as plain data."""
        state_BP = np.empty((self.num_envs, self._size))
        for row_P, data in zip(state_BP, self._datas, strict=True):
            self._mujoco.mj_getState(self.body.model, data, row_P, self._spec)
        return {
            "simulation": state_BP,
            "place": self._place_B.copy(),
            "elapsed_steps": self.elapsed_B.copy(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` of as many copies of this body returned."""
        state_BP = np.ascontiguousarray(state["simulation"], dtype=np.float64)
        if state_BP.shape != (self.num_envs, self._size):
            raise ValueError(
                f"the state is of {state_BP.shape[0]} copies with {state_BP.shape[1]} numbers,"
                f" not {self.num_envs} with {self._size}"
            )
        for row_P, data in zip(state_BP, self._datas, strict=True):
            self._mujoco.mj_resetData(self.body.model, data)
            self._mujoco.mj_setState(self.body.model, data, row_P, self._spec)
        self._place_B = np.array(state["place"], dtype=np.float64)
        self.elapsed_B = np.array(state["elapsed_steps"], dtype=np.int64)

    def paint(self) -> Array:
        """An rgb frame [height, width, 3] uint8 of copy 0, by the stock environment."""
        stock_id, data = self.body.stock_id, self._datas[0]
        if self._artist is None:
            self._artist = gymnasium.make(
                stock_id, render_mode="rgb_array", disable_env_checker=True
            ).unwrapped
        self._artist.set_state(data.qpos, data.qvel)
        try:
            return np.asarray(self._artist.render(), dtype=np.uint8)
        except (ImportError, RuntimeError, self._mujoco.FatalError) as e:
            raise ConfigError(
                f"drawing {stock_id} needs OpenGL; on a machine without a screen set the variable"
                f" MUJOCO_GL=egl ({e})"
            ) from e

    def close(self) -> None:
        if self._others is not None:
            self._others.shutdown()
        if self._artist is not None:
            self._artist.close()
