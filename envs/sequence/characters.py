"""Characters of a text folded to 27 symbols: space and a … z. Which one comes next?

The text is a file of the user's (text8, a book), or the pages on topics in Python's own `help`:
376 k characters, which differ a little from one version of Python to the next. Training,
validation and test are the first 90 %, the next 5 % and the last 5 %. Losses are in bits per
character.
"""

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask, one_hot
from rlkit.options import ConfigError, option

SYMBOLS = " abcdefghijklmnopqrstuvwxyz"
FEWEST = 100
BORDERS = {"train": (0.0, 0.9), "validation": (0.9, 0.95), "test": (0.95, 1.0)}


@dataclass(frozen=True)
class CharactersOptions:
    file: str | None = option("text to read; null: Python's help topics")
    fold: bool = option("small letters, one space for all else; false: refuse other symbols")
    split: Literal["train", "validation", "test"] = option("90, 5, 5 % of the text")
    from_start: bool = option("streams begin at the first character; false: at a random one")


class Characters(SequenceTask):
    """A stream that begins anew when the text is over.

    Memoryless: knows the current character (the bigrams of this split, counted). Reference
    "unigram": knows nothing. The optimum is unknown.
    """

    input_size = target_size = len(SYMBOLS)
    unit = "bits"
    optimum = None
    held_out: ClassVar[Mapping[str, str]] = {"train": "validation"}

    def __init__(self, options: CharactersOptions):
        self.options = options
        symbols = _symbols(_read(options.file), options)
        first, last = (int(b * len(symbols)) for b in BORDERS[options.split])
        self.text = text = symbols[first:last]
        """Of the split, as indices."""
        counts = np.bincount(27 * text[:-1].astype(np.int64) + text[1:], minlength=27**2)
        pair, single = _bits(counts), _bits(counts.reshape(27, 27).sum(axis=1))
        self.memoryless_loss = pair - single
        self.references = {"unigram": single}

    def block(
        self, rng: np.random.Generator, carry: int | None, steps: int
    ) -> tuple[SequenceBatch, int]:
        N, first = len(self.text), carry is None
        place = (0 if self.options.from_start else int(rng.integers(N))) if carry is None else carry
        places = (place + np.arange(steps)) % N
        symbols, following = self.text[places, None], self.text[(places + 1) % N, None]
        start_T1 = (places == 0)[:, None]
        start_T1[0] |= first
        weight_T1 = (places < N - 1)[:, None].astype(np.float32)  # nothing follows the last one
        batch = SequenceBatch(
            one_hot(symbols, self.input_size), following.astype(np.int64), weight_T1, start_T1
        )
        return batch, (place + steps) % N


def _read(file: str | None) -> bytes:
    if file is not None:
        try:
            return Path(file).read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read env.file={file}: {error.strerror}") from None
    try:
        topics = importlib.import_module("pydoc_data.topics").topics
    except ModuleNotFoundError:
        raise ConfigError(
            "this Python came without pydoc_data, so env.file must name a text"
        ) from None
    return " ".join(topics[name] for name in sorted(topics)).encode()


def _symbols(text: bytes, options: CharactersOptions) -> Array:
    """Indices into `SYMBOLS`.

    Raises:
        ConfigError: too short, or, unless it is folded, symbols outside.
    """
    table = np.full(256, 0 if options.fold else 27, np.uint8)
    for i, symbol in enumerate(SYMBOLS):
        table[ord(symbol)] = i
        if options.fold:
            table[ord(symbol.upper())] = i
    symbols = table[np.frombuffer(text, np.uint8)]
    if options.fold:
        symbols = symbols[
            (symbols > 0) | np.concatenate([[True], symbols[:-1] > 0])[: len(symbols)]
        ]
    outside = np.flatnonzero(symbols == 27)
    if len(outside):
        at = int(outside[0])
        raise ConfigError(
            f"env.file={options.file} holds {text[at : at + 1]!r} at byte {at}, but with"
            " env.fold=false only a … z and space are allowed (env.fold=true makes it so)"
        )
    if len(symbols) < FEWEST:
        raise ConfigError(
            f"env.file={options.file} has {len(symbols)} characters, but must have at least"
            f" {FEWEST}"
        )
    return symbols


def _bits(counts: Array) -> float:
    """Entropy of what was counted."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum()) / math.log(2)
