"""`env=minigrid env.id=…`: the batched layout of an id, or the package behind it."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from envs import CONFIGS, ConfigError, make_env, make_vector_env
from envs.minigrid.batched import BatchedMiniGrid
from envs.minigrid.generic import batched_ids
from envs.minigrid.single import SingleMiniGrid
from rlkit.observations import ObsPart
from tests.envs.minigrid.lockstep import stock_vector

FOREIGN = "MiniGrid-LavaGapS5-v0"


def make(env_id, num_envs=3, **kwargs):
    return make_vector_env("minigrid", {"id": env_id}, num_envs=num_envs, **kwargs)


@pytest.mark.parametrize("env_id", batched_ids())
def test_ids_with_a_layout_are_batched(env_id):
    envs = make(env_id)
    assert isinstance(envs, BatchedMiniGrid)
    assert f"{envs.base_id}-v0" == env_id
    assert isinstance(make_env("minigrid", {"id": env_id}), SingleMiniGrid)


@pytest.mark.parametrize("env_id", [FOREIGN, "MiniGrid-Dynamic-Obstacles-5x5-v0"])
def test_other_ids_are_the_packages_images(env_id):
    ours, stock = make(env_id), stock_vector(env_id, 3)
    assert ours.obs_parts == (ObsPart("image", "grid", (7, 7, 3)),)
    assert (ours.dt, ours.stock_dt, ours.success_above) == (1.0, 1.0, 0.0)
    assert ours.single_observation_space == stock.single_observation_space
    np.testing.assert_array_equal(ours.reset(seed=4)[0], stock.reset(seed=4)[0])
    ours.action_space.seed(0)
    ends = 0
    for _ in range(120):
        action_B = ours.action_space.sample()
        got, want = ours.step(action_B), stock.step(action_B)
        assert got[0].dtype == np.uint8
        for a, b in zip(got[:4], want[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        for i in np.flatnonzero(want[2] | want[3]):
            np.testing.assert_array_equal(got[4]["final_obs"][i], want[4]["final_obs"][i])
            ends += 1
    assert ends > 3


def test_a_saved_state_goes_on_bit_for_bit():
    envs, fresh = make(FOREIGN), make(FOREIGN)
    envs.reset(seed=1, options={"elapsed_steps": np.array([0, 20, 90])})
    assert envs.limit_steps == 100
    envs.action_space.seed(1)
    for _ in range(30):
        envs.step(envs.action_space.sample())
    fresh.set_state(envs.get_state())
    for _ in range(80):
        action_B = envs.action_space.sample()
        for a, b in zip(fresh.step(action_B)[:4], envs.step(action_B)[:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_single_form_goes_on_and_draws():
    env = make_env("minigrid", {"id": FOREIGN}, render_mode="rgb_array")
    other = make_env("minigrid", {"id": FOREIGN})
    env.reset(seed=2)
    assert isinstance(env.step(np.int64(2))[1], float)
    other.set_state(env.get_state())
    np.testing.assert_array_equal(env.step(1)[0], other.step(1)[0])
    assert env.render().shape[2] == 3
    envs = make(FOREIGN, render_mode="rgb_array")
    envs.reset(seed=0)
    assert envs.render()[0].dtype == np.uint8


def test_language_tasks_keep_their_own_clock():
    envs = make("BabyAI-GoToObj-v0")
    envs.reset(seed=0)
    assert envs.limit_steps is None
    lasting = [envs.step(np.zeros(3, int))[3].any() for _ in range(70)]
    assert any(lasting)


@pytest.mark.parametrize(
    ("env_id", "arguments", "message"),
    [
        ("MiniGrid-DorKey-8x8-v0", {}, "did you mean 'MiniGrid-DoorKey-8x8-v0'"),
        ("CartPole-v1", {}, "is no id of the MiniGrid package"),
        (FOREIGN, {"dt": 0.5}, "has no time step to change"),
        ("MiniGrid-DoorKey-8x8-v0", {"dt": 0.5}, "has no time step to change"),
        (FOREIGN, {"wrappers": {"action_repeat": 2}}, "action_repeat is 2"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(env_id, arguments, message):
    for build in (make_env, lambda *a, **k: make_vector_env(*a, num_envs=2, **k)):
        with pytest.raises(ConfigError, match=message):
            build("minigrid", {"id": env_id}, **arguments)
    with pytest.raises(ConfigError, match="num_envs is 0"):
        make(FOREIGN, num_envs=0)


def test_a_missing_package_is_named():
    program = (
        "import sys; sys.modules['minigrid'] = None; from envs import make_vector_env\n"
        "make_vector_env('minigrid', {'id': 'MiniGrid-MemoryS9-v0'}, num_envs=2)\n"
        "try: make_vector_env('minigrid', {'id': 'MiniGrid-Empty-5x5-v0'}, num_envs=2)\n"
        "except ValueError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=CONFIGS.parent, capture_output=True
    )
    assert b"pip install 'minigrid'" in done.stdout
    assert FOREIGN in gymnasium.registry
