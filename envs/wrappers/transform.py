"""The contract of an observation wrapper, and the two shells that apply one.

A `Transform` is a rule on batches. `VectorTransform` puts it around a vector environment,
`SingleTransform` around a single one; the rule itself is written once.

On a SAME_STEP end the final observation goes on with the episode (`step`), and the returned row
begins another one (`start`), in this order.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Space
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.physics import PhasePlane
from rlkit.observations import ObsPart, parts_of
from rlkit.options import ConfigError

Array = NDArray[Any]
Seed = int | Sequence[int | None] | None


class EnvFacts(NamedTuple):
    """What a transform may know of the environment below it."""

    observation_space: Box
    obs_parts: tuple[ObsPart, ...]
    action_space: Space
    base_id: str
    """Id without namespace and version."""
    num_envs: int = 1

    @classmethod
    def of_vector(cls, envs: VectorEnv) -> "EnvFacts":
        space = _box(envs.single_observation_space)
        parts = getattr(envs, "obs_parts", None) or parts_of(space)
        return cls(space, parts, envs.single_action_space, base_id_of(envs), envs.num_envs)

    @classmethod
    def of_single(cls, env: gymnasium.Env) -> "EnvFacts":
        space = _box(env.observation_space)
        declared = env.has_wrapper_attr("obs_parts") and env.get_wrapper_attr("obs_parts")
        return cls(space, declared or parts_of(space), env.action_space, base_id_of(env))

    def check_vectors(self, option: str) -> None:
        """Refuses images and grids.

        Args:
            option: name of the wrapper that needs plain numbers.
        """
        for part in self.obs_parts:
            if part.kind != "vector":
                raise ConfigError(
                    f"wrappers.{option} needs a vector of numbers, but observation part"
                    f" '{part.name}' is of kind {part.kind} and shape {part.shape}"
                )


def _box(space: Space) -> Box:
    if not isinstance(space, Box):
        raise ConfigError(f"wrappers need observations in a Box, not in {space}")
    return space


def base_id_of(env: Any) -> str:
    """`"Pendulum"` for Pendulum-v1 and rlkit/Pendulum-v0 alike; empty if the id is unknown."""
    base = env.unwrapped
    if hasattr(base, "base_id"):
        return str(base.base_id)
    if getattr(env, "spec", None) is None:
        return ""
    return str(env.spec.name)


class Transform(ABC):
    """An observation rule on batches.

    Args:
        facts: spaces and size of the environment below.
    """

    observation_space: Box
    """Of one copy, after the rule."""
    obs_parts: tuple[ObsPart, ...]
    """What an observation is made of, after the rule."""
    stateless = False
    """The rule depends on the current observation alone."""

    def __init__(self, facts: EnvFacts):
        self.facts = facts
        self.observation_space, self.obs_parts = facts.observation_space, facts.obs_parts

    def seed(self, seed: Seed) -> None:  # noqa: B027 - a rule without randomness needs none
        """Seeds the rule's own generator; None leaves it alone."""

    @abstractmethod
    def start(self, obs_KO: Array, rows_K: Array) -> Array:
        """First observations of the copies `rows_K`, which begin an episode."""

    @abstractmethod
    def step(self, obs_BO: Array, action_BA: Array, reward_B: Array) -> Array:
        """Observations of all copies after a step."""

    def ends(self, terminated: Any, truncated: Any) -> tuple[Any, Any]:
        """The flags of a step, as arrays or single values."""
        return terminated, truncated

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - nothing to take up
        """Takes up what `get_state` returned."""


