"""Clocks, seeds, threads, saved states and refusals of the pool and the single form."""

import json
import sys

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs import ConfigError, make_env, make_vector_env, native_dt
from envs.wrappers.velocity_mask import velocity_indices
from tests.envs.mujoco_bodies.bodies import ENDLESS, NAMES, actions, pool, roll, short

mujoco = pytest.importorskip("mujoco")


def assert_same(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract(name):
    envs, env = pool(name), make_env(name, short(name, 40))
    for e in (envs, env):
        assert (e.dt, e.stock_dt, e.limit_steps) == (native_dt(name), native_dt(name), 40)
        assert (e.reward_bounds, e.success_above) == (None, None)
        (part,) = e.obs_parts
        assert (part.kind, part.shape) == ("vector", env.observation_space.shape)
        assert e.render() is None
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.phase_plane(5) is None
    assert (env.action_space.low.min(), env.action_space.high.max()) == (-1, 1)
    with pytest.raises(RuntimeError, match="before reset"):
        envs.step(envs.action_space.sample())


@pytest.mark.parametrize("name", NAMES)
def test_copy_i_is_the_single_environment_of_its_seed(name):
    B, T = 7, 50
    together = pool(name, B)
    first_BO = together.reset(seed=20)[0]
    action_TBA = actions(together, T, seed=1)
    obs_TBO, reward_TB, terminated_TB, truncated_TB, final_TBO = roll(together, action_TBA)
    env = make_env(name, short(name, 40))
    for i in (0, 6):
        np.testing.assert_array_equal(env.reset(seed=20 + i)[0], first_BO[i])
        for t in range(T):
            obs, reward, terminated, truncated, _ = env.step(action_TBA[t, i])
            np.testing.assert_array_equal(obs, final_TBO[t, i])
            assert reward == reward_TB[t, i]
            assert (terminated, truncated) == (terminated_TB[t, i], truncated_TB[t, i])
            if terminated or truncated:
                np.testing.assert_array_equal(env.reset()[0], obs_TBO[t, i])


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_state_goes_on_bit_for_bit(name):
    envs, fresh = pool(name), pool(name, options={"num_threads": 2})
    envs.reset(seed=1, options={"elapsed_steps": np.array([0, 11, 30])})
    roll(envs, actions(envs, 17, seed=2))
    saved = envs.get_state()
    plain = json.loads(json.dumps(saved, default=np.ndarray.tolist))
    action_TBA = actions(envs, 45, seed=3)
    want = roll(envs, action_TBA)
    fresh.set_state(plain)
    assert_same(roll(fresh, action_TBA), want)
    roll(fresh, action_TBA[:5])
    fresh.set_state(saved)  # nothing is left of where it was
    assert_same(roll(fresh, action_TBA), want)
    fresh.close()


def test_the_single_form_goes_on_bit_for_bit():
    env, fresh = (make_env("ant", short("ant", 9)) for _ in range(2))
    env.reset(seed=5)
    action_TA = np.random.default_rng(0).uniform(-1, 1, (15, 8))
    for action_A in action_TA[:4]:
        env.step(action_A)
    fresh.set_state(env.get_state())
    for action_A in action_TA:
        a, b = env.step(action_A), fresh.step(action_A)
        np.testing.assert_array_equal(a[0], b[0])
        assert a[1:4] == b[1:4]
        if a[3]:
            np.testing.assert_array_equal(env.reset()[0], fresh.reset()[0])


@pytest.mark.parametrize("wrappers", [{}, {"action_repeat": 2}])
@pytest.mark.parametrize("name", ["ant", "hopper", "inverted_pendulum"])
def test_threads_change_nothing(name, wrappers):
    pools = [pool(name, 5, options={"num_threads": n}, wrappers=wrappers) for n in (1, 2, 8)]
    first = [p.reset(seed=0)[0] for p in pools]
    rolls = [roll(p, actions(p, 45, seed=1)) for p in pools]
    assert rolls[0][2].any() or name == "ant"
    for p, obs_BO, got in zip(pools, first, rolls, strict=True):
        np.testing.assert_array_equal(obs_BO, first[0])
        assert_same(got, rolls[0])
        p.close()


def test_a_held_action_is_several_steps_and_their_mean_rate():
    held, plain = (
        make_vector_env("hopper", ENDLESS, num_envs=4, wrappers={"action_repeat": n})
        for n in (3, 1)
    )
    assert held.dt == pytest.approx(3 * plain.dt)
    np.testing.assert_array_equal(held.reset(seed=0)[0], plain.reset(seed=0)[0])
    ended = 0
    for action_BA in actions(held, 30, seed=0):
        got = held.step(action_BA)
        alive_B, total_B, final_BO = np.ones(4, dtype=bool), np.zeros(4), np.zeros((4, 11))
        for _ in range(3):
            obs_BO, reward_B, terminated_B, _, infos = plain.step(action_BA)
            final_BO = np.where(alive_B[:, None], infos.get("final_obs", obs_BO), final_BO)
            total_B += np.where(alive_B, reward_B, 0.0)
            alive_B &= ~terminated_B
        ended += np.count_nonzero(~alive_B)
        np.testing.assert_array_equal(got[2], ~alive_B)
        np.testing.assert_array_equal(got[4].get("final_obs", got[0]), final_BO)
        np.testing.assert_allclose(got[1], total_B / 3, rtol=1e-14)
        plain.set_state(held.get_state())  # where a copy ended, the plain one went on
    assert ended > 1


def test_clocks_start_apart():
    envs = make_vector_env("half_cheetah", {"time_limit_seconds": 1}, dt=0.1, num_envs=2)
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 6])})
    truncated_TB = roll(envs, actions(envs, 10, seed=0))[3]
    assert [np.flatnonzero(column).tolist() for column in truncated_TB.T] == [[9], [3]]


