"""An episode is the same however many are played beside it, and training's noise is left alone."""

import numpy as np
import pytest
import torch

from rlkit.memory.gru import GRU
from rlkit.noise import UniformDraws
from rlkit.run.player import Player
from rlkit.seeding import generator


class Policy:
    """A GRU whose outputs are the logits of four actions."""

    def __init__(self):
        torch.manual_seed(0)
        self.memory = GRU(3, 4)
        self.noise = UniformDraws(generator(5))

    def initial_state(self, B):
        return self.memory.initial_state(B)

    def act(self, obs_BO, state, start_B, explore):
        y, state, _ = self.memory.step(obs_BO, state)
        if explore:
            y = 9 * y + self.noise.uniform(tuple(y.shape))
        return y.argmax(-1), state


def actions(B: int, explore: bool, policy: Policy | None = None) -> list[list[int]]:
    """Of the first B of eleven episodes, step by step."""
    obs_TBO = np.random.default_rng(1).normal(size=(200, 11, 3)).astype(np.float32)
    player = Player(policy or Policy(), explore)
    state, start = player.begin(list(range(30, 30 + B))), np.ones(B, dtype=bool)
    taken = []
    for obs_BO in obs_TBO:
        action, state = player.act(obs_BO[:B], state, start)
        assert action.shape == (B,)
        assert isinstance(action, np.ndarray)
        assert not state[0].requires_grad
        taken.append(action.tolist())
    return np.array(taken).T.tolist()


@pytest.mark.parametrize("explore", [False, True])
def test_an_episode_does_not_depend_on_those_beside_it(explore):
    everyone = actions(11, explore)
    assert len({tuple(a) for a in everyone}) == 11
    for B in (1, 2, 3, 7):
        assert actions(B, explore) == everyone[:B]


def test_exploring_draws_are_those_of_the_episode_not_of_training():
    policy = Policy()
    before = policy.noise.get_state()
    assert actions(2, True, policy) != actions(2, False, policy)
    assert torch.equal(policy.noise.get_state(), before)
    assert isinstance(policy.noise, UniformDraws)
