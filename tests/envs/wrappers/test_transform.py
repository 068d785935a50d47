"""The shells: what a transform sees where an episode ends, saved states, single = vector."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode

from envs import ConfigError, make_env, make_vector_env
from envs.batched import BatchedEnv
from envs.wrappers.transform import EnvFacts, Transform, VectorTransform
from envs.wrappers.velocity_mask import VelocityMask
from rlkit.observations import ObsPart

ALL = {
    "velocity_mask": True,
    "observation_noise": 0.05,
    "previous_action": True,
    "frame_stack": 3,
    "frame_stack_pad": "first",
}


class CountSteps(Transform):
    """Replaces the observation by (step of the episode, copy): any mixing shows."""

    def __init__(self, facts):
        super().__init__(facts)
        self.steps_B = np.zeros(facts.num_envs, dtype=np.float32)

    def start(self, obs_KO, rows_K):
        self.steps_B[rows_K] = 0
        return np.stack([self.steps_B[rows_K], rows_K], axis=1).astype(np.float32)

    def step(self, obs_BO, action_BA, reward_B):
        self.steps_B += 1
        return np.stack([self.steps_B, np.arange(len(obs_BO))], axis=1).astype(np.float32)


def test_final_observation_continues_and_the_returned_row_starts_afresh():
    B = 5
    envs = make_vector_env("cartpole", num_envs=B)
    envs = VectorTransform(envs, CountSteps(EnvFacts.of_vector(envs)))
    obs_BO, _ = envs.reset(seed=0)
    np.testing.assert_array_equal(obs_BO, [[0, i] for i in range(B)])
    rng, want_B, ends = np.random.default_rng(0), np.zeros(B), 0
    for _ in range(120):
        obs_BO, _, terminated_B, truncated_B, infos = envs.step(rng.integers(0, 2, B))
        want_B += 1
        ended_B = terminated_B | truncated_B
        if ended_B.any():
            np.testing.assert_array_equal(infos["final_obs"][:, 0], want_B)
            np.testing.assert_array_equal(infos["_final_obs"], ended_B)
        want_B[ended_B] = 0
        ends += ended_B.sum()
        np.testing.assert_array_equal(obs_BO, np.stack([want_B, np.arange(B)], axis=1))
    assert ends > 10


@pytest.mark.parametrize("name", ["cartpole", "pendulum", "gym"])
def test_saved_wrappers_go_on_bit_for_bit(name):
    chosen = {**ALL, "velocity_indices": [1] if name != "pendulum" else None}
    envs, fresh = (make_vector_env(name, num_envs=4, wrappers=chosen) for _ in range(2))
    envs.reset(seed=3)
    envs.action_space.seed(0)
    for _ in range(37):
        envs.step(envs.action_space.sample())
    saved = envs.get_state()
    action_TB = [envs.action_space.sample() for _ in range(80)]
    want = [envs.step(a) for a in action_TB]
    fresh.set_state(saved)
    for action_B, row in zip(action_TB, want, strict=True):
        got = fresh.step(action_B)
        for a, b in zip(got[:4], row[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        assert got[0].dtype == np.float32


def test_single_and_vector_shell_apply_the_same_rule():
    env = make_env("cartpole", wrappers=ALL)
    envs = make_vector_env("cartpole", num_envs=1, wrappers=ALL)
    assert env.observation_space == envs.single_observation_space
    np.testing.assert_array_equal(env.reset(seed=6)[0], envs.reset(seed=6)[0][0])
    rng = np.random.default_rng(0)
    for _ in range(8):
        action = int(rng.integers(2))
        obs, reward, terminated, *_ = env.step(action)
        row = envs.step(np.array([action]))
        np.testing.assert_array_equal(obs, row[4].get("final_obs", row[0])[0])
        assert (reward, terminated) == (row[1][0], row[2][0])
    saved = env.get_state()
    other = make_env("cartpole", wrappers=ALL)
    other.set_state(saved)
    np.testing.assert_array_equal(env.step(0)[0], other.step(0)[0])
    assert (env.dt, env.stock_dt, env.reward_bounds) == (0.02, 0.02, (1.0, 1.0))


def test_observations_lie_in_the_declared_space():
    envs = make_vector_env("pendulum", num_envs=3, wrappers=ALL)
    obs_BO, _ = envs.reset(seed=0)
    assert obs_BO in envs.observation_space
    assert envs.step(envs.action_space.sample())[0] in envs.observation_space


def test_next_step_autoreset_is_refused():
    physics = make_vector_env("pendulum", num_envs=1).physics
    envs = BatchedEnv(physics, 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ConfigError, match="SAME_STEP"):
        VectorTransform(envs, CountSteps(EnvFacts.of_vector(envs)))


def test_phase_plane_goes_through_a_mask_but_not_through_a_history():
    masked = make_vector_env("pendulum", num_envs=2, wrappers={"velocity_mask": True})
    plane = masked.phase_plane(4)
    assert plane.obs.shape == (16, 2)
    stacked = make_vector_env("pendulum", num_envs=2, wrappers={"frame_stack": 2})
    assert stacked.phase_plane(4) is None


def test_parts_and_success_pass_through_the_shells():
    for name, options in (("pendulum", {}), ("gym", {"id": "Pendulum-v1", "success_above": -9})):
        for envs in (
            make_vector_env(name, options, num_envs=2, wrappers=ALL),
            make_env(name, options, wrappers=ALL),
        ):
            assert envs.obs_parts == (ObsPart("obs", "vector", ((2 + 1 + 1) * 3,)),)
            assert envs.success_above == options.get("success_above")


def test_velocities_of_a_pack_leave_its_parts_shorter():
    parts = (
        ObsPart("a", "vector", (2,)),
        ObsPart("b", "vector", (1,)),
        ObsPart("c", "vector", (3,)),
    )
    facts = EnvFacts(Box(-1, 1, (6,), np.float32), parts, Discrete(2), "")
    mask = VelocityMask(facts, indices=[0, 2, 5])
    assert mask.obs_parts == (parts[0]._replace(shape=(1,)), parts[2]._replace(shape=(2,)))
    assert VelocityMask(facts, "zero", [0]).obs_parts == parts
    with pytest.raises(ConfigError, match="velocity_mask needs a vector of numbers"):
        VelocityMask(facts._replace(obs_parts=(ObsPart("a", "image", (1, 2, 3)),)), indices=[0])
