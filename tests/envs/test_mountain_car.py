"""What the mountain cars do at other steps than upstream's."""

import numpy as np
import pytest

from envs import make_vector_env


def run_to_the_goal(dt: float, lump: str) -> tuple[float, float]:
    """Return (sum of r dt) and duration, pushing along the velocity."""
    envs = make_vector_env("mountain_car_continuous", {"lump": lump}, dt=dt, num_envs=1)
    obs_BO, _ = envs.reset(seed=0)
    total = 0.0
    for t in range(round(400 / dt)):
        action_BA = np.where(obs_BO[:, 1:] < 0, np.float32(-1), np.float32(1))
        obs_BO, reward_B, terminated_B, _, _ = envs.step(action_BA)
        total += reward_B[0] * dt
        if terminated_B[0]:
            return total, (t + 1) * dt
    raise AssertionError("did not reach the goal")


def test_the_lump_keeps_its_share_of_the_return_at_every_dt():
    for dt in (1.0, 0.25):
        total, duration = run_to_the_goal(dt, "kept")
        assert total == pytest.approx(100 - 0.1 * duration)


def test_the_vanishing_lump_shrinks_with_dt():
    total, duration = run_to_the_goal(0.25, "vanishing")
    assert total == pytest.approx(25 - 0.1 * duration)


def test_the_drive_takes_as_long_at_every_dt():
    durations = [run_to_the_goal(dt, "kept")[1] for dt in (0.5, 0.25, 0.125)]
    assert max(durations) - min(durations) < 0.05 * durations[-1]


def test_state_is_float64_below_the_stock_step():
    envs = make_vector_env("mountain_car_continuous", dt=0.01, num_envs=3)
    envs.reset(seed=1)
    for _ in range(5):
        envs.step(np.full((3, 1), 0.3, np.float32))
    state_SB = envs.get_state()["state"]
    assert (state_SB != state_SB.astype(np.float32)).any()
