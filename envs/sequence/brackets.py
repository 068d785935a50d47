"""Distant brackets and aⁿbⁿ: streams of short lines of text (Tallec 2019, section 3.5).

    distant_brackets   [ s characters ] k characters, the same s again, newline
    anbn               n a's, newline, n b's, newline     (Gers & Schmidhuber 2001)

Losses are in bits per character. In the thesis anbn(1, 32) has entropy 0.14, or 0.28 for a model
that does not count: the rate per line is log2(l - k + 1), once or twice.
"""

import math
from dataclasses import dataclass

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask, entropy
from envs.sequence.symbols import symbol_block, units_until
from rlkit.options import ConfigError, option

BITS = 1 / math.log(2)


@dataclass(frozen=True)
class DistantBracketsOptions:
    inside: int = option("s: characters in brackets, to be repeated", low=1)
    between: int = option("k: random characters before they are repeated", low=0)
    letters: int = option("a: size of the alphabet", low=1, high=200)


class DistantBrackets(SequenceTask):
    """Symbols: the letters 0 … a - 1, then [, ] and newline.

    Memoryless: knows the current character. Reference "structure": knows the place in the line.
    """

    unit = "bits"

    def __init__(self, options: DistantBracketsOptions):
        self.options = o = options
        self.input_size = self.target_size = o.letters + 3
        self.line = 2 * o.inside + o.between + 3
        shown, choice = self.line - 3, math.log2(o.letters)
        end = 1 / shown  # a letter is the last before ] or newline
        after_letter = BITS * entropy(end, end, 1 - 2 * end) + (1 - 2 * end) * choice
        self.memoryless_loss = (2 * choice + shown * after_letter) / self.line
        self.optimum = (o.inside + o.between) * choice / self.line
        self.references = {"structure": shown * choice / self.line}

    def block(
        self, rng: np.random.Generator, carry: Array | None, steps: int
    ) -> tuple[SequenceBatch, Array]:
        s, a = self.options.inside, self.options.letters

        def more(n: int) -> Array:
            lines = -(-n // self.line)
            drawn_NC = rng.integers(a, size=(lines, s + self.options.between), dtype=np.uint8)
            marks_N3 = np.broadcast_to(np.arange(a, a + 3, dtype=np.uint8), (lines, 3))
            opening, closing, newline = marks_N3[:, :1], marks_N3[:, 1:2], marks_N3[:, 2:]
            inside, between = drawn_NC[:, :s], drawn_NC[:, s:]
            return np.hstack([opening, inside, closing, between, inside, newline]).ravel()

        return symbol_block(more, carry, steps, a + 3, carry is None)


@dataclass(frozen=True)
class AnBnOptions:
    shortest: int = option("k: smallest n", low=1)
    longest: int = option("l: largest n", low=1)


class AnBn(SequenceTask):
    """Symbols: a, b, newline; n is uniform from k to l.

    Memoryless: knows the current character. Reference "without counting": knows how long the run
    of a's or b's is so far, but not how long the one before was.
    """

    input_size = target_size = 3
    unit = "bits"

    def __init__(self, options: AnBnOptions):
        self.options = o = options
        if o.longest < o.shortest:
            raise ConfigError(
                f"env.longest is {o.longest}, but must be at least env.shortest={o.shortest}"
            )
        mean, choice = (o.shortest + o.longest) / 2, math.log2(o.longest - o.shortest + 1)
        line = 2 * mean + 2
        letter = BITS * entropy(1 / mean, 1 - 1 / mean)
        self.memoryless_loss = (2 * mean * letter + 2) / line
        self.optimum = choice / line
        self.references = {"without counting": 2 * choice / line}

    def block(
        self, rng: np.random.Generator, carry: Array | None, steps: int
    ) -> tuple[SequenceBatch, Array]:
        o = self.options

        def draw(n: int) -> Array:
            counts_N4 = np.ones((n, 4), np.int64)
            counts_N4[:, ::2] = rng.integers(o.shortest, o.longest, (n, 1), endpoint=True)
            return counts_N4

        def more(n: int) -> Array:
            counts_N4 = units_until(n, draw, 2 * o.longest + 2)
            symbols = np.tile(np.array([0, 2, 1, 2], np.uint8), len(counts_N4))
            return np.repeat(symbols, counts_N4.ravel())

        return symbol_block(more, carry, steps, 3, carry is None)
