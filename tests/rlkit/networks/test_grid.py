"""Encoders of grids: equal to plain ones, and with distinct views to every frame for itself."""

import copy

import pytest
import torch
from torch.nn.functional import max_pool2d, one_hot

from rlkit.networks.grid import (
    DEDUPLICATE_FROM,
    ConvGrid,
    GridEncoder,
    OneHotGrid,
    distinct_rows,
)
from rlkit.seeding import generator

each_encoder = pytest.mark.parametrize("kind", [OneHotGrid, ConvGrid])


def views(N: int, kinds: int | None = None, seed: int = 0) -> torch.Tensor:
    """N views of cells as MiniGrid has them; of so many kinds."""
    g = generator(seed)
    highest = torch.tensor([11, 6, 4])
    drawn = torch.rand(kinds or N, 7, 7, 3, generator=g) * highest
    drawn = drawn.floor().to(torch.uint8)
    return drawn if kinds is None else drawn[torch.randint(kinds, (N,), generator=g)]


def encoder(kind=ConvGrid, dtype=torch.float64) -> GridEncoder:
    torch.manual_seed(0)
    return kind().to(dtype)


def plain(net: GridEncoder, x: torch.Tensor) -> torch.Tensor:
    """As torch has it: convolutions of (N, C, 7, 7); one-hot codes, cell by cell."""
    if isinstance(net, OneHotGrid):
        codes = [one_hot(x[..., c].long(), n) for c, n in enumerate((11, 6, 4))]
        return net.linear(torch.cat(codes, -1).flatten(1).to(net.linear.weight.dtype)).relu()
    h = x.permute(0, 3, 1, 2).to(net.conv_1.weight.dtype)
    h = max_pool2d(net.conv_1(h).relu(), 2)
    return net.conv_3(net.conv_2(h).relu()).relu().flatten(1)


def gradients(net, y):
    """Of a weighting of the outputs that tells all of them apart."""
    weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return torch.autograd.grad((weight * y).sum(), list(net.parameters()))


@each_encoder
@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize(("N", "kinds"), [(5, None), (DEDUPLICATE_FROM, None), (300, 12)])
def test_outputs_and_gradients_are_those_of_the_plain_form(kind, N, kinds, distinct):
    net, x = encoder(kind), views(N, kinds)
    net.distinct = distinct
    got, want = net(x), plain(net, x)
    assert (want > 0).float().mean() > 0.2
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    for a, b in zip(gradients(net, got), gradients(net, want), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@each_encoder
@pytest.mark.parametrize("kinds", [1, 7, 200, None])
def test_distinct_views_change_neither_outputs_nor_gradients(kind, kinds):
    net, x = encoder(kind, torch.float32), views(256, kinds)
    every = copy.deepcopy(net)
    every.distinct = False
    got, want = net(x), every(x)
    torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)
    for a, b in zip(gradients(net, got), gradients(every, want), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6 * b.abs().max().item())


def test_each_distinct_view_is_encoded_once(monkeypatch):
    net, seen = encoder(), []
    encode = net.encode
    monkeypatch.setattr(net, "encode", lambda x: seen.append(len(x)) or encode(x))
    kinds = len(views(400, 9).view(400, -1).unique(dim=0))
    for N in (400, DEDUPLICATE_FROM, DEDUPLICATE_FROM - 1):
        net(views(400, 9)[:N])
    filled = -(-kinds // 16) * 16  # the rounding of a product depends on its number of rows
    assert filled < DEDUPLICATE_FROM - 1
    assert seen == [filled, filled, DEDUPLICATE_FROM - 1]


@each_encoder
@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (8, 40)])
def test_leading_axes(kind, leading):
    net, x = encoder(kind), views(320).view(8, 40, 7, 7, 3)
    x = x.reshape(-1, 7, 7, 3)[: torch.Size(leading).numel()].view(*leading, 7, 7, 3)
    y = net(x)
    assert y.shape == (*leading, 64)
    torch.testing.assert_close(y.reshape(-1, 64), plain(net, x.reshape(-1, 7, 7, 3)))


@each_encoder
def test_a_view_that_is_a_part_of_a_wider_array(kind):
    net = encoder(kind)
    wide = torch.cat((views(6).view(6, 147), torch.zeros(6, 5, dtype=torch.uint8)), -1)
    torch.testing.assert_close(net(wide[:, :147].view(6, 7, 7, 3)), plain(net, views(6)))


@pytest.mark.parametrize("zero_keys", [False, True], ids=["keys", "all hashes collide"])
def test_distinct_rows(zero_keys):
    x_NK = views(500, 23).view(500, 147)
    keys = encoder().keys
    first_U, which_N = distinct_rows(x_NK, torch.zeros_like(keys) if zero_keys else keys)
    assert torch.equal(x_NK[first_U][which_N], x_NK)
    assert len(first_U) == len(x_NK.unique(dim=0))
    assert which_N[first_U].tolist() == list(range(len(first_U)))


def test_two_rows_of_one_hash_are_told_apart():
    keys = torch.ones(147, dtype=torch.int64)
    x_NK = torch.zeros(3, 147, dtype=torch.uint8)
    x_NK[0, 3], x_NK[1, 9], x_NK[2, 3] = 1, 1, 1
    first_U, which_N = distinct_rows(x_NK, keys)
    assert torch.equal(x_NK[first_U][which_N], x_NK)
    assert len(first_U) == 2


def test_hashes_are_exact_in_double_precision():
    """147 products of the largest entry and key stay below 2^53."""
    keys = encoder().keys
    assert 147 * 255 * int(keys.max()) < 2**53
    assert torch.equal(keys, GridEncoder().keys)  # of no seed but its own
    assert torch.equal(keys, encoder(dtype=torch.float32).keys)


@each_encoder
def test_only_weights_are_saved(kind):
    net = encoder(kind)
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()}


@pytest.mark.parametrize("kind", [OneHotGrid, ConvGrid])
def test_a_few_distinct_views_have_the_features_they_have_among_many(kind):
    """Bit for bit: an episode is evaluated the same beside any others."""
    torch.manual_seed(0)
    encoder = kind()
    views = torch.randint(0, 4, (100, 7, 7, 3), generator=generator(1), dtype=torch.uint8)
    with torch.no_grad():
        many = encoder(views)
        for kinds in (1, 2, 3, 7):
            rows = torch.arange(64) % kinds
            assert torch.equal(encoder(views[rows]), many[rows])
        assert torch.equal(encoder(views[:8]), many[:8])
