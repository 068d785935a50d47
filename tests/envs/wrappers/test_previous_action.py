"""The appended action and reward."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from envs import ConfigError, make_vector_env
from envs.wrappers.previous_action import PreviousAction
from envs.wrappers.transform import EnvFacts
from rlkit.observations import ObsPart

CHOSEN = {"previous_action": True}


def test_discrete_actions_come_one_hot_with_the_reward():
    envs = make_vector_env("acrobot", num_envs=3, wrappers=CHOSEN)
    obs_BO, _ = envs.reset(seed=0)
    assert obs_BO.shape == (3, 6 + 3 + 1)
    assert not obs_BO[:, 6:].any()
    obs_BO, reward_B, *_ = envs.step(np.array([2, 0, 1]))
    np.testing.assert_array_equal(obs_BO[:, 6:], [[0, 0, 1, -1], [1, 0, 0, -1], [0, 1, 0, -1]])
    np.testing.assert_array_equal(reward_B, -1)


def test_continuous_actions_come_as_they_are():
    envs = make_vector_env("pendulum", num_envs=4, wrappers=CHOSEN)
    envs.reset(seed=0)
    action_BA = envs.action_space.sample()
    obs_BO, reward_B, *_ = envs.step(action_BA)
    np.testing.assert_array_equal(obs_BO[:, 3:4], action_BA)
    np.testing.assert_array_equal(obs_BO[:, 4], reward_B.astype(np.float32))


def test_final_observation_holds_the_last_action_and_the_next_episode_none():
    envs = make_vector_env("pendulum", num_envs=2, wrappers=CHOSEN)
    envs.reset(seed=0, options={"elapsed_steps": np.array([199, 0])})
    obs_BO, reward_B, _, truncated_B, infos = envs.step(np.full((2, 1), 0.5, np.float32))
    assert list(truncated_B) == [True, False]
    assert infos["final_obs"][0, 3] == 0.5
    assert infos["final_obs"][0, 4] == np.float32(reward_B[0])
    assert not obs_BO[0, 3:].any()
    np.testing.assert_array_equal(obs_BO[1], infos["final_obs"][1])


def test_to_a_pack_they_are_one_more_part():
    parts = (ObsPart("mode", "vector", (2,)), ObsPart("card", "vector", (4,)))
    facts = EnvFacts(Box(0, 1, (6,), np.float32), parts, Discrete(3), "", 2)
    assert PreviousAction(facts).obs_parts == (*parts, ObsPart("previous", "vector", (4,)))
    envs = make_vector_env("cartpole", num_envs=2, wrappers=CHOSEN)
    assert envs.obs_parts == (ObsPart("obs", "vector", (7,)),)


@pytest.mark.parametrize("kind", ["image", "grid"])
def test_images_and_grids_are_refused(kind):
    parts = (ObsPart("eye", kind, (7, 7, 3)),)
    facts = EnvFacts(Box(0, 255, (7, 7, 3), np.uint8), parts, Discrete(2), "", 2)
    with pytest.raises(ConfigError, match=f"needs a vector .*'eye' is of kind {kind}"):
        PreviousAction(facts)


def test_means_over_a_length_of_time_or_since_the_start():
    envs = make_vector_env(
        "pendulum", num_envs=2, dt=0.05, wrappers=CHOSEN | {"previous_action_seconds": 0.15}
    )
    obs_BO, _ = envs.reset(seed=0, options={"elapsed_steps": np.array([195, 0])})
    assert not obs_BO[:, 3:].any()
    done = []  # since the start: of copy 0 until its limit at the fifth step
    for t in range(8):
        action_BA = envs.action_space.sample()
        obs_BO, reward_B, _, truncated_B, infos = envs.step(action_BA)
        done.append(np.column_stack([action_BA, reward_B]))
        seen_BO = infos["final_obs"] if truncated_B.any() else obs_BO
        assert truncated_B[0] == (t == 4)
        first = [5 if t >= 5 else 0, 0]
        for b in range(2):
            mean = np.mean([d[b] for d in done[max(first[b], t - 2) : t + 1]], axis=0)
            np.testing.assert_allclose(seen_BO[b, 3:], mean, rtol=1e-6)
        if truncated_B[0]:
            assert not obs_BO[0, 3:].any()


def test_the_means_go_on_after_a_restored_state():
    make = lambda: make_vector_env(  # noqa: E731
        "pendulum", num_envs=3, wrappers=CHOSEN | {"previous_action_seconds": 0.2}
    )
    one, two = make(), make()
    for envs in (one, two):
        envs.reset(seed=0)
    for t in range(6):
        if t == 3:
            two.set_state(one.get_state())
        action_BA = np.full((3, 1), t / 8, np.float32)
        rows = [
            envs.step(action_BA if envs is one or t >= 3 else -action_BA) for envs in (one, two)
        ]
    np.testing.assert_array_equal(rows[0][0], rows[1][0])
