"""Replay of windows, against a history told copy by copy.

Every number says which copy, episode and clock it came from; states say how many inputs the memory
has seen, by the convention of the runner: not yet reset at an episode's first step.
"""

import pytest
import torch

from rlkit.options import ConfigError
from rlkit.replay.sequences import SequenceReplay
from rlkit.seeding import generator
from rlkit.types import Transition

B = 3
LENGTHS = {0: (4, "terminated"), 1: (3, "truncated"), 2: (1000, "")}
"""Copy → length of its episodes, how they end."""


class Memory:
    """Keeps all of a state."""

    carries = 1

    def carry(self, state):
        return state

    def resume(self, carries):
        return tuple(s[0] for s in carries)


def code(copy, episode, clock):
    return 10_000 * (copy + 1) + 100 * episode + clock


def step(t: int, dtype=torch.float32, discrete: bool = False) -> Transition:
    rows = []
    for b in range(B):
        length, how = LENGTHS[b]
        episode, clock = divmod(t, length)
        over = clock + 1 == length
        c = code(b, episode, clock)
        state = 0 if t == 0 else code(b, *divmod(t - 1, length)) + 0.5
        row = [c, c + 0.25, -c, over and how == "terminated", code(b, episode, clock + 1)]
        rows.append([*row, clock == 0, state, over and how == "truncated", c + 0.5])
    obs, action, reward, terminated, after, start, state, truncated, then = torch.tensor(
        rows, dtype=torch.float64
    ).T
    later = torch.stack([_next_obs(t, b) for b in range(B)])
    following = torch.where((terminated + truncated) > 0, after, later)
    return Transition(
        obs_BO=obs.to(dtype).unsqueeze(-1),
        action_BA=action.long() if discrete else action.float().unsqueeze(-1),
        reward_B=reward.float(),
        terminated_B=terminated.float(),
        next_obs_BO=following.to(dtype).unsqueeze(-1),
        start_B=start.bool(),
        state=(state.float().unsqueeze(-1),),
        truncated_B=truncated.bool(),
        next_state=(then.float().unsqueeze(-1),),
    )


def _next_obs(t, b):
    return torch.tensor(code(b, *divmod(t + 1, LENGTHS[b][0])), dtype=torch.float64)


def history(b: int, steps: int) -> list[dict]:
    """The rows that should be stored of copy b, final observations included."""
    length, how = LENGTHS[b]
    rows = []
    for t in range(steps):
        episode, clock = divmod(t, length)
        c = code(b, episode, clock)
        state = 0 if t == 0 else code(b, *divmod(t - 1, length)) + 0.5
        over = clock + 1 == length
        ended = float(over and how == "terminated")
        row = {"obs": c, "action": c + 0.25, "reward": -c, "terminated": ended}
        rows.append(row | {"start": clock == 0, "state": state})
        if over:
            final = code(b, episode, clock + 1)
            rows.append({"obs": final, "action": 0, "reward": 0, "terminated": 0})
            rows[-1] |= {"start": False, "state": c + 0.5}
    return rows


def filled(steps: int, T: int = 3, capacity: int = 90, seed: int = 1, **changes):
    replay = SequenceReplay(capacity, T, Memory(), generator(seed), **changes)
    for t in range(steps):
        replay.add(step(t))
    return replay


