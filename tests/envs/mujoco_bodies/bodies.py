"""What the MuJoCo tests share: names, stock environments in lockstep, recorded steps.

The folder is not called `mujoco`: pytest puts `tests/envs` on the path, where a folder of that name
would look like the package to whoever asks whether it is installed.
"""

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs import make_vector_env
from envs.mujoco import BODIES

NAMES = sorted(BODIES)
ENDLESS = {"time_limit_seconds": None}


def short(name: str, steps: int, **options) -> dict:
    """Options of episodes of so many stock steps."""
    return {"time_limit_seconds": steps * stock_dt(name), **options}


def stock_dt(name: str) -> float:
    from envs import native_dt

    return native_dt(name)


def stock_of(ours, limit_steps: int, **kwargs) -> SyncVectorEnv:
    """Gymnasium's environments; `kwargs` are of their constructor."""

    def make() -> gymnasium.Env:
        return gymnasium.make(
            ours.body.stock_id, max_episode_steps=limit_steps, disable_env_checker=True, **kwargs
        )

    return SyncVectorEnv([make] * ours.num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


def lockstep(ours, stock: SyncVectorEnv, steps: int) -> int:
    """Steps both with the same actions; raises on any difference; returns the ends seen."""
    obs_BO, want_BO = ours.reset(seed=3)[0], stock.reset(seed=3)[0]
    assert obs_BO.dtype == np.float32
    np.testing.assert_array_equal(obs_BO, np.float32(want_BO))
    ends = 0
    for action_BA in actions(ours, steps, seed=0):
        got, want = ours.step(action_BA), stock.step(ours.body.controls_of(action_BA))
        np.testing.assert_array_equal(got[0], np.float32(want[0]))
        assert got[1].dtype == np.float64
        for mine, theirs in zip(got[1:4], want[1:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        ended_B = got[2] | got[3]
        assert ("final_obs" in got[4]) == ended_B.any()
        for i in np.flatnonzero(ended_B):
            final_O = np.float32(want[4]["final_obs"][i])
            np.testing.assert_array_equal(got[4]["final_obs"][i], final_O)
            ends += 1
    return ends


def actions(ours, steps: int, seed: int) -> np.ndarray:
    """Random ones [T, B, A] in [-1, 1]."""
    A = ours.single_action_space.shape[0]
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (steps, ours.num_envs, A)).astype(np.float32)


def roll(ours, action_TBA: np.ndarray) -> list[np.ndarray]:
    """All returned arrays."""
    rows = []
    for action_BA in action_TBA:
        obs_BO, *rest, infos = ours.step(action_BA)
        rows.append((obs_BO, *rest, infos.get("final_obs", obs_BO)))
    return [np.stack(column) for column in zip(*rows, strict=True)]


def pool(name: str, num_envs: int = 3, **kwargs):
    """Episodes of 40 stock steps, so that clocks run out too."""
    options = short(name, 40, **kwargs.pop("options", {}))
    return make_vector_env(name, options, num_envs=num_envs, **kwargs)