class VectorTransform(VectorWrapper):
    """A vector environment seen through a transform."""

    def __init__(self, envs: VectorEnv, transform: Transform):
        if envs.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"wrappers need the autoreset mode SAME_STEP,"
                f" not {envs.metadata.get('autoreset_mode')}"
            )
        super().__init__(envs)
        self.transform = transform
        self.single_observation_space = transform.observation_space
        self.observation_space = batch_space(transform.observation_space, envs.num_envs)
        self._everyone = np.arange(envs.num_envs)

    @property
    def obs_parts(self) -> tuple[ObsPart, ...]:
        return self.transform.obs_parts

    @property
    def success_above(self) -> float | None:
        return getattr(self.env, "success_above", None)

    @property
    def one_sided(self) -> tuple[int, ...]:
        return getattr(self.env, "one_sided", ())

    @property
    def dt(self) -> float:
        return self.env.dt  # type: ignore[attr-defined]

    @property
    def stock_dt(self) -> float:
        return self.env.stock_dt  # type: ignore[attr-defined]

    @property
    def limit_steps(self) -> int | None:
        return self.env.limit_steps  # type: ignore[attr-defined]

    @property
    def reward_bounds(self) -> tuple[float, float] | None:
        return self.env.reward_bounds  # type: ignore[attr-defined]

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        obs_BO, infos = self.env.reset(seed=seed, options=options)
        self.transform.seed(seed)
        return self.transform.start(obs_BO, self._everyone), infos

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        obs_BO, reward_B, terminated_B, truncated_B, infos = self.env.step(actions)
        terminated_B, truncated_B = self.transform.ends(terminated_B, truncated_B)
        if "_final_obs" not in infos:
            seen_BO = self.transform.step(obs_BO, actions, reward_B)
            return seen_BO, reward_B, terminated_B, truncated_B, infos
        final_BO = self.transform.step(infos["final_obs"], actions, reward_B)
        rows_K = np.flatnonzero(infos["_final_obs"])
        seen_BO = final_BO.copy()
        seen_BO[rows_K] = self.transform.start(obs_BO[rows_K], rows_K)
        return seen_BO, reward_B, terminated_B, truncated_B, {**infos, "final_obs": final_BO}

    def get_state(self) -> dict[str, Any]:
        return {
            "env": self.env.get_state(),  # type: ignore[attr-defined]
            "transform": self.transform.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.env.set_state(state["env"])  # type: ignore[attr-defined]
        self.transform.set_state(state["transform"])

    def phase_plane(self, n: int) -> PhasePlane | None:
        """The plane below, seen through the rule; None where an observation needs a history."""
        plane: PhasePlane | None = self.env.phase_plane(n)  # type: ignore[attr-defined]
        if plane is None or not self.transform.stateless:
            return None
        return plane._replace(obs=self.transform.start(plane.obs, np.arange(n * n)))


class SingleTransform(gymnasium.Wrapper):
    """A single environment seen through a transform."""

    def __init__(self, env: gymnasium.Env, transform: Transform):
        super().__init__(env)
        self.transform = transform
        self.observation_space = transform.observation_space

    @property
    def obs_parts(self) -> tuple[ObsPart, ...]:
        return self.transform.obs_parts

    @property
    def success_above(self) -> float | None:
        known = self.env.has_wrapper_attr("success_above")
        return self.env.get_wrapper_attr("success_above") if known else None

    @property
    def dt(self) -> float:
        return self.env.get_wrapper_attr("dt")

    @property
    def stock_dt(self) -> float:
        return self.env.get_wrapper_attr("stock_dt")

    @property
    def limit_steps(self) -> int | None:
        return self.env.limit_steps  # type: ignore[attr-defined]

    @property
    def reward_bounds(self) -> tuple[float, float] | None:
        return self.env.get_wrapper_attr("reward_bounds")

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        obs_O, info = self.env.reset(seed=seed, options=options)
        self.transform.seed(seed)
        return self.transform.start(obs_O[None], np.zeros(1, dtype=np.int64))[0], info

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        obs_O, reward, terminated, truncated, info = self.env.step(action)
        terminated, truncated = self.transform.ends(terminated, truncated)
        seen_1O = self.transform.step(obs_O[None], np.asarray(action)[None], np.array([reward]))
        return seen_1O[0], reward, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        return {
            "env": self.env.get_wrapper_attr("get_state")(),
            "transform": self.transform.get_state(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.env.get_wrapper_attr("set_state")(state["env"])
        self.transform.set_state(state["transform"])