def windows_of(steps: int, T: int, capacity: int) -> dict[float, list[dict]]:
    """First observation → rows, of every window that should be there."""
    told = {}
    for b in range(B):
        rows = history(b, steps)[-(capacity // B) :]
        for i in range(len(rows) - T):
            told[rows[i]["obs"], rows[i]["start"]] = rows[i : i + T + 1]
    return told


@pytest.mark.parametrize(("steps", "capacity"), [(12, 90), (40, 90), (23, 24), (9, 300)])
@pytest.mark.parametrize("T", [1, 3, 6])
def test_windows_are_what_happened(T, steps, capacity):
    replay, told = filled(steps, T, capacity), windows_of(steps, T, capacity)
    assert replay.size == len(told)
    w = replay.sample(3000)
    seen = set()
    for n in range(3000):
        key = w.obs_TBO[0, n, 0].item(), w.start_TB[0, n].item()
        rows, _ = told[key], seen.add(key)
        assert w.obs_TBO[:, n, 0].tolist() == [r["obs"] for r in rows]
        assert w.start_TB[:, n].tolist() == [r["start"] for r in rows]
        assert w.action_TBA[:, n, 0].tolist() == [r["action"] for r in rows[:-1]]
        assert w.reward_TB[:, n].tolist() == [r["reward"] for r in rows[:-1]]
        assert w.terminated_TB[:, n].tolist() == [r["terminated"] for r in rows[:-1]]
        assert w.state[0][n, 0].item() == rows[0]["state"]
    assert seen == told.keys()  # every one is drawn


def test_a_truncated_episode_keeps_its_final_observation():
    """Copy 1, by hand: clock 2 is its last step, 3 what it saw then; no step leads out of it."""
    w = filled(20, T=2).sample(500)
    n = (w.obs_TBO[0, :, 0] == code(1, 1, 2)).nonzero()[0, 0]
    assert w.obs_TBO[:, n, 0].tolist() == [code(1, 1, 2), code(1, 1, 3), code(1, 2, 0)]
    assert w.start_TB[:, n].tolist() == [False, False, True]
    assert w.terminated_TB[:, n].tolist() == [0, 0]
    n = (w.obs_TBO[0, :, 0] == code(0, 1, 3)).nonzero()[0, 0]
    assert w.terminated_TB[:, n].tolist() == [1, 0]


def test_sampling_is_uniform():
    replay = filled(12)
    w = replay.sample(400 * replay.size)
    counts = torch.bincount(w.obs_TBO[0, :, 0].long())
    counts = counts[counts > 0]
    assert len(counts) == replay.size
    assert (counts - 400).abs().max() < 5 * 400**0.5


def test_pixels_and_discrete_actions_keep_their_type():
    replay = SequenceReplay(90, 2, Memory(), generator(0))
    for t in range(9):
        replay.add(step(t, torch.uint8, discrete=True))
    w = replay.sample(5)
    assert w.obs_TBO.dtype == torch.uint8
    assert w.action_TBA.dtype == torch.int64
    assert w.action_TBA.shape == (2, 5)


def test_samples_are_copies_and_so_is_what_is_stored():
    replay, handed = filled(8), step(8)
    replay.add(handed)
    handed.obs_BO.fill_(-1)
    replay.sample(9).obs_TBO.fill_(-1)
    assert (replay.sample(500).obs_TBO > 0).all()


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize(("steps", "capacity"), [(2, 90), (7, 90), (40, 33)])
def test_state_round_trip_gives_the_same_future(steps, capacity, alpha):
    replay, other = (
        filled(n, 3, capacity, seed, priority_exponent=alpha) for n, seed in ((steps, 1), (0, 77))
    )
    if replay.size and alpha:
        replay.sample(6)
        replay.reprioritize(torch.rand(3, 6, generator=generator(5)))
    other.set_state(replay.get_state())
    for t in range(steps, steps + 30):
        for r in (replay, other):
            r.add(step(t))
        assert replay.size == other.size
        if replay.size:
            a, b = replay.sample(8), other.sample(8)
            for ours, theirs in zip(a, b, strict=True):
                for x, y in zip(*([v] if v is None else v for v in (ours, theirs)), strict=True):
                    assert x is y is None or torch.equal(x, y)
            if alpha:
                for r in (replay, other):
                    r.reprioritize(a.reward_TB / 1000)


def test_priorities_set_the_frequencies():
    """Priority = mean |residual| to the power α; new windows have the largest so far."""
    replay = filled(8, T=2, priority_exponent=0.5, importance_exponent=1.0)
    residual_of = lambda w: (w.obs_TBO[0, :, 0] % 7 + 1) ** 2  # noqa: E731
    for _ in range(40):  # until every window has been seen
        w = replay.sample(200)
        replay.reprioritize(residual_of(w).expand(2, -1))
    w = replay.sample(60_000)
    start = w.obs_TBO[0, :, 0] * 2 + w.start_TB[0]
    values, counts = start.unique(return_counts=True)
    assert len(values) == replay.size
    want = torch.tensor([residual_of(w)[start == v][0].sqrt() for v in values])
    want = want / want.sum() * 60_000
    assert ((counts - want).abs() < 5 * want.sqrt()).all()
    inverse = 1 / residual_of(w).sqrt()  # β = 1 undoes the draw
    torch.testing.assert_close(w.weight_B, inverse / inverse.max())


def test_a_new_window_is_drawn_like_the_most_surprising_one():
    replay = filled(8, T=2, priority_exponent=1.0)
    for _ in range(40):
        replay.sample(200)
        replay.reprioritize(torch.full((2, 200), 0.001))
    replay.highest = 50.0
    replay.add(step(8))
    newest = {code(0, 1, 3), code(1, 2, 1), code(2, 0, 6), code(1, 2, 0), code(0, 1, 2)}
    assert {int(c) for c in replay.sample(400).obs_TBO[0, :, 0]} <= newest | {code(0, 2, 0)}


def test_overwritten_windows_are_never_drawn():
    replay = filled(60, T=3, capacity=24, priority_exponent=1.0)
    told = windows_of(60, 3, 24)
    w = replay.sample(2000)
    keys = zip(w.obs_TBO[0, :, 0].tolist(), w.start_TB[0].tolist(), strict=True)
    assert set(keys) == told.keys()


def test_an_empty_replay_says_so():
    with pytest.raises(ValueError, match="holds no window yet"):
        filled(0).sample(2)
    with pytest.raises(ValueError, match="holds no window yet"):
        filled(2).sample(2)
    assert filled(0).size == filled(2).size == 0


def test_a_replay_shorter_than_a_window_is_refused():
    with pytest.raises(ConfigError, match="a replay of 9 rows cannot hold windows of 3 steps"):
        filled(1, T=3, capacity=9)
