"""Action repeat: each action is held for k steps, and dt grows k-fold.

The reward is the mean rate over the longer step, so that reward times dt is unchanged as a sum;
an episode that ends inside the step earns nothing after its end. Batched physics repeat inside
(`envs.physics.repeat_step`), because an ended copy must not go on with the old action.
"""

from typing import Any

import gymnasium

from rlkit.options import ConfigError


class ActionRepeat(gymnasium.Wrapper):
    """Holds each action of a single environment.

    Args:
        env: what to step.
        repeat: k.
    """

    def __init__(self, env: gymnasium.Env, repeat: int):
        if repeat < 1:
            raise ConfigError(f"wrappers.action_repeat is {repeat}, but must be at least 1")
        super().__init__(env)
        self.repeat = repeat

    @property
    def dt(self) -> float:
        return self.env.get_wrapper_attr("dt") * self.repeat

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        total = 0.0
        for _ in range(self.repeat):
            obs, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return obs, total / self.repeat, terminated, truncated, info

    def get_state(self) -> dict[str, Any]:
        return self.env.get_wrapper_attr("get_state")()

    def set_state(self, state: dict[str, Any]) -> None:
        self.env.get_wrapper_attr("set_state")(state)
