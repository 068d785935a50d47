"""Foreign environments in the form of our contract: one of them, and B side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.actions import actions_of
from envs.packing import packer
from envs.physics import Array, PhasePlane
from envs.wrappers.time_discretization import PhysicalTimeLimit
from rlkit.observations import ObsPart


class PackedEnv(gymnasium.ObservationWrapper):
    """Observations as one array, new each time (some environments reuse theirs).

    Args:
        env: observes anything that `envs.packing` knows.
        drop_keys: names of parts to leave out.
    """

    def __init__(self, env: gymnasium.Env, drop_keys: Sequence[str] = ()):
        super().__init__(env)
        self.observation_space, self.obs_parts, self._pack = packer(
            env.observation_space, drop_keys
        )

    def observation(self, observation: Any) -> Array:
        return self._pack(observation)


class GymEnv(gymnasium.Wrapper):
    """The single form of the contract: actions in [-1, 1] or from 0, rates, dt.

    Args:
        env: packed, saved by replay, with a clock.
        dt: seconds per step.
        stock_dt: of the environment as its authors made it.
        success_above: return above which an episode succeeded; None if that is unknown.
    """

    reward_bounds = None

    def __init__(
        self, env: PhysicalTimeLimit, dt: float, stock_dt: float, success_above: float | None = None
    ):
        super().__init__(env)
        self.limit, self.limit_steps = env, env.limit_steps
        self.dt, self.stock_dt, self.success_above = dt, stock_dt, success_above
        self.obs_parts: tuple[ObsPart, ...] = env.get_wrapper_attr("obs_parts")
        self.action_space, self._theirs, self.one_sided = actions_of(env.action_space)

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(self._theirs(action))
        return obs, float(reward), bool(terminated), bool(truncated), info

    def get_state(self) -> dict[str, Any]:
        return self.limit.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        self.limit.set_state(state)


class GymVectorEnv(VectorEnv):
    """B instances stepped one after the other, with dense final observations.

    Args:
        envs: the instances.
    """

    reward_bounds = None

    def __init__(self, envs: Sequence[GymEnv]):
        self.copies = list(envs)
        self.sync = SyncVectorEnv(
            [lambda env=env: env for env in envs],  # type: ignore[misc]
            copy=False,
            autoreset_mode=AutoresetMode.SAME_STEP,
        )
        self.num_envs = len(envs)
        self.dt, self.stock_dt = envs[0].dt, envs[0].stock_dt
        self.limit_steps = envs[0].limit_steps
        self.obs_parts, self.success_above = envs[0].obs_parts, envs[0].success_above
        self.one_sided = envs[0].one_sided
        self.spec, self.metadata = envs[0].spec, self.sync.metadata
        self.render_mode = envs[0].render_mode
        self.base_id = envs[0].spec.name if envs[0].spec is not None else ""
        self.single_observation_space = envs[0].observation_space
        self.single_action_space = envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: Any = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """As `BatchedEnv.reset`: `options={"elapsed_steps": …}` lets the clocks start apart."""
        options = dict(options or {})
        elapsed = np.broadcast_to(options.pop("elapsed_steps", 0), (self.num_envs,))
        seed = int(seed) if isinstance(seed, np.integer) else seed
        obs_BO, infos = self.sync.reset(seed=seed, options=options or None)
        for copy, steps in zip(self.copies, elapsed, strict=True):
            copy.limit.elapsed_steps = int(steps)
        return obs_BO.copy(), infos

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        obs_BO, reward_B, terminated_B, truncated_B, infos = self.sync.step(actions)
        obs_BO = obs_BO.copy()
        if "_final_obs" in infos:
            final_BO = obs_BO.copy()
            for i in np.flatnonzero(infos["_final_obs"]):
                final_BO[i] = infos["final_obs"][i]
            infos["final_obs"] = final_BO
        return obs_BO, reward_B, terminated_B, truncated_B, infos

    def get_state(self) -> dict[str, Any]:
        return {"copies": [env.get_state() for env in self.copies]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        if len(state["copies"]) != self.num_envs:
            raise ValueError(f"the state is of {len(state['copies'])} copies, not {self.num_envs}")
        for env, one in zip(self.copies, state["copies"], strict=True):
            env.set_state(one)

    def phase_plane(self, n: int) -> PhasePlane | None:
        """None: the state of a foreign environment is unknown."""
        return None

    def render(self) -> tuple[Array, ...] | None:
        """A tuple of one frame, of copy 0."""
        if self.render_mode is None:
            return None
        return (np.asarray(self.copies[0].render(), dtype=np.uint8),)

    def close_extras(self, **kwargs: Any) -> None:
        self.sync.close()
