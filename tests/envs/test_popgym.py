"""POPGym through the generic route: spaces, clocks, rewards and saved states."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from envs import make_env, make_vector_env

pytest.importorskip("popgym")

# name → (sizes of the parts, actions, seconds per step, most steps)
EASY = {
    "Autoencode": ([2, 4], Discrete(4), 1.0, 103),
    "Battleship": ([2], Discrete(64), 1.0, 64),
    "Concentration": ([156], Discrete(52), 1.0, 104),
    "CountRecall": ([4], Discrete(27), 1.0, 51),
    "HigherLower": ([13], Discrete(2), 1.0, 51),
    "MineSweeper": ([3], Discrete(16), 1.0, 14),
    "MultiarmedBandit": ([2], Discrete(10), 1.0, 200),
    "NoisyPositionOnlyCartPole": ([2], Discrete(2), 0.02, 200),
    "NoisyPositionOnlyPendulum": ([2], Box(-1, 1, (1,), np.float32), 0.05, 200),
    "PositionOnlyCartPole": ([2], Discrete(2), 0.02, 200),
    "PositionOnlyPendulum": ([2], Box(-1, 1, (1,), np.float32), 0.05, 200),
    "RepeatFirst": ([4], Discrete(4), 1.0, 51),
    "RepeatPrevious": ([4], Discrete(4), 1.0, 51),
    "VelocityOnlyCartpole": ([2], Discrete(2), 0.02, 200),
}


def make(name, num_envs=3, **kwargs):
    return make_vector_env("gym", {"id": f"popgym-{name}Easy-v0"}, num_envs=num_envs, **kwargs)


@pytest.mark.parametrize("name", EASY)
def test_contract(name):
    sizes, actions, dt, steps = EASY[name]
    envs = make(name)
    assert [part.shape for part in envs.obs_parts] == [(n,) for n in sizes]
    assert envs.single_action_space == actions
    assert (envs.dt, envs.stock_dt, envs.limit_steps) == (dt, dt, steps)
    obs_BO, _ = envs.reset(seed=0)
    envs.action_space.seed(0)
    ends = 0
    for _ in range(steps + 1):
        assert (obs_BO.shape, obs_BO.dtype) == ((3, sum(sizes)), np.float32)
        assert obs_BO in envs.observation_space
        obs_BO, reward_B, terminated_B, truncated_B, infos = envs.step(envs.action_space.sample())
        assert reward_B.dtype == np.float64
        ended_B = terminated_B | truncated_B
        ends += ended_B.sum()
        assert ("final_obs" in infos) == ended_B.any()
        if ended_B.any():
            assert infos["final_obs"] in envs.observation_space
    assert ends >= 3  # no episode is longer than stated


@pytest.mark.parametrize("name", ["Autoencode", "Battleship", "PositionOnlyPendulum"])
def test_equals_the_environment_itself(name):
    env, stock = (
        make_env("gym", {"id": f"popgym-{name}Easy-v0"}),
        gymnasium.make(f"popgym-{name}Easy-v0", disable_env_checker=True),
    )
    sizes = EASY[name][0]

    def packed(obs):
        if name == "PositionOnlyPendulum":
            return obs
        pieces = zip(sizes, np.atleast_1d(obs), strict=True)
        return np.concatenate([np.eye(n, dtype=np.float32)[i] for n, i in pieces])

    np.testing.assert_array_equal(env.reset(seed=5)[0], packed(stock.reset(seed=5)[0]))
    env.action_space.seed(0)
    for _ in range(150):
        action = env.action_space.sample()
        theirs = {
            "Autoencode": action,
            "Battleship": np.array([action // 8, action % 8]),
            "PositionOnlyPendulum": 2 * np.asarray(action),
        }[name]
        got, want = env.step(action), stock.step(theirs)
        np.testing.assert_array_equal(got[0], packed(want[0]))
        assert got[1:3] == (want[1], want[2])
        if want[2] or want[3]:
            np.testing.assert_array_equal(env.reset()[0], packed(stock.reset()[0]))


@pytest.mark.parametrize("name", EASY)
def test_a_saved_state_goes_on_bit_for_bit(name):
    """Also in an episode that began without a seed."""
    envs, fresh = (make(name, wrappers={"previous_action": True}) for _ in range(2))
    envs.reset(seed=1)
    envs.reset()
    envs.action_space.seed(1)
    for _ in range(130):
        envs.step(envs.action_space.sample())
    fresh.set_state(envs.get_state())
    for _ in range(120):
        action_B = envs.action_space.sample()
        for a, b in zip(envs.step(action_B)[:4], fresh.step(action_B)[:4], strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_return_of_a_perfect_game_is_one():
    """Rewards are shares of a game, so the return is POPGym's where a step is one unit of time."""
    env = make_env("gym", {"id": "popgym-RepeatPreviousEasy-v0"})
    obs, _ = env.reset(seed=3)
    cards, total, ended = [int(obs.argmax())], 0.0, False
    while not ended:
        obs, reward, terminated, truncated, _ = env.step(cards[-4] if len(cards) >= 4 else 0)
        total, ended = total + reward * env.dt, terminated or truncated
        cards.append(int(obs.argmax()))
    assert total == pytest.approx(1.0)
