"""Rollout storage: every number says which step and which copy it came from."""

import numpy as np
import pytest
import torch

from rlkit.returns import gae
from rlkit.rollout import Minibatch, Rollout, minibatches
from rlkit.seeding import generator

T, B = 6, 4


def code(t, b):
    return 10.0 * t + b


def filled(L: int, discrete: bool = True) -> Rollout:
    """Field k of copy b at step t holds 1000 k + 10 t + b; the carry before t holds its code."""
    obs = torch.zeros(B, 2, dtype=torch.uint8 if discrete else torch.float32)
    action = torch.zeros(B, dtype=torch.int64) if discrete else torch.zeros(B, 3)
    rollout = Rollout(T, B, L, obs, action)
    code_TB = code(torch.arange(T)[:, None], torch.arange(B))
    for k, name in enumerate(("log_prob", "value", "reward", "discount", "advantage", "target")):
        getattr(rollout, name)[:] = 1000 * (k + 1) + code_TB
    rollout.obs[:] = torch.stack((code_TB, code_TB + 100), -1)
    rollout.action[:] = code_TB if discrete else code_TB.unsqueeze(-1)
    rollout.start[:] = code_TB % 3 == 0
    for c in range(T // L):
        first_B = code_TB[c * L]
        rollout.carries[c] = (first_B[:, None], first_B[:, None, None].expand(B, 2, 5) + 0.5)
    return rollout


def check(batch: Minibatch, L: int) -> list[tuple[int, int]]:
    """Holds every field of every sequence against its first action; returns (chunk, copy)s."""
    found = []
    action_LNA = batch.action.view(*batch.action.shape[:2], -1)
    for s, first in enumerate(action_LNA[0, :, 0].int().tolist()):
        t, b = divmod(first, 10)
        want_L = code(torch.arange(t, t + L), torch.tensor(b))
        assert (action_LNA[:, s] == want_L[:, None]).all()
        assert torch.equal(batch.obs[:, s].float(), torch.stack((want_L, want_L + 100), -1))
        assert torch.equal(batch.start[:, s], want_L % 3 == 0)
        for name, k in {"log_prob": 1, "value": 2, "advantage": 5, "target": 6}.items():
            assert torch.equal(getattr(batch, name)[:, s], 1000 * k + want_L)
        assert batch.state[0][s].tolist() == [code(t, b)]
        assert (batch.state[1][s] == code(t, b) + 0.5).all()
        found.append((t // L, b))
    return found


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("L", [1, 2, 3, 6])
def test_sequences_are_chunks_of_columns_with_the_carry_before_them(L, discrete):
    found = check(filled(L, discrete).sequences(), L)
    assert found == [(c, b) for c in range(T // L) for b in range(B)]


@pytest.mark.parametrize(("L", "count"), [(6, 2), (6, 4), (3, 4), (2, 3), (1, 1)])
def test_every_sequence_is_in_one_minibatch_of_an_epoch(L, count):
    rollout, g = filled(L), generator(0)
    orders = []
    for _ in range(3):
        parts = [check(b, L) for b in minibatches(rollout.sequences(), count, g)]
        assert [len(p) for p in parts] == [T // L * B // count] * count
        orders.append([s for p in parts for s in p])
        assert sorted(orders[-1]) == [(c, b) for c in range(T // L) for b in range(B)]
    assert orders[0] != orders[1] != orders[2]
    again = minibatches(rollout.sequences(), count, generator(0))
    assert [s for b in again for s in check(b, L)] == orders[0]


def test_types_of_observations_and_actions_stay():
    rollout = filled(3)
    assert (rollout.obs.dtype, rollout.action.dtype) == (torch.uint8, torch.int64)
    assert rollout.start.dtype == torch.bool
    assert rollout.obs.shape == (T, B, 2)


def test_without_memory_there_are_no_states():
    rollout = filled(2)
    rollout.carries = [(), (), ()]
    assert rollout.sequences().state == ()
    assert all(b.state == () for b in minibatches(rollout.sequences(), 2, generator(0)))


def test_estimate_fills_in_advantages_and_returns():
    rollout, g = filled(3), generator(1)
    for name in ("reward", "discount", "value"):
        getattr(rollout, name).copy_(torch.rand(T, B, generator=g))
    last_B = torch.rand(B, generator=g)
    rollout.estimate(last_B, 0.9)
    series = (rollout.reward, rollout.discount, rollout.value, last_B)
    want = gae(*(x.numpy() for x in series), 0.9)
    np.testing.assert_array_equal(rollout.advantage.numpy(), want)
    torch.testing.assert_close(rollout.target, rollout.advantage + rollout.value)
    assert not torch.equal(rollout.target, rollout.advantage)


def test_refreshed_carries_reach_the_sequences():
    rollout = filled(3)
    rollout.carries[1] = (torch.full((B, 1), -1.0), torch.full((B, 2, 5), -2.0))
    state = rollout.sequences().state
    assert state[0][:B, 0].tolist() == [0, 1, 2, 3]
    assert (state[0][B:] == -1).all()
    assert (state[1][B:] == -2).all()
