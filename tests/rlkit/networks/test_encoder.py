"""Encoder: one network for each part of an observation, its features laid end to end."""

import pytest
import torch

from rlkit.networks.cnn import CNN
from rlkit.networks.encoder import IMAGE_FEATURES, Encoder
from rlkit.networks.grid import ConvGrid, OneHotGrid
from rlkit.normalization import RunningNormalizer
from rlkit.observations import ObsPart
from rlkit.options import ConfigError
from rlkit.seeding import generator

VECTOR = ObsPart("compass", "vector", (3,))
IMAGE = ObsPart("camera", "image", (10, 9, 3))
GRID = ObsPart("view", "grid", (7, 7, 3))
PIXELS = {"image": 256, "grid": 4}


def draw(part: ObsPart, *leading: int) -> torch.Tensor:
    g, shape = generator(len(part.name)), (*leading, *part.shape)
    if part.kind == "vector":
        return torch.randn(shape, generator=g)
    return torch.randint(PIXELS[part.kind], shape, generator=g, dtype=torch.uint8)


def pack(parts: list[torch.Tensor], lead: int) -> torch.Tensor:
    """As environments do: raveled, end to end; uint8 only if all are."""
    flat = [p.flatten(lead) for p in parts]
    pixels = all(p.dtype == torch.uint8 for p in parts)
    return torch.cat(flat if pixels else [p.float() for p in flat], -1)


def build(*parts: ObsPart, **options) -> Encoder:
    torch.manual_seed(0)
    shape = parts[0].shape if len(parts) == 1 else (sum(p.size for p in parts),)
    return Encoder(shape, parts, **options)


def test_a_vector_passes_as_it_is():
    encoder, x = build(VECTOR), draw(VECTOR, 4, 2)
    assert torch.equal(encoder(x), x)
    assert encoder.output_size == 3
    assert list(encoder.parameters()) == []


def test_a_vector_through_tanh_layers():
    encoder, x = build(VECTOR, encoder="mlp", sizes=(8, 5)), draw(VECTOR, 4, 2)
    assert encoder(x).shape == (4, 2, 5)
    assert encoder.output_size == 5
    first, _, second, _ = encoder.networks[0]
    want = torch.tanh(torch.tanh(x @ first.weight.T) @ second.weight.T)  # biases start at zero
    torch.testing.assert_close(encoder(x), want)


@pytest.mark.parametrize(
    ("part", "encoder", "kind", "size"),
    [
        (IMAGE, "auto", CNN, IMAGE_FEATURES),
        (IMAGE, "cnn", CNN, IMAGE_FEATURES),
        (GRID, "auto", OneHotGrid, 64),
        (GRID, "grid", OneHotGrid, 64),
        (GRID, "grid_conv", ConvGrid, 64),
    ],
)
def test_pixels_have_an_encoder_of_their_own(part, encoder, kind, size):
    built, x = build(part, encoder=encoder), draw(part, 4, 2)
    assert isinstance(built.networks[0], kind)
    assert built.output_size == size
    assert torch.equal(built(x), built.networks[0](x))


@pytest.mark.parametrize("leading", [(), (5,), (4, 2)])
@pytest.mark.parametrize(
    "parts",
    [(VECTOR, IMAGE), (IMAGE, VECTOR, GRID), (GRID, IMAGE), (VECTOR, VECTOR)],
    ids=lambda parts: "-".join(p.kind for p in parts),
)
def test_a_packed_dictionary_is_encoded_part_by_part(parts, leading):
    encoder = build(*parts, sizes=(6,))
    pieces = [draw(p, *leading) for p in parts]
    y = encoder(pack(pieces, len(leading)))
    widths = {"vector": 6, "image": IMAGE_FEATURES, "grid": 64}
    assert encoder.output_size == sum(widths[p.kind] for p in parts)
    assert y.shape == (*leading, encoder.output_size)
    want = [net(x) for net, x in zip(encoder.networks, pieces, strict=True)]
    assert torch.equal(y, torch.cat(want, -1))


def test_bytes_stay_bytes_where_all_parts_are():
    packed = pack([draw(GRID, 4), draw(IMAGE, 4)], 1)
    assert packed.dtype == torch.uint8
    assert build(GRID, IMAGE)(packed).dtype == torch.float32


def test_every_part_learns():
    parts = (VECTOR, IMAGE, GRID)
    encoder = build(*parts, sizes=(6,))
    encoder(pack([draw(p, 9) for p in parts], 1)).square().sum().backward()
    for network in encoder.networks:
        assert sum(p.grad.abs().sum() for p in network.parameters()) > 0


def test_only_vectors_are_normalised_and_only_by_what_was_observed():
    parts = (IMAGE, VECTOR)
    encoder = build(*parts, normalize=True)
    pieces = [draw(p, 50) for p in parts]
    seen, own = pack(pieces, 1), RunningNormalizer((3,))
    before = encoder(seen)
    encoder.observe(seen)
    own.observe(pieces[1])
    after = encoder(seen)
    assert torch.equal(before[:, -3:], pieces[1])
    assert torch.equal(after[:, -3:], own(pieces[1]))
    assert torch.equal(after[:, :-3], before[:, :-3])
    assert [isinstance(n, RunningNormalizer) for n in encoder.normalizers] == [False, True]
    assert encoder.normalizers[1].count == 50


def test_without_normalisation_observing_changes_nothing():
    encoder, x = build(VECTOR), draw(VECTOR, 5)
    encoder.observe(x)
    assert encoder.state_dict() == {}


@pytest.mark.parametrize(
    ("encoder", "parts"),
    [("mlp", (GRID,)), ("cnn", (GRID,)), ("grid", (IMAGE,)), ("mlp", (VECTOR, IMAGE))],
)
def test_an_encoder_that_cannot_take_a_part_is_refused(encoder, parts):
    with pytest.raises(ConfigError, match=f"^agent.encoder is {encoder}, but"):
        build(*parts, encoder=encoder)