def test_actions_are_clipped_and_scaled_to_the_actuators():
    envs = make_vector_env("inverted_pendulum", num_envs=3)
    controls = envs.body.controls_of(np.array([[-2.0], [0.5], [np.float32(0.1)]], np.float32))
    np.testing.assert_array_equal(controls[:, 0], np.float32([-3, 1.5, np.float32(0.1) * 3]))
    assert controls.dtype == np.float32


def test_the_order_of_the_action_in_memory_changes_nothing():
    a, b = make_vector_env("humanoid", num_envs=5), make_vector_env("humanoid", num_envs=5)
    a.reset(seed=0), b.reset(seed=0)
    for action_BA in actions(a, 5, seed=0):
        assert_same(a.step(action_BA)[:3], b.step(np.asfortranarray(action_BA))[:3])


SHORT = {
    "ant": ["include_cfrc_ext_in_observation"],
    **{
        name: [
            f"include_{group}_in_observation"
            for group in ("cinert", "cvel", "qfrc_actuator", "cfrc_ext")
        ]
        for name in ("humanoid", "humanoid_standup")
    },
}


@pytest.mark.parametrize("name", NAMES)
def test_the_velocity_mask_hides_velocities(name):
    options = dict.fromkeys(SHORT.get(name, []), False)
    plain, masked = (
        make_vector_env(name, options, num_envs=2, wrappers={"velocity_mask": chosen})
        for chosen in (False, True)
    )
    hidden = velocity_indices(plain.base_id, plain.single_observation_space.shape[0])
    obs_BO = plain.reset(seed=4)[0]
    np.testing.assert_array_equal(masked.reset(seed=4)[0], np.delete(obs_BO, hidden, axis=1))
    for action_BA in actions(plain, 3, seed=0):
        want_BO = np.delete(plain.step(action_BA)[0], hidden, axis=1)
        np.testing.assert_array_equal(masked.step(action_BA)[0], want_BO)
    data, rows = mujoco.MjData(plain.body.model), []
    for speed in (0.1, 0.2):
        data.qvel[:] = speed
        mujoco.mj_forward(plain.body.model, data)
        views = plain.body.views(data)
        reading = {key: view.reshape(1, -1).copy() for key, view in views.items()}
        rows.append(plain.body.observe(reading)[0])
    changed = np.flatnonzero(rows[0] != rows[1]).tolist()
    force = [8] if name == "inverted_double_pendulum" else []  # 0 away from the ends of the rail
    assert changed == [i for i in hidden if i not in force]


