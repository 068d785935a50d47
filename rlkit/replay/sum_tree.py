"""Sums of non-negative numbers in a binary tree: draw in proportion, change any, in log time."""

import torch
from torch import Tensor


class SumTree:
    """Node i is the sum of nodes 2 i and 2 i + 1; the numbers are the last half.

    Args:
        size: how many numbers, all 0 at first.
    """

    def __init__(self, size: int):
        self.size = size
        self.levels = max(1, (size - 1).bit_length())
        self.leaves = 1 << self.levels
        self.nodes = torch.zeros(2 * self.leaves, dtype=torch.float64)

    @property
    def total(self) -> Tensor:
        return self.nodes[1]

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.nodes[self.leaves + index]

    def __setitem__(self, index: Tensor, value: Tensor | float) -> None:
        node = self.leaves + index
        self.nodes[node] = torch.as_tensor(value, dtype=torch.float64)
        for _ in range(self.levels):
            node = node >> 1
            self.nodes[node] = self.nodes[2 * node] + self.nodes[2 * node + 1]

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Indices (n,) with replacement, each in proportion to its number."""
        left = torch.rand(n, dtype=torch.float64, generator=generator) * self.total
        node = torch.ones(n, dtype=torch.int64)
        for _ in range(self.levels):
            node = 2 * node
            first = self.nodes[node]
            right = (left >= first) & (self.nodes[node + 1] > 0)  # rounding never draws a zero
            left = torch.where(right, left - first, left)
            node = node + right.long()
        return node - self.leaves
