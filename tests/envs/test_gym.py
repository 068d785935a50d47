"""The generic route to gymnasium environments."""

import importlib.util
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from envs import ConfigError, make_env, make_vector_env, native_dt
from rlkit.observations import ObsPart
from tests.envs import foreign
from tests.envs.rollouts import stock_vector

foreign.register()

has_box2d = importlib.util.find_spec("Box2D") is not None
IDS = ["Acrobot-v1", "CartPole-v1", "MountainCarContinuous-v0", "Pendulum-v1"]
BOX2D = [
    pytest.param(
        env_id,
        marks=[
            pytest.mark.skipif(not has_box2d, reason="Box2D is not installed"),
            pytest.mark.filterwarnings("ignore"),  # of its generated bindings
        ],
    )
    for env_id in ("BipedalWalker-v3", "LunarLander-v3")
]
MUJOCO = [
    pytest.param(
        env_id,
        marks=pytest.mark.skipif(
            importlib.util.find_spec("mujoco") is None, reason="MuJoCo is not installed"
        ),
    )
    for env_id in ("HalfCheetah-v5", "InvertedPendulum-v5")
]


def make_gym(env_id, num_envs=3, **kwargs):
    return make_vector_env("gym", {"id": env_id}, num_envs=num_envs, **kwargs)


@pytest.mark.parametrize("env_id", IDS)
def test_equals_the_synchronous_vector(env_id):
    B = 3
    ours, stock = make_gym(env_id, B), stock_vector(env_id, B)
    low, high = getattr(stock.single_action_space, "low", None), None
    if low is not None:
        high = stock.single_action_space.high
    np.testing.assert_array_equal(ours.reset(seed=4)[0], stock.reset(seed=4)[0])
    ours.action_space.seed(0)
    for _ in range(230):
        action_B = ours.action_space.sample()
        theirs_B = action_B if low is None else (low + high) / 2 + (high - low) / 2 * action_B
        got, want = ours.step(action_B), stock.step(theirs_B)
        assert got[0].dtype == np.float32
        assert got[1].dtype == np.float64
        for i in range(4):
            np.testing.assert_array_equal(got[i], want[i])
        if "final_obs" in want[4]:
            ended = want[4]["_final_obs"]
            np.testing.assert_array_equal(got[4]["_final_obs"], ended)
            final_BO = np.where(ended[:, None], 0, want[0]).astype(np.float32)
            final_BO[ended] = np.stack(list(want[4]["final_obs"][ended]))
            np.testing.assert_array_equal(got[4]["final_obs"], final_BO)


