"""CarRacing (Oleg Klimov): a car seen from above, on a track that is new in each episode.

    reward    -0.1 a step of 0.02 s, +1000 / N for each of N tiles when a wheel first touches it
    lump      -100 instead, on leaving the playfield
    action    [-1, 1]^3: steering, left to right; gas and brake, where -1 is none and +1 is full,
              so that (0, -1, -1) lets the car roll

Physics and rewards are gymnasium's own code at its own step; a tile and the fall are sums, and the
step is the stock one, so that rewards as rates are upstream's to the last bit. Its track and its
frames, which take nearly all of the time, are replaced on the instance (`car_track`,
`car_frames`).
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from envs.box2d import make_upstream
from envs.car_frames import FastFrames, Frames, OfficialFrames
from envs.car_track import lay
from envs.gym_env import GymEnv, GymVectorEnv
from envs.physics import Array, checked_mode
from envs.wrappers.action_repeat import ActionRepeat
from envs.wrappers.replay import Replay
from envs.wrappers.time_discretization import PhysicalTimeLimit
from rlkit.observations import parts_of
from rlkit.options import ConfigError, option

STOCK_ID, STOCK_DT = "CarRacing-v3", 0.02
SOLVED = 900.0
"""Upstream's return above which the task is solved."""


@dataclass(frozen=True)
class CarRacingOptions:
    time_limit_seconds: float = option("episode length", unit="s", above=0)
    renderer: Literal["fast", "official"] = option(
        "what draws the frames: fast = OpenCV, official = pygame, as in gymnasium"
    )
    size: Literal[64, 96] = option("of a frame, height and width", unit="pixels")
    crop: bool = option(
        "leave out the dashboard, an eighth of the picture, from which speed can be read"
    )
    supersampling: int = option(
        "fast renderer: canvas pixels per pixel and axis", low=1, high=8, search=(1, 2, 3, 4)
    )


class CarRacing(gymnasium.Wrapper):
    """Drive along the track; an observation is the picture around the car.

    Args:
        options: the declared options.
        render_mode: None or "rgb_array", always drawn by gymnasium.
    """

    def __init__(self, options: CarRacingOptions, render_mode: str | None = None):
        super().__init__(make_upstream(STOCK_ID, render_mode, {}))
        self.frames = _frames(options)
        self.base = cast(Any, self.env.unwrapped)
        self.base._create_track = self._create_track
        self.base._render = self._render
        shape = (options.size, options.size, 3)
        self.observation_space = Box(0, 255, shape, dtype=np.uint8)
        self.obs_parts = parts_of(self.observation_space)

    def _create_track(self) -> bool:
        road = lay(self.base)
        if road is not None:
            self.frames.begin(self.base, road)
        return road is not None

    def _render(self, mode: str) -> Any:
        if mode == "state_pixels":
            return self.frames.paint(self.base)
        return type(self.base)._render(self.base, mode)

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, dict[str, Any]]:
        if not np.isfinite(action).all():  # the physics would go on, and count tiles
            raise ValueError(f"an action of {action} is not finite")
        return self.env.step(action)

    @classmethod
    def native_dt(cls, options: CarRacingOptions) -> float:
        return STOCK_DT

    @classmethod
    def make_vector(
        cls,
        options: CarRacingOptions,
        dt: float,
        num_envs: int,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> GymVectorEnv:
        if num_envs < 1:
            raise ConfigError(f"num_envs is {num_envs}, but must be at least 1")
        modes = [render_mode] + [None] * (num_envs - 1)  # only copy 0 is drawn
        return GymVectorEnv([cls.make_single(options, dt, action_repeat, mode) for mode in modes])

    @classmethod
    def make_single(
        cls,
        options: CarRacingOptions,
        dt: float,
        action_repeat: int = 1,
        render_mode: str | None = None,
    ) -> GymEnv:
        if abs(dt - STOCK_DT) > 1e-9:
            raise ConfigError(
                f"dt={dt:g} s is not possible for {STOCK_ID}, whose gas and brakes act per step:"
                f" only {STOCK_DT:g} s is (wrappers.action_repeat makes decisions rarer)"
            )
        env: gymnasium.Env = Replay(lambda: cls(options, checked_mode(render_mode)))
        if action_repeat > 1:
            env = ActionRepeat(env, action_repeat)
        outer_dt = dt * action_repeat
        limited = PhysicalTimeLimit(env, options.time_limit_seconds, outer_dt)
        return GymEnv(limited, outer_dt, STOCK_DT, SOLVED * STOCK_DT)


def _frames(options: CarRacingOptions) -> Frames:
    if options.renderer == "official":
        return OfficialFrames(options.size, options.crop)
    return FastFrames(options.size, options.crop, options.supersampling)
