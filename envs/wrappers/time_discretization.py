"""Time discretisation: which foreign environments can change their dt, and clocks in seconds.

A rule sets the step of a freshly built environment; it stands in `SET_DT` under the full id,
because a new version of an environment may keep its clock elsewhere.
"""

from collections.abc import Callable
from typing import Any

import gymnasium

from rlkit.options import ConfigError

SetDt = Callable[[gymnasium.Env, float], None]


def _attribute(name: str) -> SetDt:
    def set_dt(env: gymnasium.Env, dt: float) -> None:
        # on the instance, also where upstream keeps a class attribute: other copies are untouched
        setattr(env.unwrapped, name, dt)

    return set_dt


SET_DT: dict[str, SetDt] = {
    "Acrobot-v1": _attribute("dt"),
    "CartPole-v0": _attribute("tau"),
    "CartPole-v1": _attribute("tau"),
    "Pendulum-v1": _attribute("dt"),
}
"""Environments whose per-step reward is a rate already, so that only the clock has to change."""


def discretise(env: gymnasium.Env, env_id: str, dt: float, stock_dt: float) -> None:
    """Makes `env` advance `dt` seconds a step.

    Raises:
        ConfigError: `dt` differs from the native one and no rule is known for the environment.
    """
    if abs(dt - stock_dt) <= 1e-9 * stock_dt:
        return
    if env_id not in SET_DT:
        raise ConfigError(
            f"dt={dt:g} is not possible for {env_id}, whose own step is {stock_dt:g} s"
            f" (dt can be set for: {', '.join(sorted(SET_DT))})"
        )
    SET_DT[env_id](env, dt)


def steps_of(seconds: float, dt: float) -> int:
    """`seconds / dt` as a whole number of steps.

    Raises:
        ConfigError: dt does not divide the time within a millionth.
    """
    ratio = seconds / dt
    steps = round(ratio)
    if steps < 1 or abs(ratio - steps) > 1e-6 * ratio:
        raise ConfigError(
            f"dt={dt:g} s does not divide the time limit of {seconds:g} s"
            f" ({ratio:.6g} steps); choose dt = {seconds:g} / a whole number"
        )
    return steps


class PhysicalTimeLimit(gymnasium.Wrapper):
    """Truncates an episode after a time in seconds.

    `reset(options={"elapsed_steps": n})` starts the clock at n, so that the copies of a vector
    need not all end at once.

    Args:
        env: what to limit; `env.step` advances `dt` seconds.
        seconds: the limit, or None for no limit.
        dt: seconds per step.
    """

    def __init__(self, env: gymnasium.Env, seconds: float | None, dt: float):
        super().__init__(env)
        self.limit_steps = None if seconds is None else steps_of(seconds, dt)
        self.elapsed_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        options = dict(options or {})
        self.elapsed_steps = int(options.pop("elapsed_steps", 0))
        return self.env.reset(seed=seed, options=options or None)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.elapsed_steps += 1
        if self.limit_steps is not None and self.elapsed_steps >= self.limit_steps:
            truncated = True
        return obs, reward, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        return {"elapsed_steps": self.elapsed_steps, "env": self.env.get_state()}  # type: ignore[attr-defined]

    def set_state(self, state: dict[str, Any]) -> None:
        self.elapsed_steps = int(state["elapsed_steps"])
        self.env.set_state(state["env"])  # type: ignore[attr-defined]
