"""Warping and padding of time (Tallec & Ollivier 2018, section 5.3): say the character before.

    base      characters, no two neighbours equal; the answer to each is the one before it
    warping   each character and its answer last w steps, in input and target
    padding   the w - 1 steps after the first show a dummy, and are not scored

w is uniform from `shortest` to `longest`; equal ones make the warping uniform, 1 … w makes it
variable. The answer to the first character is the dummy. Sequences are cut to their length.
"""

import math
from dataclasses import dataclass

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask, entropy, one_hot, starts
from rlkit.options import ConfigError, option


@dataclass(frozen=True)
class WarpingOptions:
    steps: int = option("length of a sequence", unit="steps", low=1)
    letters: int = option("characters, beside the dummy", low=2)
    shortest: int = option("fewest steps a character lasts", unit="steps", low=1)
    longest: int = option("most steps a character lasts", unit="steps", low=1)


class Warping(SequenceTask):
    """Symbols: the letters, then the dummy; every step is scored.

    Memoryless: knows the current character; the one before is any other, or the dummy.
    """

    stream, optimum = False, 0.0

    def __init__(self, options: WarpingOptions):
        self.options, self.steps = options, options.steps
        self.input_size = self.target_size = options.letters + 1
        lengths = np.minimum(_lengths(options), options.steps)
        self.memoryless_loss = _guess(lengths.mean() / options.steps, options.letters)

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        letter_TB, before_TB, _ = _warped(rng, self.options, B)
        weight_TB, size = np.ones(letter_TB.shape, np.float32), self.input_size
        start_TB = starts(self.options.steps, B)
        return SequenceBatch(one_hot(letter_TB, size), before_TB, weight_TB, start_TB)


@dataclass(frozen=True)
class PaddingOptions:
    steps: int = option("length of a sequence", unit="steps", low=1)
    letters: int = option("characters, beside the dummy", low=2)
    shortest: int = option("fewest steps from one character to the next", unit="steps", low=1)
    longest: int = option("most steps from one character to the next", unit="steps", low=1)


class Padding(SequenceTask):
    """Symbols: the letters, then the dummy; scored where a letter is shown.

    Memoryless: as for `Warping`.
    """

    stream, optimum = False, 0.0

    def __init__(self, options: PaddingOptions):
        self.options, self.steps = options, options.steps
        self.input_size = self.target_size = options.letters + 1
        begins = np.zeros(options.steps)  # P(a character begins at step t)
        begins[0] = 1.0
        lengths = _lengths(options)
        for t in range(1, options.steps):
            begins[t] = begins[t - lengths[lengths <= t]].sum() / len(lengths)
        self.memoryless_loss = _guess(1 / begins.sum(), options.letters)

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        letter_TB, before_TB, begins_TB = _warped(rng, self.options, B)
        dummy, start_TB = self.options.letters, starts(self.options.steps, B)
        symbol_TB = np.where(begins_TB, letter_TB, dummy)
        target_TB = np.where(begins_TB, before_TB, dummy)
        x_TBI = one_hot(symbol_TB, self.input_size)
        return SequenceBatch(x_TBI, target_TB, begins_TB.astype(np.float32), start_TB)


def _lengths(options: WarpingOptions | PaddingOptions) -> Array:
    """All that a character may last; each is as likely.

    Raises:
        ConfigError: there are none.
    """
    if options.longest < options.shortest:
        raise ConfigError(
            f"env.longest is {options.longest}, but must be at least"
            f" env.shortest={options.shortest}"
        )
    return np.arange(options.shortest, options.longest + 1)


def _guess(first: float, letters: int) -> float:
    """Cross entropy where the answer is the dummy with probability `first`, or else any other."""
    return entropy(first, 1 - first) + (1 - first) * math.log(letters - 1)


def _warped(
    rng: np.random.Generator, options: WarpingOptions | PaddingOptions, B: int
) -> tuple[Array, Array, Array]:
    """The letter at each step, the one before it, and where a letter begins; (T, B) each."""
    T, K = options.steps, options.letters
    N = -(-T // options.shortest)
    change_NB = rng.integers(1, K, (N, B))
    change_NB[0] = rng.integers(K, size=B)
    letter_NB = change_NB.cumsum(axis=0) % K
    before_NB = np.vstack([np.full((1, B), K), letter_NB[:-1]])
    begin_NB = np.zeros((N, B), np.int64)
    lengths_NB = rng.integers(options.shortest, options.longest, (N - 1, B), endpoint=True)
    begin_NB[1:] = lengths_NB.cumsum(axis=0)
    begins_TB = np.zeros((T, B), bool)
    n, b = np.nonzero(begin_NB < T)
    begins_TB[begin_NB[n, b], b] = True
    place_TB = begins_TB.cumsum(axis=0) - 1
    letter_TB = np.take_along_axis(letter_NB, place_TB, axis=0)
    return letter_TB, np.take_along_axis(before_NB, place_TB, axis=0), begins_TB
