"""Copy and variable copy (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016; Henaff et al. 2016).

    input    S data symbols, dummies, the signal, S dummies
    target   dummies, and after the signal the data

In `copying` the signal comes T steps after the last data symbol; in `variable_copying` uniformly
1 … T dummies lie between them, and dummies fill the sequence up after the answer.
"""

import math
from dataclasses import dataclass

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask, one_hot, starts
from rlkit.options import option


@dataclass(frozen=True)
class CopyingOptions:
    delay_steps: int = option("T: from the last data symbol to the signal", unit="steps", low=1)
    data_steps: int = option("S: symbols to be copied", unit="steps", low=1)
    letters: int = option("different data symbols", low=1)


class Copying(SequenceTask):
    """Symbols: the letters, then dummy and signal; T + 2 S steps, all scored.

    Memoryless: knows when to answer, but not what: S ln letters / (T + 2 S).
    """

    stream, optimum = False, 0.0

    def __init__(self, options: CopyingOptions):
        self.options = o = options
        self.input_size = self.target_size = o.letters + 2
        self.steps = o.delay_steps + 2 * o.data_steps
        self.memoryless_loss = o.data_steps * math.log(o.letters) / self.steps

    def decisive(self, batch: SequenceBatch) -> Array:
        """Where a data symbol is to be said."""
        return batch.target_TB < self.options.letters

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        o = self.options
        data_SB = rng.integers(o.letters, size=(o.data_steps, B))
        return _copies(data_SB, np.full(B, o.delay_steps - 1), o.letters, self.steps)


@dataclass(frozen=True)
class VariableCopyingOptions:
    delay_steps: int = option("T: most dummies before the signal", unit="steps", low=1)
    data_steps: int = option("S: symbols to be copied", unit="steps", low=1)
    letters: int = option("different data symbols", low=1)


class VariableCopying(SequenceTask):
    """As `Copying`, with T + 2 S + 1 steps: room for the longest gap, and the signal.

    Memoryless: knows when to answer, but not what.
    """

    stream, optimum = False, 0.0

    def __init__(self, options: VariableCopyingOptions):
        self.options = o = options
        self.input_size = self.target_size = o.letters + 2
        self.steps = o.delay_steps + 2 * o.data_steps + 1
        self.memoryless_loss = o.data_steps * math.log(o.letters) / self.steps

    def decisive(self, batch: SequenceBatch) -> Array:
        """Where a data symbol is to be said."""
        return batch.target_TB < self.options.letters

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        o = self.options
        data_SB = rng.integers(o.letters, size=(o.data_steps, B))
        gap_B = rng.integers(1, o.delay_steps, B, endpoint=True)
        return _copies(data_SB, gap_B, o.letters, self.steps)


def _copies(data_SB: Array, gap_B: Array, letters: int, T: int) -> SequenceBatch:
    """Sequences with so many dummies between data and signal."""
    S, B = data_SB.shape
    symbol_TB = np.full((T, B), letters)
    target_TB = np.full((T, B), letters)
    signal_B, column_B = S + gap_B, np.arange(B)
    symbol_TB[:S] = data_SB
    symbol_TB[signal_B, column_B] = letters + 1
    target_TB[signal_B + 1 + np.arange(S)[:, None], column_B] = data_SB
    weight_TB = np.ones((T, B), np.float32)
    return SequenceBatch(one_hot(symbol_TB, letters + 2), target_TB, weight_TB, starts(T, B))
