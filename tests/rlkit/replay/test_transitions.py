"""Transition replay: every number says which step and which copy it came from."""

import pytest
import torch

from rlkit.replay.transitions import TransitionReplay
from rlkit.seeding import generator
from rlkit.types import Transition

B = 3


def step(t: int, discrete: bool = False) -> Transition:
    """Copy b at step t has the code 10·t + b in every field."""
    code = 10.0 * t + torch.arange(B)
    return Transition(
        obs_BO=torch.stack((code, code + 0.25), -1),
        action_BA=code.long() if discrete else (code + 0.5).unsqueeze(-1),
        reward_B=-code,
        terminated_B=(code % 2 == 0).float(),
        next_obs_BO=torch.stack((code + 1000, code + 1000.25), -1),
        start_B=torch.zeros(B, dtype=torch.bool),
        state=(),
        truncated_B=torch.zeros(B, dtype=torch.bool),
    )


def filled(steps: int, capacity: int = 50, seed: int = 1, discrete: bool = False):
    replay = TransitionReplay(capacity, generator(seed))
    for t in range(steps):
        replay.add(step(t, discrete))
    return replay


def codes(replay: TransitionReplay, n: int = 3000) -> list[int]:
    return sorted({int(c) for c in replay.sample(n).obs_TBO[0, :, 0]})


@pytest.mark.parametrize("discrete", [False, True])
def test_fields_of_a_sample_belong_together(discrete):
    batch = filled(9, discrete=discrete).sample(200)
    code = batch.obs_TBO[0, :, 0]
    assert batch.obs_TBO.shape == (2, 200, 2)
    assert torch.equal(batch.obs_TBO[0, :, 1], code + 0.25)
    assert torch.equal(batch.obs_TBO[1, :, 0], code + 1000)
    assert torch.equal(batch.obs_TBO[1, :, 1], code + 1000.25)
    assert torch.equal(batch.reward_TB, -code.unsqueeze(0))
    assert torch.equal(batch.terminated_TB, (code % 2 == 0).float().unsqueeze(0))
    action = batch.action_TBA
    if discrete:
        assert action.dtype == torch.int64
        assert torch.equal(action, code.long().unsqueeze(0))
    else:
        assert torch.equal(action, (code + 0.5).view(1, 200, 1))
    assert batch.state == ()


def test_only_what_was_stored_is_sampled():
    assert codes(filled(2)) == [0, 1, 2, 10, 11, 12]


@pytest.mark.parametrize("capacity", [6, 7, 8])
def test_the_ring_forgets_the_oldest(capacity):
    replay = filled(11, capacity)
    every = [10 * t + b for t in range(11) for b in range(B)]
    assert replay.size == capacity
    assert codes(replay) == every[-capacity:]


def test_sampling_is_uniform():
    replay = filled(4)  # 12 transitions
    counts = torch.bincount(replay.sample(12_000).obs_TBO[0, :, 0].long())
    counts = counts[counts > 0]
    assert len(counts) == 12
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


def test_samples_are_copies():
    replay = filled(2)
    replay.sample(9).obs_TBO.fill_(-1)
    assert codes(replay) == [0, 1, 2, 10, 11, 12]


def test_what_was_handed_over_may_be_reused():
    replay, handed = TransitionReplay(20, generator(0)), step(0)
    replay.add(handed)
    handed.obs_BO.fill_(-1)
    assert codes(replay) == [0, 1, 2]


@pytest.mark.parametrize(("steps", "capacity"), [(3, 50), (11, 7)])
def test_state_round_trip_gives_the_same_future(steps, capacity):
    replay = filled(steps, capacity)
    replay.sample(5)
    other = TransitionReplay(capacity, generator(77))
    other.set_state(replay.get_state())
    for t in range(steps, steps + 4):
        for r in (replay, other):
            r.add(step(t))
        for ours, theirs in zip(replay.sample(8)[:4], other.sample(8)[:4], strict=True):
            assert torch.equal(ours, theirs)


def test_an_empty_replay_round_trips():
    other = TransitionReplay(7, generator(1))
    other.set_state(TransitionReplay(7, generator(1)).get_state())
    other.add(step(0))
    assert codes(other) == [0, 1, 2]


def test_an_empty_replay_says_so():
    with pytest.raises(ValueError, match="the replay is empty"):
        TransitionReplay(5, generator(0)).sample(2)
