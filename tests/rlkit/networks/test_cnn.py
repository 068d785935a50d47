"""CNN: depth follows the image's size; any leading axes; pixels as shares of 255."""

import pytest
import torch
from torch import nn

from rlkit.networks.cnn import CNN
from rlkit.seeding import generator


def pixels(*shape: int) -> torch.Tensor:
    return torch.randint(256, shape, generator=generator(1), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("shape", "channels", "flat"),
    [
        ((8, 8, 3), [16], 4 * 4 * 16),  # one layer at the least
        ((5, 3, 1), [16], 3 * 2 * 16),
        ((9, 4, 2), [16], 5 * 2 * 16),  # 9 x 4 → 5 x 2
        ((28, 28, 1), [16, 32], 7 * 7 * 32),
        ((64, 64, 3), [16, 32, 32], 8 * 8 * 32),
        ((96, 96, 3), [16, 32, 32, 32], 6 * 6 * 32),
        ((210, 160, 3), [16, 32, 32, 32], 14 * 10 * 32),  # four at the most
    ],
)
def test_depth_follows_the_longer_side(shape, channels, flat):
    net = CNN(shape, 10)
    convolutions = [m for m in net.convolutions if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == channels
    assert convolutions[0].in_channels == shape[-1]
    assert net.linear.in_features == flat
    assert net.output_size == 10
    y = net(pixels(2, *shape))
    assert y.shape == (2, 10)
    assert y.dtype == torch.float32


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3), (2, 1, 3)])
def test_leading_axes(leading):
    net, x = CNN((10, 6, 3), 5), pixels(*leading, 10, 6, 3)
    y = net(x)
    assert y.shape == (*leading, 5)
    rows = torch.cat([net(row.unsqueeze(0)) for row in x.reshape(-1, 10, 6, 3)])
    torch.testing.assert_close(y.reshape(-1, 5), rows, rtol=1e-5, atol=1e-6)


def test_it_is_a_convolution_of_shares_of_255():
    torch.manual_seed(0)
    net, x = CNN((12, 9, 2), 7).double(), pixels(3, 12, 9, 2)
    h = x.permute(0, 3, 1, 2).double() / 255
    for m in net.convolutions:
        if isinstance(m, nn.Conv2d):
            h = nn.functional.conv2d(h, m.weight, m.bias, stride=2, padding=1).relu()
    want = (h.flatten(1) @ net.linear.weight.T + net.linear.bias).relu()
    torch.testing.assert_close(net(x), want, rtol=1e-10, atol=1e-12)


def test_every_weight_learns():
    torch.manual_seed(0)
    net = CNN((20, 20, 3), 16)
    net(pixels(8, 20, 20, 3)).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.parameters())
