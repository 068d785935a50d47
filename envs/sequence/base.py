"""The contract of a sequence task: inputs, what is to be said at each, and how good one can be.

A task is one of two kinds and offers both ways of reading.

    sequences   of `steps` steps each; as a stream, one after the other
    stream      without an end; as a batch, the beginnings of B independent streams

Everything is drawn by a `numpy.random.Generator` that someone brings. A stream is generated in
blocks of `block_steps`, so that it is the same however it is read, and its state is that of its
generator before the block, what the block began with, and a position.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rlkit.options import ConfigError

Array = npt.NDArray[Any]


class SequenceBatch(NamedTuple):
    """T steps of B sequences or streams."""

    x_TBI: Array
    """float32"""
    target_TB: Array
    """the class, int64; or float32 components (T, B, K)"""
    weight_TB: Array
    """float32: 1 where a step is scored, 0 where nothing is asked"""
    start_TB: Array
    """true at the first input of a sequence, or of a stream"""


class SequenceTask:
    """A task; its options are the dataclass of the same name + "Options" beside it.

    The loss is the mean over the steps that are scored, Σ weight · loss / Σ weight. A task defines
    `block` if it is a stream, `sequences` if it is not.

    Attributes:
        input_size: components of an input.
        target_size: classes, or components of a target.
        loss: "cross_entropy" (natural) or "squared" (summed over components, no factor ½).
        unit: of the three numbers below; "bits" is cross entropy / ln 2.
        memoryless_loss: of the best prediction without memory, as the class says what that is.
        optimum: of the best prediction of all; None if that is unknown.
        references: other losses worth comparing with.
        stream: whether it has no end.
        steps: of one sequence; 0 for a stream.
        held_out: for a split that is learnt from, the one that is evaluated on; else the same.
    """

    kind = "sequence"
    input_size: int
    target_size: int
    loss: Literal["cross_entropy", "squared"] = "cross_entropy"
    unit: Literal["nats", "bits", "squared error"] = "nats"
    memoryless_loss: float
    optimum: float | None
    references: Mapping[str, float] = {}
    stream = True
    steps: int = 0
    block_steps = 2**14
    held_out: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    def native_dt(options: Any) -> float:
        """Time is counted in steps."""
        return 1.0

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        """B whole sequences."""
        raise NotImplementedError

    def block(self, rng: np.random.Generator, carry: Any, steps: int) -> tuple[SequenceBatch, Any]:
        """The next steps of one stream (B = 1), and what the ones after them begin with.

        Args:
            rng: of the stream.
            carry: plain data; None at the beginning of the stream.
            steps: how many.
        """
        raise NotImplementedError

    def decisive(self, batch: SequenceBatch) -> Array:
        """(T, B) true where an answer shows whether something was remembered."""
        return batch.weight_TB > 0

    def sample(self, rng: np.random.Generator, T: int | None, B: int) -> SequenceBatch:
        """B sequences, or the first T steps of B streams; a pure function of the generator.

        Raises:
            ConfigError: T is missing for a stream, or is not that of the sequences.
        """
        if not self.stream:
            if T not in (None, self.steps):
                raise ConfigError(f"T is {T}, but the sequences have {self.steps} steps")
            return self.sequences(rng, B)
        if T is None or T < 1:
            raise ConfigError(f"T is {T}, but of a stream at least 1 step must be asked for")
        rngs = [np.random.default_rng(seed) for seed in rng.integers(2**63, size=B)]
        return _joined([self.block(r, None, T)[0] for r in rngs], axis=1)

    def begin(self, seeds: Sequence[int]) -> None:
        """Begins one stream per seed; stream i depends on its own seed only."""
        self._rngs = [np.random.default_rng(seed) for seed in seeds]
        self._carries: list[Any] = [None] * len(self._rngs)
        self._next_block()

    def read(self, T: int) -> SequenceBatch:
        """The next T steps of all streams.

        Raises:
            ConfigError: T is below 1.
        """
        if T < 1:
            raise ConfigError(f"T is {T}, but of a stream at least 1 step must be asked for")
        parts, wanted = [], T
        while wanted:
            if self._position == len(self._block.x_TBI):
                self._next_block()
            rows = slice(self._position, self._position + wanted)
            part = SequenceBatch(*(a[rows] for a in self._block))
            parts.append(part)
            self._position += len(part.x_TBI)
            wanted -= len(part.x_TBI)
        x_TBI, target_TB, weight_TB, start_TB = _joined(parts, axis=0)
        return SequenceBatch(x_TBI.astype(np.float32), target_TB, weight_TB, start_TB)

    def get_state(self) -> dict[str, Any]:
        """Where the streams are, as plain data."""
        return {
            "rngs": self._states,
            "carries": list(self._begun_with),
            "position": self._position,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on bit for bit from what `get_state` returned."""
        self._rngs = [np.random.default_rng() for _ in state["rngs"]]
        for rng, before in zip(self._rngs, state["rngs"], strict=True):
            rng.bit_generator.state = before
        self._carries = list(state["carries"])
        self._next_block()
        self._position = state["position"]

    def _next_block(self) -> None:
        self._states = [rng.bit_generator.state for rng in self._rngs]
        self._begun_with = self._carries
        drawn = [self._strip(r, c) for r, c in zip(self._rngs, self._carries, strict=True)]
        self._carries = [carry for _, carry in drawn]
        self._block, self._position = _joined([strip for strip, _ in drawn], axis=1), 0

    def _strip(self, rng: np.random.Generator, carry: Any) -> tuple[SequenceBatch, Any]:
        if self.stream:
            return self.block(rng, carry, self.block_steps)
        many = self.sequences(rng, -(-self.block_steps // self.steps))
        return SequenceBatch(*(a.swapaxes(0, 1).reshape(-1, 1, *a.shape[2:]) for a in many)), None


def _joined(parts: Sequence[SequenceBatch], axis: int) -> SequenceBatch:
    if len(parts) == 1:
        return parts[0]
    return SequenceBatch(*(np.concatenate(arrays, axis) for arrays in zip(*parts, strict=True)))


def starts(T: int, B: int, first: bool = True) -> Array:
    """Flags that are true at the first step, if `first`."""
    start_TB = np.zeros((T, B), dtype=bool)
    start_TB[0] = first
    return start_TB


def one_hot(symbol_TB: Array, size: int) -> Array:
    """float32, (…, size)."""
    return np.eye(size, dtype=np.float32)[symbol_TB]


def entropy(*probabilities: float) -> float:
    """Of a distribution, in nats."""
    p = np.array([p for p in probabilities if p > 0])
    return float(-(p * np.log(p)).sum())
