"""From an observation to what the memory is fed: an encoder for each kind of part.

    vector → itself, or tanh layers      image → CNN      grid → OneHotGrid or ConvGrid

Features of several parts are laid end to end.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlkit.networks.cnn import CNN
from rlkit.networks.grid import ConvGrid, GridEncoder, OneHotGrid
from rlkit.networks.layers import tanh_layers
from rlkit.normalization import RunningNormalizer
from rlkit.observations import ObsPart, check_encoder

IMAGE_FEATURES = 128


class Encoder(nn.Module):
    """Observations (…, *shape) → features (…, output_size).

    Args:
        shape: of one observation.
        parts: what it is made of; several parts lie raveled end to end.
        encoder: auto, mlp, cnn, grid or grid_conv.
        sizes: widths of tanh layers on vectors.
        normalize: normalise vectors by the running moments of all that was seen.

    Raises:
        ConfigError: encoder and observation do not fit.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        parts: tuple[ObsPart, ...],
        encoder: str = "auto",
        sizes: Sequence[int] = (),
        normalize: bool = False,
    ):
        super().__init__()
        check_encoder(encoder, parts)
        self.parts = parts
        self.normalizers = nn.ModuleList(
            RunningNormalizer(p.shape) if normalize and p.kind == "vector" else nn.Identity()
            for p in parts
        )
        self.networks = nn.ModuleList(_network(p, encoder, sizes) for p in parts)
        self.output_size = sum(_width(p, sizes) for p in parts)

    def forward(self, x: Tensor) -> Tensor:
        features = [
            network(normalizer(piece))
            for piece, normalizer, network in zip(
                self._pieces(x), self.normalizers, self.networks, strict=True
            )
        ]
        return features[0] if len(features) == 1 else torch.cat(features, dim=-1)

    def _pieces(self, x: Tensor) -> list[Tensor]:
        """The parts, in their own shapes and types (packing makes floats of pixels)."""
        if len(self.parts) == 1:
            return [x]
        lead = x.shape[:-1]
        return [
            (piece.float() if p.kind == "vector" else piece.byte()).view(*lead, *p.shape)
            for piece, p in zip(x.split([p.size for p in self.parts], -1), self.parts, strict=True)
        ]

    def observe(self, x: Tensor) -> None:
        """Sees observations (B, *shape); only the normalisers mind."""
        for piece, normalizer in zip(self._pieces(x), self.normalizers, strict=True):
            if isinstance(normalizer, RunningNormalizer):
                normalizer.observe(piece)


def _network(part: ObsPart, encoder: str, sizes: Sequence[int]) -> nn.Module:
    if part.kind == "image":
        return CNN(part.shape, IMAGE_FEATURES)
    if part.kind == "grid":
        return ConvGrid() if encoder == "grid_conv" else OneHotGrid()
    return tanh_layers(part.shape[0], sizes)


def _width(part: ObsPart, sizes: Sequence[int]) -> int:
    if part.kind == "image":
        return IMAGE_FEATURES
    if part.kind == "grid":
        return GridEncoder.output_size
    return sizes[-1] if sizes else part.size
