"""Jobs are pure functions of (parameters, seed), whatever is played beside them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rlkit.loops.population import Play, PopulationWorker, Record
from rlkit.run.rollouts import unpack


class Walk:
    """Shows the seed and the clock; ends by itself, or at its limit; the reward is the action."""

    def __init__(self, limit_steps=9):
        self.observation_space = SimpleNamespace(shape=(2,), dtype=np.dtype(np.float32))
        self.facts = {"dt": 0.5, "limit_steps": limit_steps}

    def get_wrapper_attr(self, name):
        return self.facts[name]

    def reset(self, seed):
        self.seed, self.clock = seed, 0
        return np.array([seed, 0], np.float32), {}

    def step(self, action):
        self.clock += 1
        obs = np.array([self.seed, self.clock], np.float32)
        over = self.clock == 2 + self.seed % 5
        return obs, float(action[0]), over, self.clock == self.facts["limit_steps"], {}


class Counting:
    """Acts by parameters plus the number of steps since the start; the memory is that number."""

    def initial_state(self, B):
        return (torch.zeros(B, 1),)

    def play(self, obs_BO, state, start_B, parameters_BP):
        count = torch.where(start_B[:, None], 0, state[0]) + 1
        return parameters_BP + count, (count,)

    def wander(self, seed):
        while True:
            yield np.array([seed], np.float32)


def worker(E, **options):
    return PopulationWorker([Walk(**options) for _ in range(E)], Counting())


def by_hand(parameter, seed):
    n = 2 + seed % 5
    return [(parameter * n + n * (n + 1) / 2) * 0.5, n, n]


@pytest.mark.parametrize("E", [1, 3, 16, 20])
@pytest.mark.parametrize("N", [1, 3, 40])
def test_each_job_is_played_on_its_seed_by_its_parameters(E, N):
    rng = np.random.default_rng(N)
    parameters = rng.integers(10, size=(N, 1)).astype(np.float32)
    seeds = tuple(int(s) for s in rng.integers(100, size=N))
    found = worker(E)(Play(parameters, seeds, 0))
    expected = [by_hand(float(p), s) for p, s in zip(parameters[:, 0], seeds, strict=True)]
    assert found.tolist() == expected


class Still(Counting):
    def play(self, obs_BO, state, start_B, parameters_BP):
        return parameters_BP, state


def test_a_stalled_rollout_is_charged_its_last_reward_to_the_end():
    lazy = PopulationWorker([Walk(limit_steps=100)], Still())
    parameters = np.array([[-0.5], [0.25]], np.float32)
    seeds = (4, 4)  # six steps each
    assert lazy(Play(parameters, seeds, 0)).tolist() == [[-1.5, 6, 6], [0.75, 6, 6]]
    expected = [[-0.5 * 100 * 0.5, 100, 3], [0.75, 6, 6]]
    assert lazy(Play(parameters, seeds, 3)).tolist() == expected
    assert lazy(Play(parameters, seeds, 6)).tolist() == [[-1.5, 6, 6], [0.75, 6, 6]]


def test_an_action_that_is_not_finite_is_refused():
    parameters = np.array([[np.nan]], np.float32)
    with pytest.raises(ValueError, match="not finite"):
        worker(1)(Play(parameters, (0,), 0))


def test_recorded_episodes_hold_one_observation_more():
    packed = worker(2)(Record((3, 4), most_steps=None))
    for seed, data in zip((3, 4), packed, strict=True):
        e = unpack(data)
        n = 2 + seed % 5
        assert e.obs.tolist() == [[seed, t] for t in range(n + 1)]
        assert e.action.tolist() == [[seed]] * n
        assert e.reward.tolist() == [seed] * n
        assert e.terminated.tolist() == [False] * (n - 1) + [True]
    (short,) = worker(1)(Record((4,), most_steps=3, parameters_P=np.array([0.5], np.float32)))
    e = unpack(short)
    assert e.action.tolist() == [[1.5], [2.5], [3.5]]  # the controller's, not the walk's
    assert e.terminated.tolist() == [False] * 3