@pytest.mark.parametrize(
    ("name", "options", "dt", "message"),
    [
        ("hopper", {}, 0.05, r"dt=0\.05 s is too coarse for Hopper.*at most 0\.04 s"),
        ("ant", {}, 1.0, r"dt=1 s is too coarse for Ant.*stock 0\.05 s"),
        ("ant", {}, 0.03, "does not divide the time limit of 50 s"),
        ("ant", {"num_threads": 0}, None, r"env\.num_threads is 0"),
        ("ant", {"healthy_z_range": [1.0, 0.2]}, None, r"env\.healthy_z_range is \[1\.0, 0\.2\]"),
        ("ant", {"healthy_z_range": [1.0]}, None, r"must be \[low, high\]"),
        ("ant", {"reset_noise_scale": -1.0}, None, r"env\.reset_noise_scale is -1\.0"),
        ("ant", {"ctrl_cost_wait": 1.0}, None, "did you mean 'ctrl_cost_weight'"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(name, options, dt, message):
    for make in (make_env, lambda *a, **k: make_vector_env(*a, num_envs=2, **k)):
        with pytest.raises(ConfigError, match=message):
            make(name, options, dt=dt)


@pytest.mark.parametrize("name", NAMES)
def test_the_coarsest_dt_is_coarse(name):
    from envs import ENVS

    body = ENVS.load(name)
    assert 2.5 * body.stock_dt <= body.coarsest_dt <= 12 * body.stock_dt
    make_vector_env(name, ENDLESS, dt=body.coarsest_dt, num_envs=1)


def test_misuse_of_a_built_one_is_said_in_a_sentence():
    envs = make_vector_env("swimmer", num_envs=2)
    with pytest.raises(RuntimeError, match="get_state was called before reset"):
        envs.get_state()
    with pytest.raises(ValueError, match="3 seeds were given for 2"):
        envs.reset(seed=[1, 2, 3])
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"must be \(2, 2\)"):
        envs.step(np.zeros((2, 3), np.float32))
    other = make_vector_env("swimmer", num_envs=3)
    other.reset(seed=0)
    with pytest.raises(ValueError, match=r"of 3 copies .* not 2"):
        envs.set_state(other.get_state())
    with pytest.raises(ConfigError, match="num_envs is 0"):
        make_vector_env("swimmer", num_envs=0)
    with pytest.raises(ConfigError, match="render_mode is 'human'"):
        make_vector_env("swimmer", num_envs=1, render_mode="human")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)  # as if it were not installed
    for make in (make_env, lambda name: make_vector_env(name, num_envs=2)):
        with pytest.raises(ConfigError, match=r"Ant-v5 needs .*pip install 'gymnasium\[mujoco\]'"):
            make("ant")


def test_drawing_shows_copy_0_and_moves_nothing(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "egl")
    envs = pool("reacher", render_mode="rgb_array")
    assert envs.render() is None
    envs.reset(seed=0)
    before = envs.get_state()
    try:
        (frame,) = envs.render()
    except ConfigError as e:
        pytest.skip(str(e))
    assert (frame.ndim, frame.shape[2], frame.dtype) == (3, 3, np.uint8)
    assert frame.std() > 0
    np.testing.assert_array_equal(envs.get_state()["simulation"], before["simulation"])
    envs.close()
