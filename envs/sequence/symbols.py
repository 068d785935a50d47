"""Streams of characters: the input is a character, one-hot, the target the one that follows."""

from collections.abc import Callable

import numpy as np

from envs.sequence.base import Array, SequenceBatch, one_hot, starts


def symbol_block(
    more: Callable[[int], Array], carry: Array | None, steps: int, size: int, first: bool
) -> tuple[SequenceBatch, Array]:
    """The next steps of a stream of characters, and the characters drawn but not yet shown.

    Args:
        more: at least so many further characters.
        carry: characters that come first, if any.
        steps: how many.
        size: of the alphabet.
        first: whether the stream begins here.
    """
    given = np.zeros(0, np.uint8) if carry is None else np.asarray(carry, np.uint8)
    wanted = steps + 1 - len(given)  # the last target is the next block's first input
    symbols = np.concatenate([given, more(wanted)]) if wanted > 0 else given
    batch = SequenceBatch(
        one_hot(symbols[:steps, None], size),
        symbols[1 : steps + 1, None].astype(np.int64),
        np.ones((steps, 1), np.float32),
        starts(steps, 1, first),
    )
    return batch, symbols[steps:].copy()


def units_until(total: int, draw: Callable[[int], Array], longest: int) -> Array:
    """Sizes of as many independent units as are needed to reach a total, the last crossing it.

    Args:
        total: at least 1.
        draw: so many units → the size of each, as columns; a unit's length is the row's sum.
        longest: unit, for a first guess of how many are needed.
    """
    rows = draw(-(-total // longest))
    while (reached := int(rows.sum())) < total:
        rows = np.concatenate([rows, draw(-(-(total - reached) // longest))])
    return rows
