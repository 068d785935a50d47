"""The sum tree against plain sums."""

import pytest
import torch

from rlkit.replay.sum_tree import SumTree
from rlkit.seeding import generator


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 100])
def test_every_node_is_the_sum_of_its_two(size):
    tree, g = SumTree(size), generator(0)
    plain = torch.zeros(size, dtype=torch.float64)
    for _ in range(20):
        index = torch.randint(size, (5,), generator=g).unique()
        value = torch.rand(len(index), dtype=torch.float64, generator=g)
        tree[index] = value
        plain[index] = value
        assert torch.equal(tree[torch.arange(size)], plain)
        torch.testing.assert_close(tree.total, plain.sum())
        inner = torch.arange(1, tree.leaves)
        assert torch.equal(tree.nodes[inner], tree.nodes[2 * inner] + tree.nodes[2 * inner + 1])


def test_draws_are_in_proportion_and_never_of_a_zero():
    tree = SumTree(11)
    value = torch.tensor([0, 3, 0, 1, 0, 0, 8, 0, 0.5, 0, 0], dtype=torch.float64)
    tree[torch.arange(11)] = value
    counts = torch.bincount(tree.draw(50_000, generator(1)), minlength=11)
    want = value / value.sum() * 50_000
    assert (counts[value == 0] == 0).all()
    assert ((counts - want).abs() <= 5 * want.sqrt()).all()


def test_one_value_for_all():
    tree = SumTree(6)
    tree[torch.tensor([1, 4])] = 2.0
    assert tree.total == 4
