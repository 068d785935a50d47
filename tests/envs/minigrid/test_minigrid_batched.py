"""Clocks, seeds, resets, saved states and refusals of the batched and the single grid world."""

import json
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from envs import CONFIGS, ConfigError, make_env, make_vector_env, native_dt
from envs.minigrid import LAYOUTS
from rlkit.observations import ObsPart

SHORT = {"max_steps": 12}


def roll(envs, steps, seed=0):
    """All returned arrays under actions that do not depend on them."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(steps):
        obs, reward, terminated, truncated, infos = envs.step(rng.integers(0, 7, envs.num_envs))
        out.append((obs, reward, terminated, truncated, infos.get("final_obs", obs)))
    return [np.stack(x) for x in zip(*out, strict=True)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_contract(name):
    for envs in (make_vector_env(name, num_envs=3), make_env(name)):
        space = getattr(envs, "single_observation_space", envs.observation_space)
        assert (space.shape, space.dtype, space.low.max()) == ((7, 7, 3), np.uint8, 0)
        assert envs.obs_parts == (ObsPart("image", "grid", (7, 7, 3)),)
        assert (envs.dt, envs.stock_dt, native_dt(name)) == (1.0, 1.0, 1.0)
        assert (envs.reward_bounds, envs.success_above) == ((0.0, 1.0), 0.0)
        assert envs.base_id.startswith("MiniGrid-")
        assert getattr(envs, "single_action_space", envs.action_space).n == 7
    envs = make_vector_env(name, num_envs=3)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert envs.phase_plane(5) is None
    assert envs.render() is None


@pytest.mark.parametrize("name", LAYOUTS)
def test_copy_i_does_not_depend_on_the_number_of_copies(name):
    B, steps = 16, 40
    together = make_vector_env(name, SHORT, num_envs=B)
    first_BIJC, _ = together.reset(seed=20)
    rng = np.random.default_rng(0)
    action_TB = rng.integers(0, 7, (steps, B))
    rows = [together.step(a) for a in action_TB]
    for i in (0, 5, 15):
        alone = make_vector_env(name, SHORT, num_envs=1)
        np.testing.assert_array_equal(alone.reset(seed=20 + i)[0][0], first_BIJC[i])
        for a, row in zip(action_TB, rows, strict=True):
            got = alone.step(a[i : i + 1])
            for k in range(4):
                np.testing.assert_array_equal(got[k][0], row[k][i])


@pytest.mark.parametrize("name", LAYOUTS)
def test_single_form_is_the_same_process(name):
    envs, env = make_vector_env(name, SHORT, num_envs=3), make_env(name, SHORT)
    together = envs.reset(seed=7)[0]
    np.testing.assert_array_equal(env.reset(seed=8)[0], together[1])
    rng = np.random.default_rng(3)
    for _ in range(60):
        action_B = rng.integers(0, 7, 3)
        together, reward_B, terminated_B, truncated_B, infos = envs.step(action_B)
        obs, reward, terminated, truncated, _ = env.step(action_B[1])
        assert (reward, terminated, truncated) == (reward_B[1], terminated_B[1], truncated_B[1])
        np.testing.assert_array_equal(obs, infos.get("final_obs", together)[1])
        if terminated or truncated:
            np.testing.assert_array_equal(env.reset()[0], together[1])


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_saved_state_goes_on_bit_for_bit(name):
    envs, fresh = (make_vector_env(name, {"max_steps": 30}, num_envs=5) for _ in range(2))
    envs.reset(seed=2, options={"elapsed_steps": np.array([0, 9, 15, 20, 27])})
    roll(envs, 57)
    saved = envs.get_state()
    json.dumps({k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in saved.items()})
    want = roll(envs, 100, seed=1)
    assert want[3].any()
    fresh.set_state(saved)
    for a, b in zip(roll(fresh, 100, seed=1), want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_single_state_goes_on_bit_for_bit():
    env, other = make_env("minigrid_key_corridor"), make_env("minigrid_key_corridor")
    env.reset(seed=2)
    env.step(1)
    other.set_state(env.get_state())
    for e in (env, other):
        e.step(2)
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])


def test_a_state_of_another_size_is_refused():
    small, large = (make_vector_env("minigrid_doorkey", num_envs=n) for n in (2, 3))
    wide = make_vector_env("minigrid_doorkey", {"size": 6}, num_envs=2)
    small.reset(seed=0)
    with pytest.raises(ValueError, match="of 2 copies, not 3"):
        large.set_state(small.get_state())
    with pytest.raises(ValueError, match="grids of 8 by 8 cells, not 6 by 6"):
        wide.set_state(small.get_state())


def test_staggered_clocks_end_apart_and_count_in_the_reward():
    envs = make_vector_env("minigrid_unlock", {"max_steps": 100}, num_envs=3)
    assert envs.limit_steps == 100
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 70, 40])})
    truncated_TB = np.stack([envs.step(np.zeros(3, int))[3] for _ in range(100)])
    assert [np.flatnonzero(truncated_TB[:, i]).tolist() for i in range(3)] == [[99], [29], [59]]


def test_seeds_may_be_a_list_and_none_goes_on():
    envs = make_vector_env("minigrid_key_corridor", num_envs=3)
    by_list = envs.reset(seed=[5, 6, 7])[0]
    cells = envs.get_state()["cells"]
    envs.reset()
    again = envs.get_state()["cells"]
    np.testing.assert_array_equal(envs.reset(seed=5)[0], by_list)
    np.testing.assert_array_equal(envs.get_state()["cells"], cells)
    assert (again != cells).any(axis=(1, 2)).all()
    envs.reset(seed=[5, None, 7])
    kept = envs.get_state()["cells"]
    np.testing.assert_array_equal(kept[[0, 2]], cells[[0, 2]])
    np.testing.assert_array_equal(kept[1], again[1])


def test_final_observations_are_dense_and_nothing_is_reused():
    envs = make_vector_env("minigrid_doorkey", {"max_steps": 9}, num_envs=4)
    first, _ = envs.reset(seed=0, options={"elapsed_steps": np.array([0, 7, 0, 7])})
    kept, rows = first.copy(), []
    for _ in range(2):
        rows.append(envs.step(np.ones(4, int)))
    copies = [[x.copy() for x in row[:4]] for row in rows]
    obs, _, _, truncated_B, infos = rows[1]
    assert truncated_B.tolist() == infos["_final_obs"].tolist() == [False, True, False, True]
    assert infos["final_obs"].dtype == np.uint8
    np.testing.assert_array_equal(infos["final_obs"][[0, 2]], obs[[0, 2]])
    assert (infos["final_obs"][[1, 3]] != obs[[1, 3]]).any()
    roll(envs, 5)
    np.testing.assert_array_equal(first, kept)
    for row, copied in zip(rows, copies, strict=True):
        for a, b in zip(row[:4], copied, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", LAYOUTS)
def test_gymnasium_finds_no_fault(name):
    check_env(make_env(name, render_mode="rgb_array"), skip_render_check=True)


def test_registered_with_gymnasium():
    env = gymnasium.make("rlkit/MiniGridDoorKey-v0", size=6)
    assert env.unwrapped.limit_steps == 360
    envs = gymnasium.make_vec("rlkit/MiniGridMemory-v0", num_envs=2, size=9)
    assert envs.unwrapped.limit_steps == 405


def test_frames_show_copy_0():
    envs = make_vector_env("minigrid_unlock_pickup", num_envs=3, render_mode="rgb_array")
    env = make_env("minigrid_unlock_pickup", render_mode="rgb_array")
    assert envs.render() is None
    envs.reset(seed=4)
    env.reset(seed=4)
    (frame,) = envs.render()
    assert (frame.shape, frame.dtype) == ((6 * 16, 11 * 16, 3), np.uint8)
    np.testing.assert_array_equal(frame, env.render())
    envs.step(np.zeros(3, int))
    assert (envs.render()[0] != frame).any()


def test_no_package_is_needed():
    program = (
        "import sys; sys.modules['minigrid'] = None; import numpy as np;"
        "from envs import make_vector_env;"
        "envs = make_vector_env('minigrid_memory', num_envs=2, render_mode='rgb_array');"
        "envs.reset(seed=0); envs.step(np.array([2, 2])); envs.render();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=CONFIGS.parent)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("minigrid_doorkey", {"dt": 0.5}, "dt is 0.5, but a grid world has no time step"),
        ("minigrid_doorkey", {"wrappers": {"action_repeat": 2}}, "action_repeat is 2, but must"),
        ("minigrid_doorkey", {"render_mode": "human"}, "render_mode is 'human'"),
        ("minigrid_doorkey", {"options": {"size": 4}}, "env.size is 4"),
        ("minigrid_doorkey", {"options": {"max_steps": 0}}, "env.max_steps is 0"),
        ("minigrid_doorkey", {"options": {"sise": 6}}, "did you mean 'size'"),
        ("minigrid_lava_crossing", {"options": {"size": 8}}, "env.size is 8, but must be odd"),
        (
            "minigrid_simple_crossing",
            {"options": {"num_crossings": 7}},
            "env.num_crossings is 7, but a grid of size 9 has room for 6",
        ),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(name, arguments, message):
    for make in (lambda: make_env(name, **arguments), lambda: vector(name, arguments)):
        with pytest.raises(ConfigError, match=message):
            make()


def vector(name, arguments):
    return make_vector_env(name, num_envs=2, **arguments)


def test_wrong_actions_and_calls_are_refused():
    envs, env = make_vector_env("minigrid_doorkey", num_envs=3), make_env("minigrid_doorkey")
    for call in (lambda: envs.step(np.zeros(3, int)), envs.get_state, env.get_state):
        with pytest.raises(RuntimeError, match="before reset"):
            call()
    with pytest.raises(RuntimeError, match="before reset"):
        env.step(0)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"outside 0 \.\. 6"):
        envs.step(np.array([0, 1, 7]))
    with pytest.raises(ValueError, match="must be integers"):
        envs.step(np.zeros(3))
    with pytest.raises(ValueError, match="unknown reset option 'low'"):
        envs.reset(options={"low": 0})
    with pytest.raises(ValueError, match="2 seeds"):
        envs.reset(seed=[1, 2])
    with pytest.raises(ConfigError, match="num_envs is 0"):
        make_vector_env("minigrid_doorkey", num_envs=0)
