"""Adding (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016): the sum of two marked numbers.

input    a number, uniform on [0, 1), and a mark: 1 once in each half of the sequence
target   after the last step, the sum of the two marked numbers
"""

from dataclasses import dataclass

import numpy as np

from envs.sequence.base import SequenceBatch, SequenceTask, starts
from rlkit.options import option


@dataclass(frozen=True)
class AddingOptions:
    steps: int = option("T: length of a sequence", unit="steps", low=2)


class Adding(SequenceTask):
    """Only the last step is scored. Memoryless: says 1, the mean, whose error is 2 / 12."""

    stream, loss, unit = False, "squared", "squared error"
    input_size, target_size = 2, 1
    memoryless_loss, optimum = 1 / 6, 0.0

    def __init__(self, options: AddingOptions):
        self.options, self.steps = options, options.steps

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        T, half, column_B = self.options.steps, self.options.steps // 2, np.arange(B)
        x_TB2 = np.zeros((T, B, 2), np.float32)
        x_TB2[..., 0] = rng.random((T, B), dtype=np.float32)
        target_TB1 = np.zeros((T, B, 1), np.float32)
        for mark_B in (rng.integers(half, size=B), rng.integers(half, T, B)):
            x_TB2[mark_B, column_B, 1] = 1
            target_TB1[-1, :, 0] += x_TB2[mark_B, column_B, 0]
        weight_TB = np.zeros((T, B), np.float32)
        weight_TB[-1] = 1
        return SequenceBatch(x_TB2, target_TB1, weight_TB, starts(T, B))
