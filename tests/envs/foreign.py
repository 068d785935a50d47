"""Small foreign environments with unusual spaces, registered for the tests of the generic route."""

from typing import ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text


class Counting(gymnasium.Env):
    """Shows its clock and the last action; ends after a number of steps drawn at reset."""

    metadata: ClassVar = {"render_modes": [], "render_fps": 10}

    def __init__(self, observation="dict", action="multi"):
        self.what = observation
        image = Box(0, 255, (4, 5, 3), np.uint8)
        self.observation_space = {
            "dict": Dict(
                {
                    "eye": image,
                    "clock": Box(0, 100, (1,), np.float64),
                    "did": MultiDiscrete([2, 3]),
                    "words": Text(20),
                }
            ),
            "image": image,
            "gray": Box(0, 255, (4, 5), np.uint8),
        }[observation]
        self.action_space = {
            "multi": MultiDiscrete([2, 3]),
            "binary": MultiBinary(2),
            "one": Discrete(3),
        }[action]

    def _observe(self):
        image = np.full((4, 5, 3), 10 * self.clock, np.uint8) + np.arange(3, dtype=np.uint8)
        if self.what == "image":
            return image
        if self.what == "gray":
            return image[..., 0]
        return {
            "clock": np.array([self.clock / 3]),
            "did": np.array(self.did),
            "eye": image,
            "words": f"step {self.clock}",
        }

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.clock, self.did = 0, (0, 0)
        self.end = int(self.np_random.integers(3, 9))
        return self._observe(), {}

    def step(self, action):
        assert action in self.action_space
        self.clock += 1
        self.did = tuple(np.resize(action, 2) % (2, 3))
        return self._observe(), float(np.sum(action)), self.clock >= self.end, False, {}


def register():
    if "Counting-v0" not in gymnasium.registry:
        gymnasium.register("Counting-v0", Counting)
