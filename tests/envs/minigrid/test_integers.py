"""`integer_source` draws what the generator's own `integers` draws."""

import numpy as np
import pytest

from envs.minigrid.layouts.integers import integer_source


@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 64, 1000, 3 << 30, (1 << 32) - 1])
def test_same_numbers_from_the_same_bits(n):
    """The large ones draw anew in up to every second case."""
    ours, theirs = np.random.default_rng(n), np.random.default_rng(n)
    integer = integer_source(ours)
    assert [integer(-5, n - 5) for _ in range(200)] == [
        int(theirs.integers(-5, n - 5)) for _ in range(200)
    ]
    assert ours.bit_generator.state == theirs.bit_generator.state


def test_both_draw_in_turns():
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    integer = integer_source(ours)
    numbers = [(integer(0, 6), ours.random(), ours.integers(1, 9)) for _ in range(50)]
    assert numbers == [
        (theirs.integers(0, 6), theirs.random(), theirs.integers(1, 9)) for _ in range(50)
    ]
