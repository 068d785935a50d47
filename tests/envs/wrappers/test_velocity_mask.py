"""The velocity table against physics, and the three modes."""

import importlib.util

import gymnasium
import numpy as np
import pytest

from envs import ConfigError, make_env, make_vector_env
from envs.wrappers.velocity_mask import VELOCITIES, velocity_indices

ANGLES = {"acrobot": 2, "pendulum": 1, "pendulum_two_torque": 1}
NAMES = [*ANGLES, "cartpole", "mountain_car", "mountain_car_continuous"]


@pytest.mark.parametrize("name", NAMES)
def test_velocity_leaves_the_masked_observation_alone(name):
    rng = np.random.default_rng(0)
    masked = make_vector_env(name, num_envs=6, wrappers={"velocity_mask": True})
    shown = make_vector_env(
        name, num_envs=6, wrappers={"velocity_mask": True, "velocity_mask_mode": "keep_velocity"}
    )
    physics = masked.unwrapped.physics
    masked.reset(seed=0)
    state_SB = masked.unwrapped.get_state()["state"]
    speeds = [1, 3] if name == "cartpole" else range(len(state_SB) // 2, len(state_SB))
    other_SB = state_SB.copy()
    other_SB[list(speeds)] += rng.uniform(0.01, 0.02, (len(speeds), 6))
    everyone = np.arange(6)
    a, b = (masked.transform.start(physics.observe(s), everyone) for s in (state_SB, other_SB))
    np.testing.assert_array_equal(a, b)
    moved = shown.transform.start(physics.observe(other_SB), everyone)
    np.testing.assert_allclose(moved, other_SB[list(speeds)].T, rtol=1e-6)


@pytest.mark.parametrize("name", ["cartpole", "mountain_car"])
def test_listed_velocities_are_the_differences_of_positions(name):
    h = 1e-3 if name == "cartpole" else 0.5
    envs = make_vector_env(name, {"time_limit_seconds": None}, dt=h, num_envs=3)
    before, _ = envs.reset(seed=0)
    envs.step(np.ones(3, dtype=int))
    middle, *_ = envs.step(np.ones(3, dtype=int))
    after, *_ = envs.step(np.ones(3, dtype=int))
    kept = [0, 2] if name == "cartpole" else [0]
    speed = list(velocity_indices(envs.base_id, before.shape[1]))
    want = middle[:, speed] if name == "cartpole" else after[:, speed]
    np.testing.assert_allclose((after - middle)[:, kept] / h, want, atol=1e-3)


def test_modes():
    obs, _ = make_env("cartpole").reset(seed=0)
    seen = {
        mode: make_env(
            "cartpole", wrappers={"velocity_mask": True, "velocity_mask_mode": mode}
        ).reset(seed=0)[0]
        for mode in ("drop", "zero", "keep_velocity")
    }
    np.testing.assert_array_equal(seen["drop"], obs[[0, 2]])
    np.testing.assert_array_equal(seen["zero"], obs * [1, 0, 1, 0])
    np.testing.assert_array_equal(seen["keep_velocity"], obs[[1, 3]])


def test_bounds_are_sliced():
    plain = make_env("pendulum").observation_space
    space = make_env("pendulum", wrappers={"velocity_mask": True}).observation_space
    np.testing.assert_array_equal(space.high, plain.high[:2])


def test_explicit_indices_replace_the_table():
    env = make_env("cartpole", wrappers={"velocity_mask": True, "velocity_indices": [0]})
    obs, _ = make_env("cartpole").reset(seed=0)
    np.testing.assert_array_equal(env.reset(seed=0)[0], obs[1:])


@pytest.mark.parametrize("env_id", ["Acrobot-v1", "CartPole-v1", "MountainCar-v0", "Pendulum-v1"])
def test_the_generic_route_uses_the_same_table(env_id):
    env = make_env("gym", {"id": env_id}, wrappers={"velocity_mask": True})
    size = gymnasium.make(env_id).observation_space.shape[0]
    hidden = VELOCITIES[env_id.split("-")[0], size]
    assert env.observation_space.shape == (size - len(hidden),)


@pytest.mark.parametrize(
    ("base_id", "size", "indices"),
    [
        ("Ant", 27, range(13, 27)),
        ("Ant", 29, range(15, 29)),
        ("BipedalWalker", 24, (1, 2, 3, 5, 7, 10, 12)),
        ("HalfCheetah", 17, range(8, 17)),
        ("HalfCheetah", 18, range(9, 18)),
        ("Hopper", 11, range(5, 11)),
        ("Humanoid", 45, range(22, 45)),
        ("Humanoid", 348, [*range(22, 45), *range(175, 253)]),
        ("InvertedDoublePendulum", 9, (5, 6, 7, 8)),
        ("InvertedPendulum", 4, (2, 3)),
        ("LunarLander", 8, (2, 3, 5)),
        ("Pusher", 23, range(7, 14)),
        ("Reacher", 10, (6, 7)),
        ("Swimmer", 8, range(3, 8)),
        ("Walker2d", 18, range(9, 18)),
    ],
)
def test_table(base_id, size, indices):
    assert velocity_indices(base_id, size) == tuple(indices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"velocity_indices": [4]}, r"\[4\], but must name entries in 0 .. 3"),
        ({"velocity_indices": [0, 1, 2, 3]}, "would hide all 4"),
        ({"velocity_mask_mode": "dorp"}, "velocity_mask_mode is 'dorp'"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_env("cartpole", wrappers={"velocity_mask": True, **arguments})


def test_unknown_environments_ask_for_indices():
    with pytest.raises(ConfigError, match=r"Taxi with 7 .*velocity_indices"):
        velocity_indices("Taxi", 7)
    with pytest.raises(ConfigError, match="known are 27, 29, 105, 107"):
        velocity_indices("Ant", 28)


SHORT_ANT = {"include_cfrc_ext_in_observation": False}
SHORT_HUMANOID = {
    f"include_{group}_in_observation": False
    for group in ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
}
WITH_POSITIONS = {"exclude_current_positions_from_observation": False}
MUJOCO = [
    ("Ant-v5", SHORT_ANT),
    ("Ant-v5", SHORT_ANT | WITH_POSITIONS),
    ("HalfCheetah-v5", {}),
    ("HalfCheetah-v5", WITH_POSITIONS),
    ("Hopper-v5", {}),
    ("Hopper-v5", WITH_POSITIONS),
    ("Humanoid-v5", SHORT_HUMANOID),
    ("Humanoid-v5", SHORT_HUMANOID | WITH_POSITIONS),
    ("HumanoidStandup-v5", SHORT_HUMANOID),
    ("HumanoidStandup-v5", SHORT_HUMANOID | WITH_POSITIONS),
    ("InvertedDoublePendulum-v5", {}),
    ("InvertedPendulum-v5", {}),
    ("Pusher-v5", {}),
    ("Reacher-v5", {}),
    ("Swimmer-v5", {}),
    ("Swimmer-v5", WITH_POSITIONS),
    ("Walker2d-v5", {}),
    ("Walker2d-v5", WITH_POSITIONS),
    # contact and actuator forces stay, and do not change where nothing was stepped
    ("Ant-v5", {}),
    ("Humanoid-v5", {}),
    ("HumanoidStandup-v5", {}),
]


def masked_gym(env_id, kwargs, mode="drop"):
    return make_env(
        "gym",
        {"id": env_id, "kwargs": kwargs},
        wrappers={"velocity_mask": True, "velocity_mask_mode": mode},
    )


def random_state(env, rng):
    """Any positions near the start, at speeds that no observation clips."""
    base = env.unwrapped
    env.reset(seed=int(rng.integers(1000)))
    qpos = base.data.qpos + rng.uniform(-0.05, 0.05, base.model.nq)
    return qpos, rng.uniform(-1, 1, base.model.nv)


def observed(env, qpos, qvel):
    env.unwrapped.set_state(qpos, qvel)
    return env.unwrapped._get_obs()


@pytest.mark.parametrize(("env_id", "kwargs"), MUJOCO)
def test_mujoco_velocities_change_what_is_masked_and_nothing_else(env_id, kwargs):
    pytest.importorskip("mujoco")
    env, rng = masked_gym(env_id, kwargs), np.random.default_rng(0)
    size = env.env.observation_space.shape[0]
    changed, moved = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for _ in range(4):
        qpos, qvel = random_state(env, rng)
        before = observed(env, qpos, qvel)
        after = observed(env, qpos, qvel + rng.uniform(0.1, 0.2, qvel.shape))
        changed |= before != after
        moved |= before != observed(env, qpos + rng.uniform(0.01, 0.02, qpos.shape), qvel)
        rows = [env.transform.start(np.float32(o)[None], np.zeros(1, int)) for o in (before, after)]
        np.testing.assert_array_equal(*rows)
    hidden = list(velocity_indices(env_id.split("-")[0], size))
    at_rest = {"InvertedDoublePendulum-v5": [8]}.get(env_id, [])  # a force: see below
    assert np.flatnonzero(changed).tolist() == [i for i in hidden if i not in at_rest]
    if size < 100:  # all that is left are positions, but for two fixed heights
        still = {"Pusher-v5": [19, 22]}.get(env_id, [])
        assert np.flatnonzero(~moved).tolist() == sorted([*hidden, *still])


def test_the_constraint_force_of_the_double_pendulum_leaks_velocity():
    pytest.importorskip("mujoco")
    env = masked_gym("InvertedDoublePendulum-v5", {})
    env.reset(seed=0)
    qpos = np.array([0.9901, 0.0, 0.0])  # the cart touches the end of its rail
    still, fast = (observed(env, qpos, np.array([v, 0.0, 0.0])) for v in (0.0, 1e-3))
    assert -10 < fast[8] < still[8] < 0
    np.testing.assert_array_equal(still[:5], fast[:5])


@pytest.mark.parametrize(
    ("env_id", "left_out"),
    [
        ("HalfCheetah-v5", 1),
        ("Hopper-v5", 1),
        ("InvertedPendulum-v5", 0),
        ("Swimmer-v5", 2),
        ("Walker2d-v5", 1),
    ],
)
def test_mujoco_velocities_are_the_differences_of_positions(env_id, left_out):
    """`left_out` positions are not observed, though their velocities are."""
    pytest.importorskip("mujoco")
    h, rng = 1e-7, np.random.default_rng(1)
    shown, positions = masked_gym(env_id, {}, "keep_velocity"), masked_gym(env_id, {})
    base, nobody = shown.unwrapped, np.zeros(1, int)
    base.model.opt.timestep = h
    for _ in range(4):
        before = observed(shown, *random_state(shown, rng))
        base.do_simulation(np.zeros(base.model.nu), 1)
        after = base._get_obs()
        p0, p1 = (positions.transform.start(o[None], nobody)[0] for o in (before, after))
        velocity = shown.transform.start(after[None], nobody)[0]
        assert len(velocity) == len(p0) + left_out
        np.testing.assert_allclose((p1 - p0) / h, velocity[left_out:], atol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of Box2D's generated bindings
def test_lunar_lander_velocities_are_the_differences_of_positions():
    if importlib.util.find_spec("Box2D") is None:
        pytest.skip("Box2D is not installed")
    env = make_env("gym", {"id": "LunarLander-v3"})
    env.reset(seed=0)
    before, after = (env.step(0)[0] for _ in range(2))
    hidden = list(velocity_indices("LunarLander", 8))
    scale = np.array([10**2, (20 / 3) ** 2, 20]) / 50  # upstream's units of speed
    np.testing.assert_allclose((after - before)[[0, 1, 4]] / 0.02 * scale, after[hidden], rtol=0.02)


def test_an_unknown_environment_asks_for_indices_in_a_sentence():
    with pytest.raises(ConfigError, match=r"velocities of FrozenLake with 16 .*velocity_indices"):
        make_env("gym", {"id": "FrozenLake-v1"}, wrappers={"velocity_mask": True})
