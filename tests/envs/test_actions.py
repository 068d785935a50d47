"""Action spaces as Discrete(n) or Box(-1, 1)."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from envs import ConfigError
from envs.actions import actions_of


def test_discrete_counts_from_zero():
    ours = actions_of(Discrete(3, start=-1))
    assert ours.space == Discrete(3)
    assert [ours.theirs(np.int64(a)) for a in range(3)] == [-1, 0, 1]


@pytest.mark.parametrize("shape", [(2,), (), (2, 3)])
def test_boxes_are_scaled_clipped_and_raveled(shape):
    space = Box(-2, 6, shape, np.float64)
    ours = actions_of(space)
    size = int(np.prod(shape))
    assert ours.space == Box(-1, 1, (size,), np.float32)
    for action, want in ((-1, -2), (0, 2), (0.5, 4), (1, 6), (9, 6)):
        theirs = ours.theirs(np.full(size, action, np.float32))
        np.testing.assert_array_equal(theirs, np.full(shape, want))
        assert theirs in space


def test_components_that_begin_at_zero_are_one_sided():
    space = Box(np.array([-1, 0, 0, -2, 0]), np.array([1, 1, 0.5, 0, 0]), dtype=np.float64)
    ours = actions_of(space)
    assert ours.one_sided == (1, 2)
    assert ours.theirs([0, -1, -1, 1, 0]).tolist() == [0, 0, 0, 0, 0]
    assert actions_of(Discrete(3)).one_sided == ()


def test_combinations_are_in_mixed_radix_last_entry_fastest():
    space = MultiDiscrete([2, 3])
    ours = actions_of(space)
    assert ours.space == Discrete(6)
    got = [ours.theirs(a).tolist() for a in range(6)]
    assert got == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert all(ours.theirs(a) in space for a in range(6))


@pytest.mark.parametrize(
    ("space", "count"),
    [
        (MultiDiscrete([[2, 3], [4, 1]], start=[[5, 6], [7, 8]]), 24),
        (MultiBinary(3), 8),
        (MultiBinary([2, 2]), 16),
        (MultiBinary(12), 4096),
    ],
)
def test_every_combination_comes_once(space, count):
    ours = actions_of(space)
    assert ours.space == Discrete(count)
    theirs = [ours.theirs(np.int64(a)) for a in range(count)]
    assert all(t in space for t in theirs)
    assert len({t.tobytes() for t in theirs}) == count


def test_a_changed_action_does_not_change_the_table():
    ours = actions_of(MultiBinary(2))
    ours.theirs(3)[:] = 0
    assert ours.theirs(3).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (MultiBinary(13), "MultiBinary actions have 8192 combinations, more than the 4096"),
        (MultiDiscrete([2**40, 2**40]), f"{2**80} combinations"),
        (Box(-np.inf, np.inf, (1,)), "allowed: bounded Box"),
        (Tuple((Discrete(2), Discrete(2))), "Tuple.* are not supported"),
        (Text(3), "are not supported"),
    ],
)
def test_refusals_are_one_sentence(space, message):
    with pytest.raises(ConfigError, match=message):
        actions_of(space)
