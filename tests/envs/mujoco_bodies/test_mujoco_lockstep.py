"""Bodies and gymnasium's -v5 environments in lockstep, bit for bit, rewards included."""

import pytest

from envs import make_vector_env, native_dt
from tests.envs.mujoco_bodies.bodies import NAMES, lockstep, short, stock_of

pytest.importorskip("mujoco")

B = 2


@pytest.mark.parametrize("name", NAMES)
def test_equals_gymnasium_at_the_stock_dt(name):
    ours = make_vector_env(name, short(name, 125), num_envs=B)
    stock = stock_of(ours, 125)
    assert stock.envs[0].unwrapped.dt == pytest.approx(native_dt(name), rel=1e-12)
    assert (ours.dt, ours.body.frame_skip) == (native_dt(name), stock.envs[0].unwrapped.frame_skip)
    assert lockstep(ours, stock, 500) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_yaml_is_gymnasiums_constructor_and_limit(name):
    ours = make_vector_env(name, num_envs=1)
    assert ours.limit_steps == stock_of(ours, None).envs[0].spec.max_episode_steps


FORCES = {"include_cfrc_ext_in_observation": False}
WITH_POSITIONS = {"exclude_current_positions_from_observation": False}
SHORT_HUMANOID = FORCES | {
    f"include_{group}_in_observation": False for group in ("cinert", "cvel", "qfrc_actuator")
}
STANDING = {"terminate_when_unhealthy": False}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ant", WITH_POSITIONS | FORCES | STANDING),
        ("ant", FORCES | {"contact_cost_weight": 0.0, "healthy_z_range": [0.3, 0.6]}),
        ("ant", {"contact_force_range": [-0.5, 2.0], "forward_reward_weight": 2.0}),
        ("half_cheetah", WITH_POSITIONS | {"ctrl_cost_weight": 0.3, "reset_noise_scale": 0.01}),
        ("hopper", WITH_POSITIONS | STANDING | {"healthy_state_range": [-3.0, 3.0]}),
        ("hopper", {"healthy_angle_range": [-0.1, 0.3], "healthy_reward": 2.0}),
        ("humanoid", WITH_POSITIONS | SHORT_HUMANOID | {"contact_cost_range": [0.01, 0.02]}),
        ("humanoid", SHORT_HUMANOID | STANDING | {"contact_cost_weight": 0.0}),
        ("humanoid_standup", SHORT_HUMANOID | {"impact_cost_range": [0.01, 0.02]}),
        ("inverted_double_pendulum", {"healthy_reward": 1.0, "reset_noise_scale": 0.02}),
        ("pusher", {"reward_near_weight": 0.1, "reward_control_weight": 0.3}),
        ("reacher", {"reward_dist_weight": 0.1, "reward_control_weight": 0.3}),
        ("swimmer", WITH_POSITIONS | {"ctrl_cost_weight": 0.3}),
        ("walker2d", WITH_POSITIONS | {"healthy_z_range": [1.0, 1.5]}),
    ],
)
def test_options_mean_what_gymnasiums_mean(name, options):
    ours = make_vector_env(name, short(name, 30, **options), num_envs=B)
    stock = stock_of(ours, 30, **options)
    assert ours.single_observation_space.shape == stock.single_observation_space.shape
    assert lockstep(ours, stock, 70) >= 4


@pytest.mark.parametrize(("name", "dt"), [("ant", 0.025), ("half_cheetah", 0.01), ("hopper", 0.02)])
def test_another_dt_is_gymnasiums_with_that_sub_step(name, dt):
    ours = make_vector_env(name, {"time_limit_seconds": 30 * dt}, dt=dt, num_envs=B)
    stock = stock_of(ours, 30, frame_skip=ours.body.frame_skip)
    for env in stock.envs:
        env.unwrapped.model.opt.timestep = ours.body.model.opt.timestep
    assert lockstep(ours, stock, 70) >= 4
