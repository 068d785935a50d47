"""An episode is the same however many are played beside it, and training's noise is left alone."""

import numpy as np
import pytest
import torch

from rlkit.memory.gru import GRU
from rlkit.noise import UniformDraws
from rlkit.run.player import Player
from rlkit.seeding import generator


class Policy:
    """A GRU and a layer, on whose number of rows the rounding depends most with one output."""

    def __init__(self, outputs: int = 4):
        torch.manual_seed(0)
        self.memory = GRU(3, 5)
        self.head = torch.nn.Linear(5, outputs)
        self.noise = UniformDraws(generator(5))

    def initial_state(self, B):
        return self.memory.initial_state(B)

    def act(self, obs_BO, state, start_B, explore):
        h, state, _ = self.memory.step(obs_BO, state)
        y = self.head(h)
        if explore:
            y = 9 * y + self.noise.uniform(tuple(y.shape))
        return (y if y.shape[1] == 1 else y.argmax(-1)), state


def actions(B: int, explore: bool, policy: Policy | None = None) -> list[list[float]]:
    """Of the first B of 41 episodes, step by step."""
    obs_TBO = np.random.default_rng(1).normal(size=(100, 41, 3)).astype(np.float32)
    player = Player(policy or Policy(), explore)
    state, start = player.begin(list(range(30, 30 + B))), np.ones(B, dtype=bool)
    taken = []
    for obs_BO in obs_TBO:
        action, state = player.act(obs_BO[:B], state, start)
        assert len(action) == B
        assert isinstance(action, np.ndarray)
        assert not state[0].requires_grad
        taken.append(action.reshape(B))
    return np.array(taken).T.tolist()


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("explore", [False, True])
def test_an_episode_does_not_depend_on_those_beside_it(explore, outputs):
    everyone = actions(41, explore, Policy(outputs))
    assert len({tuple(a) for a in everyone}) == 41
    for B in (1, 2, 3, 7, 9, 13, 16, 25, 40):
        assert actions(B, explore, Policy(outputs)) == everyone[:B]


def test_exploring_draws_are_those_of_the_episode_not_of_training():
    policy = Policy()
    before = policy.noise.get_state()
    assert actions(2, True, policy) != actions(2, False, policy)
    assert torch.equal(policy.noise.get_state(), before)
    assert isinstance(policy.noise, UniformDraws)
