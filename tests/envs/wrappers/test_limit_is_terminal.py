"""The time limit as a termination."""

import numpy as np
import pytest

from envs import make_env, make_vector_env

CHOSEN = {"limit_is_terminal": True}


@pytest.mark.parametrize("name", ["cartpole", "gym"])
def test_a_truncation_is_reported_as_a_termination_and_nothing_else_changes(name):
    B = 8
    plain = make_vector_env(name, num_envs=B)
    ours = make_vector_env(name, num_envs=B, wrappers=CHOSEN)
    clocks = {"elapsed_steps": 480 + np.arange(B)}
    first, _ = plain.reset(seed=1, options=clocks)
    np.testing.assert_array_equal(ours.reset(seed=1, options=clocks)[0], first)
    rng, limits = np.random.default_rng(0), 0
    for _ in range(80):
        action_B = rng.integers(0, 2, B)
        want, got = plain.step(action_B), ours.step(action_B)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        np.testing.assert_array_equal(got[2], want[2] | want[3])
        assert not got[3].any()
        assert got[2].dtype == got[3].dtype == bool
        limits += want[3].sum()
        if "final_obs" in want[4]:
            np.testing.assert_array_equal(got[4]["final_obs"], want[4]["final_obs"])
    assert limits > 0


def test_single_form():
    env = make_env("acrobot", wrappers=CHOSEN)
    env.reset(seed=0, options={"elapsed_steps": 498})
    assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == (True, False)
    assert env.limit_steps == 500


def test_off_by_default():
    env = make_env("acrobot")
    env.reset(seed=0, options={"elapsed_steps": 499})
    assert env.step(0)[2:4] == (False, True)


def test_the_phase_plane_shows_through():
    plain = make_vector_env("pendulum", num_envs=2)
    ours = make_vector_env("pendulum", num_envs=2, wrappers=CHOSEN)
    np.testing.assert_array_equal(ours.phase_plane(3).obs, plain.phase_plane(3).obs)
