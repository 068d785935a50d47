"""Three States World (Sutton 2020; Elelimy 2023, section 3.1): which state comes next?

from 1 or 2:  1, 2 or 3, each with probability 1/3
from 3:       the state before it, so that one step back must be remembered
"""

import math
from dataclasses import dataclass

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask
from envs.sequence.symbols import symbol_block


@dataclass(frozen=True)
class ThreeStatesWorldOptions:
    """No options."""


class ThreeStatesWorld(SequenceTask):
    """One-hot states; a quarter of them is state 3, where the next one is certain.

    Memoryless: knows the current state; after 3 it is left with 1 or 2.
    """

    input_size = target_size = 3
    memoryless_loss = 3 / 4 * math.log(3) + 1 / 4 * math.log(2)
    optimum = 3 / 4 * math.log(3)

    def __init__(self, options: ThreeStatesWorldOptions):
        self.options = options

    def decisive(self, batch: SequenceBatch) -> Array:
        """Where the state is 3."""
        return batch.x_TBI[..., 2] > 0

    def block(
        self, rng: np.random.Generator, carry: Array | None, steps: int
    ) -> tuple[SequenceBatch, Array]:
        first = carry is None
        if carry is None:
            carry = rng.integers(2, size=1)
        before = carry[-1]  # never state 3: what follows it was drawn with it

        def more(n: int) -> Array:
            drawn = np.concatenate([[before], rng.integers(3, size=n)])
            is_third = drawn == 2
            kept = np.maximum.accumulate(np.where(is_third, 0, np.arange(n + 1)))
            pairs_N2 = np.stack([drawn, drawn[kept]], axis=1)
            shown_N2 = np.stack([np.ones(n + 1, bool), is_third], axis=1)
            return pairs_N2[1:][shown_N2[1:]].astype(np.uint8)

        return symbol_block(more, carry, steps, 3, first)
