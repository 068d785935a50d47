"""Encoders of MiniGrid's 7 x 7 x 3 view.

    OneHotGrid   relu(W onehot(view) + b) → 64 features
    ConvGrid     conv 16 (2x2), ReLU, max-pool 2, conv 32 (2x2), ReLU, conv 64 (2x2), ReLU → 64,
                 on the raw integers (GateL0RD, supplement B.6)

On raw integers a key (5) is nearly a ball (6), and MemoryS7 asks for the difference: see
`docs/agents/ppo.md` for what each learnt.

A view is seen again and again: of the frames in a rollout a few per cent are distinct. Each
distinct view of a batch is encoded once and its features are handed to all its frames; the
gradients are the sums that the plain form would make. On those few views a convolution is a gather
and a matrix product.

Shapes: N frames, U distinct views, P positions of a kernel, K entries under it.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlkit.networks.layers import orthogonal
from rlkit.seeding import generator

DEDUPLICATE_FROM = 64
"""Frames below which sorting costs more than it spares."""
ROWS = 16


class GridEncoder(nn.Module):
    """Views (…, 7, 7, 3) of uint8 → features (…, 64).

    Attributes:
        distinct: encode each distinct view once; False encodes every frame (for comparison).
    """

    output_size = 64
    keys: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.distinct = True
        # sums of 147 products below 2^37 · 2^8 are exact in float64
        keys = torch.randint(2**37, (147,), generator=generator(0))
        self.register_buffer("keys", keys, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x_NK = x.reshape(-1, 147)
        if self.distinct and len(x_NK) >= DEDUPLICATE_FROM:
            first_U, which_N = distinct_rows(x_NK, self.keys)
            spare = -len(first_U) % ROWS  # how a product rounds depends on the number of rows
            first_U = torch.cat((first_U, first_U[:1].expand(spare)))
            features = self.encode(x_NK[first_U]).index_select(0, which_N)
        else:
            features = self.encode(x_NK)
        return features.view(*x.shape[:-3], self.output_size)

    def encode(self, x_NK: Tensor) -> Tensor:
        """Features (N, 64) of raveled views."""
        raise NotImplementedError


class OneHotGrid(GridEncoder):
    """One linear layer on type, colour and state of each cell, each as one of its values."""

    VALUES = (11, 6, 4)
    places: Tensor

    def __init__(self) -> None:
        super().__init__()
        width = sum(self.VALUES)
        first = torch.tensor([0, self.VALUES[0], self.VALUES[0] + self.VALUES[1]])
        places = (width * torch.arange(49)[:, None] + first).view(147)
        self.register_buffer("places", places, persistent=False)
        self.linear = orthogonal(49 * width, self.output_size)

    def encode(self, x_NK: Tensor) -> Tensor:
        w = self.linear.weight
        hot = w.new_zeros(len(x_NK), w.shape[1]).scatter_(1, x_NK.long() + self.places, 1.0)
        return self.linear(hot).relu()


class ConvGrid(GridEncoder):
    """The source's network, on the raw integers."""

    patches_1: Tensor
    patches_2: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(3, 16, 2)
        self.conv_2 = nn.Conv2d(16, 32, 2)
        self.conv_3 = nn.Conv2d(32, 64, 2)
        self.register_buffer("patches_1", _patches(7, 3), persistent=False)
        self.register_buffer("patches_2", _patches(3, 16), persistent=False)

    def encode(self, x_NK: Tensor) -> Tensor:
        x = x_NK.to(self.conv_1.weight.dtype)
        h = self._convolve(x, self.patches_1, self.conv_1)  # (N, 36, 16): 6 x 6, in 2 x 2 blocks
        h = h.view(-1, 9, 4, 16).amax(2).view(-1, 9 * 16)
        h = self._convolve(h, self.patches_2, self.conv_2)  # (N, 4, 32)
        w = self.conv_3.weight.permute(0, 2, 3, 1).reshape(64, -1)
        return linear(h.view(-1, 128), w, self.conv_3.bias).relu()

    @staticmethod
    def _convolve(x_NK: Tensor, patches_PK: Tensor, conv: nn.Conv2d) -> Tensor:
        w = conv.weight.permute(0, 2, 3, 1).reshape(conv.out_channels, -1)
        return linear(x_NK[:, patches_PK], w, conv.bias).relu()


def _patches(side: int, channels: int) -> Tensor:
    """Indices of the entries under each position of a 2x2 kernel, into a raveled (side, side, C).

    Of the 7x7 view the positions come in blocks of 2x2, so that pooling is over neighbours.
    """
    index = torch.arange(side * side * channels).view(side, side, channels)
    windows = index.unfold(0, 2, 1).unfold(1, 2, 1)  # (P, P, C, 2, 2)
    n = side - 1
    windows = windows.permute(0, 1, 3, 4, 2)
    if side == 7:
        windows = windows.reshape(3, 2, 3, 2, -1).permute(0, 2, 1, 3, 4)
    return windows.reshape(n * n, -1)


def distinct_rows(x_NK: Tensor, keys_K: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of small integers are distinct.

    Args:
        x_NK: uint8.
        keys_K: int64, so small that float64 sums are exact.

    Returns:
        (U,) the index of one row of each kind, and (N,) which of them each row equals.
    """
    hash_N = x_NK.double() @ keys_K.double()
    _, which_N = torch.unique(hash_N, return_inverse=True)
    first = which_N.new_zeros(int(which_N.max()) + 1)
    first[which_N] = torch.arange(len(which_N), device=which_N.device)
    if not torch.equal(x_NK[first][which_N], x_NK):  # two kinds with one hash: about never
        _, which_N = torch.unique(x_NK, dim=0, return_inverse=True)
        first = which_N.new_zeros(int(which_N.max()) + 1)
        first[which_N] = torch.arange(len(which_N), device=which_N.device)
    return first, which_N
