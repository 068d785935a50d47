"""State of a foreign environment: the random state at the last reset and the actions since.

It is restored by replaying them in a fresh instance. Pickling is a trap: some environments raise
afterwards, others silently differ.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

from envs.physics import generator_of


def _forget(env: gymnasium.Env) -> None:
    """Removes what an environment carries from one episode into the next, beside its generator.

    BipedalWalker keeps its Box2D world, whose solver remembers earlier bodies.
    """
    base: Any = env.unwrapped
    if env.spec is not None and env.spec.name in ("BipedalWalker", "BipedalWalkerHardcore"):
        base._destroy()
        base.world = type(base.world)()


class Replay(gymnasium.Wrapper):
    """Remembers how the present state came about, and can bring it about again.

    Args:
        build: makes a fresh instance of the environment.
    """

    def __init__(self, build: Callable[[], gymnasium.Env]):
        super().__init__(build())
        self._build = build
        self._origin: dict[str, Any] | None = None
        self._actions: list[Any] = []
        self._last_obs: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        # a seed replaces the generator, so the seed itself is the origin
        rng = self.env.unwrapped.np_random.bit_generator.state if seed is None else None
        self._origin, self._actions = {"seed": seed, "rng": rng, "options": options}, []
        _forget(self.env)
        obs, info = self.env.reset(seed=seed, options=options)
        self._last_obs = np.array(obs)
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._actions.append(np.array(action))
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._last_obs = np.array(obs)
        return obs, reward, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        if self._origin is None:
            raise RuntimeError("get_state was called before reset")
        return {
            **self._origin,
            "actions": np.array(self._actions),
            "last_obs": np.array(self._last_obs),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Replays; refuses an environment that does not return to the same observation."""
        self.env.close()
        self.env = self._build()
        if state["rng"] is not None:
            self.env.unwrapped.np_random = generator_of(state["rng"])
        self._origin = {key: state[key] for key in ("seed", "rng", "options")}
        self._actions = []
        obs, _ = self.env.reset(seed=state["seed"], options=state["options"])
        for action in state["actions"]:
            self._actions.append(action)
            obs, *_ = self.env.step(action if action.shape else action.item())
        self._last_obs = obs
        if not np.array_equal(np.asarray(obs), state["last_obs"], equal_nan=True):
            raise RuntimeError(
                f"{self.env} did not return to its state when its last episode was replayed"
            )
