"""Encoder of MiniGrid's 7 x 7 x 3 view (GateL0RD, supplement B.6).

    conv 16 (2x2), ReLU, max-pool 2, conv 32 (2x2), ReLU, conv 64 (2x2), ReLU → 64 features

on the raw integers. A view is seen again and again: of the frames in a rollout a few per cent
are distinct. Each distinct view of a batch is encoded once and its features are handed to all its
frames; the gradients are the sums that the plain form would make. On those few views a convolution
is a gather and a matrix product.

Shapes: N frames, U distinct views, P positions of a kernel, K entries under it.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlkit.seeding import generator

VIEW = (7, 7, 3)
DEDUPLICATE_FROM = 128
"""Frames below which sorting costs more than it spares."""


class GridEncoder(nn.Module):
    """Views (…, 7, 7, 3) of uint8 → features (…, 64).

    Attributes:
        distinct: encode each distinct view once; False encodes every frame (for comparison).
    """

    output_size = 64
    keys: Tensor
    patches_1: Tensor
    patches_2: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.distinct = True
        self.conv_1 = nn.Conv2d(3, 16, 2)
        self.conv_2 = nn.Conv2d(16, 32, 2)
        self.conv_3 = nn.Conv2d(32, 64, 2)
        # sums of 147 products below 2^37 · 2^8 are exact in float64
        keys = torch.randint(2**37, (147,), generator=generator(0)).double()
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("patches_1", _patches(7, 3), persistent=False)
        self.register_buffer("patches_2", _patches(3, 16), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x_NK = x.reshape(-1, 147)
        if self.distinct and len(x_NK) >= DEDUPLICATE_FROM:
            first_U, which_N = distinct_rows(x_NK, self.keys)
            features = self.encode(x_NK[first_U]).index_select(0, which_N)
        else:
            features = self.encode(x_NK)
        return features.view(*x.shape[:-3], 64)

    def encode(self, x_NK: Tensor) -> Tensor:
        """Features of raveled views."""
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
        keys_K: float64 whole numbers, so small that sums are exact.

    Returns:
        (U,) the index of one row of each kind, and (N,) which of them each row equals.
    """
    hash_N = x_NK.double() @ keys_K
    _, which_N = torch.unique(hash_N, return_inverse=True)
    first = torch.zeros(int(which_N.max()) + 1, dtype=torch.int64)
    first[which_N] = torch.arange(len(which_N))
    if not torch.equal(x_NK[first][which_N], x_NK):  # two kinds with one hash: about never
        _, which_N = torch.unique(x_NK, dim=0, return_inverse=True)
        first = torch.zeros(int(which_N.max()) + 1, dtype=torch.int64)
        first[which_N] = torch.arange(len(which_N))
    return first, which_N