@pytest.mark.parametrize("env_id", [*IDS, *BOX2D, *MUJOCO])
def test_a_saved_state_goes_on_bit_for_bit(env_id):
    repeat = 3 if env_id == "MountainCarContinuous-v0" else 2  # of 999 steps
    chosen = {"frame_stack": 2, "action_repeat": repeat, "observation_noise": 0.1}
    envs, fresh = (make_gym(env_id, wrappers=chosen) for _ in range(2))
    envs.reset(seed=1, options={"elapsed_steps": np.array([0, 20, 30])})
    envs.action_space.seed(1)
    for _ in range(95):
        envs.step(envs.action_space.sample())
    saved = envs.get_state()
    action_TB = [envs.action_space.sample() for _ in range(60)]
    want = [envs.step(a) for a in action_TB]
    fresh.set_state(saved)
    for action_B, row in zip(action_TB, want, strict=True):
        for a, b in zip(fresh.step(action_B)[:4], row[:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_single_form_goes_on_bit_for_bit():
    env, fresh = (make_env("gym", {"id": "CartPole-v1"}) for _ in range(2))
    env.reset(seed=1)
    env.step(1)
    fresh.set_state(env.get_state())
    np.testing.assert_array_equal(env.step(0)[0], fresh.step(0)[0])
    np.testing.assert_array_equal(env.reset()[0], fresh.reset()[0])


@pytest.mark.parametrize(
    ("env_id", "seconds"),
    [("Acrobot-v1", 0.2), ("CartPole-v1", 0.02), ("MountainCar-v0", 1 / 30), ("Pendulum-v1", 0.05)],
)
def test_native_dt_is_read_from_the_environment(env_id, seconds):
    assert native_dt("gym", {"id": env_id}) == pytest.approx(seconds)
    if env_id == "MountainCar-v0":  # a frame rate is a guess, a stated step is not
        assert native_dt("gym", {"id": env_id, "native_dt": 0.5}) == 0.5
    else:
        with pytest.raises(ConfigError, match=f"the step of {env_id} is"):
            native_dt("gym", {"id": env_id, "native_dt": 0.5})


def test_final_observation_is_not_the_buffer_that_the_reset_overwrites():
    class Reusing(gymnasium.Env):
        observation_space = Box(-9, 9, (1,), np.float32)
        action_space = Discrete(2)
        metadata: ClassVar = {"render_modes": [], "render_fps": 10}

        def __init__(self, render_mode=None):
            self.obs = np.zeros(1, dtype=np.float32)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.obs[:] = 0
            return self.obs, {}

        def step(self, action):
            self.obs += 1
            return self.obs, 0.0, self.obs[0] >= 3, False, {}

    gymnasium.register("Reusing-v0", Reusing)
    try:
        envs = make_vector_env("gym", {"id": "Reusing-v0"}, dt=0.1, num_envs=2)
        envs.reset(seed=0)
        for _ in range(3):
            obs, *_, infos = envs.step(np.zeros(2, dtype=np.int64))
        assert infos["final_obs"].tolist() == [[3.0], [3.0]]
        assert obs.tolist() == [[0.0], [0.0]]
    finally:
        del gymnasium.registry["Reusing-v0"]


@pytest.mark.parametrize("name", ["acrobot", "cartpole", "pendulum"])
def test_another_dt_gives_the_physics_of_our_own(name):
    own = make_vector_env(name, num_envs=2)
    own = make_vector_env(name, num_envs=2, dt=own.stock_dt / 4)
    generic = make_gym(own.physics.stock_id, 2, dt=own.dt)
    assert (generic.dt, generic.stock_dt) == (own.dt, own.stock_dt)
    assert generic.copies[0].limit.limit_steps == own.limit_steps
    np.testing.assert_array_equal(own.reset(seed=0)[0], generic.reset(seed=0)[0])
    own.action_space.seed(0)
    for _ in range(20):
        action_B = own.action_space.sample()
        np.testing.assert_allclose(own.step(action_B)[0], generic.step(action_B)[0], rtol=1e-6)


def test_setting_dt_leaves_other_instances_alone():
    make_gym("Acrobot-v1", dt=0.05)
    assert gymnasium.make("Acrobot-v1").unwrapped.dt == 0.2


def test_time_limit_and_staggered_clocks_in_seconds():
    envs = make_vector_env(
        "gym", {"id": "Pendulum-v1", "time_limit_seconds": 1}, num_envs=2, dt=0.1
    )
    envs.reset(seed=0, options={"elapsed_steps": np.array([0, 6])})
    truncated_TB = np.stack([envs.step(np.zeros((2, 1), np.float32))[3] for _ in range(10)])
    np.testing.assert_array_equal(np.flatnonzero(truncated_TB[:, 0]), [9])
    np.testing.assert_array_equal(np.flatnonzero(truncated_TB[:, 1]), [3])


def test_action_repeat_multiplies_dt_and_averages_the_rate():
    env = make_env("gym", {"id": "CartPole-v1"}, wrappers={"action_repeat": 4})
    plain = make_env("gym", {"id": "CartPole-v1"})
    assert env.dt == pytest.approx(0.08)
    env.reset(seed=0)
    plain.reset(seed=0)
    obs, reward, *_ = env.step(1)
    for _ in range(4):
        want, *_ = plain.step(1)
    np.testing.assert_array_equal(obs, want)
    assert reward == 1.0


def test_constructor_arguments_pass_through():
    env = make_env("gym", {"id": "Pendulum-v1", "kwargs": {"g": 1.5}})
    assert env.unwrapped.g == 1.5


@pytest.mark.parametrize(
    ("options", "dt", "message"),
    [
        ({"id": "CartPol-v1"}, None, "did you mean 'CartPole-v1'"),
        ({"id": "MountainCar-v0"}, 0.01, "dt can be set for: Acrobot-v1, CartPole-v0"),
        ({"id": "os:CartPole-v1"}, None, "is not a registered gymnasium environment"),
        ({"id": "CartPole-v1", "drop_keys": ["pole"]}, None, "'pole', which is no part .* none"),
        ({"id": "Pendulum-v1", "kwargs": {"mass": 2}}, None, "cannot be built with env.kwargs"),
        ({"id": "Pendulum-v1"}, 0.03, "does not divide"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(options, dt, message):
    for make in (make_env, lambda *a, **k: make_vector_env(*a, num_envs=2, **k)):
        with pytest.raises(ConfigError, match=message):
            make("gym", options, dt=dt)


@pytest.mark.parametrize(
    ("env_id", "package", "extra"),
    [("LunarLander-v3", "Box2D", "box2d"), ("HalfCheetah-v5", "mujoco", "mujoco")],
)
def test_a_missing_package_is_named(env_id, package, extra):
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    with pytest.raises(ConfigError, match=rf"pip install 'gymnasium\[{extra}\]'"):
        make_gym(env_id)


def counting(num_envs=3, wrappers=None, drop_keys=("words",), **kwargs):
    options = {"id": "Counting-v0", "kwargs": kwargs}
    if kwargs.get("observation", "dict") == "dict":
        options["drop_keys"] = list(drop_keys)
    return make_vector_env("gym", options, num_envs=num_envs, wrappers=wrappers)


def test_a_dictionary_is_packed_and_combined_actions_are_one_number():
    envs = counting()
    assert envs.obs_parts == (
        ObsPart("clock", "vector", (1,)),
        ObsPart("did", "vector", (5,)),
        ObsPart("eye", "image", (4, 5, 3)),
    )
    assert envs.single_action_space == Discrete(6)
    assert (envs.success_above, envs.reward_bounds) == (None, None)
    obs_BO, _ = envs.reset(seed=0)
    assert obs_BO.shape == (3, 66)
    assert obs_BO in envs.observation_space
    obs_BO, reward_B, *_ = envs.step(np.array([0, 4, 5]))
    np.testing.assert_array_equal(obs_BO[:, 0], np.float32(1 / 3))
    np.testing.assert_array_equal(
        obs_BO[:, 1:6], [[1, 0, 1, 0, 0], [0, 1, 0, 1, 0], [0, 1, 0, 0, 1]]
    )
    np.testing.assert_array_equal(obs_BO[:, 6:], np.tile([10, 11, 12], (3, 20)))
    np.testing.assert_array_equal(reward_B, [0, 2, 3])
    single = make_env("gym", {"id": "Counting-v0", "drop_keys": ["words"]})
    assert single.obs_parts == envs.obs_parts
    assert single.observation_space == envs.single_observation_space
    assert single.limit_steps is None


@pytest.mark.parametrize(
    ("observation", "wrappers", "shape", "dtype"),
    [
        ("dict", {}, (66,), np.float32),
        ("image", {}, (4, 5, 3), np.uint8),
        ("gray", {}, (4, 5, 1), np.uint8),
        ("dict", {"frame_stack": 2}, (132,), np.float32),
        ("image", {"frame_stack": 3}, (4, 5, 9), np.uint8),
        ("image", {"limit_is_terminal": True, "action_repeat": 2}, (4, 5, 3), np.uint8),
    ],
)
def test_observations_and_final_ones_are_of_the_type_of_the_space(
    observation, wrappers, shape, dtype
):
    envs = counting(wrappers=wrappers, observation=observation)
    space = envs.single_observation_space
    assert (space.shape, space.dtype) == (shape, dtype)
    obs_BO, _ = envs.reset(seed=1)
    envs.action_space.seed(0)
    ends = 0
    for _ in range(12):
        assert (obs_BO.shape, obs_BO.dtype) == ((3, *shape), dtype)
        assert obs_BO in envs.observation_space
        obs_BO, _, _, _, infos = envs.step(envs.action_space.sample())
        if "final_obs" in infos:
            ends += 1
            assert (infos["final_obs"].shape, infos["final_obs"].dtype) == ((3, *shape), dtype)
            assert infos["final_obs"] in envs.observation_space
    assert ends > 1


@pytest.mark.parametrize(
    ("observation", "action"), [("dict", "multi"), ("image", "binary"), ("gray", "one")]
)
def test_packed_states_go_on_bit_for_bit(observation, action):
    envs, fresh = (
        counting(wrappers={"frame_stack": 2}, observation=observation, action=action)
        for _ in range(2)
    )
    envs.reset(seed=2)
    envs.action_space.seed(2)
    for _ in range(23):
        envs.step(envs.action_space.sample())
    fresh.set_state(envs.get_state())
    for _ in range(20):
        action_B = envs.action_space.sample()
        for a, b in zip(envs.step(action_B)[:4], fresh.step(action_B)[:4], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "wrapper", [{"observation_noise": 0.1}, {"previous_action": True}, {"velocity_mask": True}]
)
@pytest.mark.parametrize("observation", ["dict", "image"])
def test_wrappers_for_vectors_refuse_images(observation, wrapper):
    with pytest.raises(ConfigError, match=f"{next(iter(wrapper))} needs a vector of numbers"):
        counting(wrappers=wrapper, observation=observation)


def test_wrappers_for_vectors_take_a_pack_of_vectors():
    envs = counting(
        wrappers={"previous_action": True, "observation_noise": 0.1}, drop_keys=("words", "eye")
    )
    assert [(p.name, p.shape) for p in envs.obs_parts] == [
        ("clock", (1,)),
        ("did", (5,)),
        ("previous", (7,)),
    ]
    obs_BO, _ = envs.reset(seed=0)
    assert obs_BO in envs.observation_space


@pytest.mark.parametrize(
    ("env_id", "parts"),
    [
        ("FrozenLake-v1", [16]),
        ("Taxi-v4", [500]),
        ("Blackjack-v1", [32, 11, 2]),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of toy text
def test_toy_text_is_one_hot(env_id, parts):
    if env_id not in gymnasium.registry:
        pytest.skip(f"{env_id} is not registered")
    envs = make_gym(env_id, 2)
    assert [p.shape for p in envs.obs_parts] == [(n,) for n in parts]
    obs_BO, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(obs_BO.sum(axis=1), len(parts))


def test_text_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"part 'words' is Text.*env\.drop_keys=\[words\]"):
        counting(drop_keys=())


def test_what_cannot_be_drawn_is_said_in_a_sentence():
    with pytest.raises(ConfigError, match="Counting-v0 cannot be drawn as rgb_array"):
        make_env("gym", {"id": "Counting-v0", "drop_keys": ["words"]}, render_mode="rgb_array")


def test_a_replay_that_does_not_return_is_refused():
    envs = make_gym("CartPole-v1", 1)
    envs.reset(seed=0)
    saved = envs.get_state()
    saved["copies"][0]["env"]["last_obs"] += 1
    with pytest.raises(RuntimeError, match="did not return"):
        envs.set_state(saved)
    with pytest.raises(ValueError, match="of 1 copies, not 2"):
        make_gym("CartPole-v1", 2).set_state(saved)
