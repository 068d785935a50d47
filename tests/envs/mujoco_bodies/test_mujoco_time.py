"""Any dt: sub-steps, and returns that do not depend on it."""

import numpy as np
import pytest

from envs import default_options, make_vector_env, native_dt
from envs.mujoco.model import model_at, stock_model, sub_steps
from tests.envs.mujoco_bodies.bodies import ENDLESS, NAMES

pytest.importorskip("mujoco")


@pytest.mark.parametrize(
    ("dt", "count", "timestep"),
    [
        (0.05, 5, 0.01),
        (0.02, 2, 0.01),
        (0.07, 7, 0.01),  # 0.07 / 0.01 is a little more than 7
        (0.025, 3, 0.025 / 3),
        (0.01, 1, 0.01),
        (0.002, 1, 0.002),
        (0.015, 2, 0.0075),
    ],
)
def test_sub_steps_are_few_and_no_coarser_than_the_stock_ones(dt, count, timestep):
    assert sub_steps(dt, 0.01) == (count, timestep)


def test_a_file_is_compiled_once_and_a_time_step_has_one_model():
    pools = [make_vector_env("ant", ENDLESS, dt=dt, num_envs=2) for dt in (0.05, 0.02, 0.01, 0.002)]
    models = [p.body.model for p in pools]
    assert models[0] is models[1] is models[2] is model_at("ant.xml", 0.01)
    assert (models[3].opt.timestep, models[0].opt.timestep) == (0.002, 0.01)
    assert stock_model("ant.xml").opt.timestep == 0.01


def returns(name, options, dts, seconds, wave):
    """Sum of r dt from the same start under the same torques; None if a copy ended."""
    out = []
    for dt in dts:
        envs = make_vector_env(name, ENDLESS | options, dt=dt, num_envs=1)
        envs.reset(seed=0)
        A, total = envs.single_action_space.shape[0], 0.0
        for k in range(round(seconds / dt)):
            torque_A = wave((k + 0.5) * dt, np.arange(A))  # the mean over the step, nearly
            _, reward_B, terminated_B, *_ = envs.step(np.float32(torque_A)[None])
            assert not terminated_B[0]
            total += reward_B[0] * dt
        out.append(total)
    return np.array(out)


AT_REST = {"reset_noise_scale": 0.0}  # the first touch of the ground decides the rest


def test_the_cheetahs_return_does_not_depend_on_dt():
    dts = (0.05, 0.02, 0.01, 0.005, 0.002)
    got = returns("half_cheetah", AT_REST, dts, 1.0, lambda t, a: 0.2 * np.sin(5 * t) + 0 * a)
    assert -0.172 < got.min() < got.max() < -0.167


def alone(name, kept):
    """Options that leave one part of the reward."""
    known = ("forward_reward_weight", "ctrl_cost_weight", "contact_cost_weight", "healthy_reward")
    return {w: 0.0 for w in known if w in default_options(name) and w != kept}


def sway(t, a):
    return 0.2 * np.sin(5 * t + a)


SECONDS = {
    "ant": 0.2,
    "half_cheetah": 0.3,
    "hopper": 0.16,
    "humanoid": 0.18,
    "swimmer": 0.48,
    "walker2d": 0.16,
}
"""Before contacts, or the fall, tell the time steps apart; whole numbers of stock steps."""


@pytest.mark.parametrize("name", SECONDS)
def test_forward_control_and_survival_parts_do_not_depend_on_dt(name):
    seconds = SECONDS[name]
    dts = [native_dt(name) / n for n in (1, 2, 3, 4, 8)]
    forward = returns(name, AT_REST | alone(name, "forward_reward_weight"), dts, seconds, sway)
    np.testing.assert_allclose(forward, forward[-1], rtol=0, atol=2e-3)  # metres
    assert np.abs(forward).min() > 1e-3
    control = returns(name, AT_REST | alone(name, "ctrl_cost_weight"), dts, seconds, sway)
    assert (control < 0).all()
    np.testing.assert_allclose(control, control[-1], rtol=5e-3)
    if "healthy_reward" in default_options(name):
        got = returns(name, AT_REST | alone(name, "healthy_reward"), dts, seconds, sway)
        np.testing.assert_allclose(got, default_options(name)["healthy_reward"] * seconds)


@pytest.mark.parametrize(
    ("name", "seconds", "tolerance"),
    [
        ("humanoid_standup", 0.3, 2e-3),
        ("inverted_double_pendulum", 0.3, 3e-3),
        ("inverted_pendulum", 0.16, 1e-12),
        ("pusher", 0.5, 1e-3),
        ("reacher", 0.4, 0.025),
    ],
)
def test_other_rewards_do_not_depend_on_dt(name, seconds, tolerance):
    dts = [native_dt(name) / n for n in (1, 2, 3, 4, 8)]
    got = returns(name, {}, dts, seconds, sway)
    np.testing.assert_allclose(got, got[-1], rtol=tolerance)


def test_every_body_is_here():
    others = ("humanoid_standup", "inverted_double_pendulum", "inverted_pendulum", "pusher")
    assert sorted([*SECONDS, *others, "reacher"]) == NAMES
