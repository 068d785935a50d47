"""VAE: shapes, the loss by hand, and that half of it can be trained."""

import math

import pytest
import torch

from rlkit.networks.vae import VAE, divergence, squared_error
from rlkit.seeding import generator


def pixels(*shape):
    return torch.randint(256, shape, generator=generator(1), dtype=torch.uint8)


@pytest.mark.parametrize("leading", [(), (1,), (2, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(leading, channels):
    net, x = VAE(channels, 7), pixels(*leading, 64, 64, channels)
    mean, log_std = net.encode(x)
    assert mean.shape == log_std.shape == (*leading, 7)
    y = net.decode(mean)
    assert y.shape == x.shape
    assert ((y > 0) & (y < 1)).all()
    rows = net.encode(x.reshape(-1, 64, 64, channels))[0]
    torch.testing.assert_close(mean.reshape(-1, 7), rows, rtol=0, atol=1e-5)


def test_the_thesis_number_of_weights():
    assert sum(p.numel() for p in VAE(3, 32).parameters()) == 4_348_547


def test_it_is_the_network_of_the_docstring():
    torch.manual_seed(0)
    net, x, noise = VAE(2, 5).double(), pixels(3, 64, 64, 2), torch.randn(3, 5).double()
    h = x.permute(0, 3, 1, 2).double() / 255
    for layer in net.encoder:
        if isinstance(layer, torch.nn.Conv2d):
            assert (layer.kernel_size, layer.stride) == ((4, 4), (2, 2))
            h = torch.conv2d(h, layer.weight, layer.bias, stride=2).relu()
    h = h.flatten(1)
    assert h.shape == (3, 1024)
    mean = h @ net.mean.weight.T + net.mean.bias
    log_std = h @ net.log_std.weight.T + net.log_std.bias
    z = mean + log_std.exp() * noise
    y = (z @ net.seed.weight.T + net.seed.bias).relu().view(3, 1024, 1, 1)
    up = [m for m in net.decoder if isinstance(m, torch.nn.ConvTranspose2d)]
    assert [m.kernel_size[0] for m in up] == [5, 5, 6, 6]
    for i, m in enumerate(up):
        y = torch.conv_transpose2d(y, m.weight, m.bias, stride=2)
        y = y.relu() if i < 3 else y.sigmoid()
    again, found_mean, found_log_std = net(x, noise)
    torch.testing.assert_close(found_mean, mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found_log_std, log_std, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(again, y.permute(0, 2, 3, 1), rtol=1e-10, atol=1e-12)


def test_loss_by_hand():
    x = torch.zeros(2, 1, 2, 1, dtype=torch.uint8)
    x[0, 0, 0] = 255
    reconstruction = torch.tensor([[0.5, 0.25], [0.0, 1.0]]).view(2, 1, 2, 1)
    assert squared_error(x, reconstruction).tolist() == [0.25 + 0.0625, 1.0]
    mean, log_std = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(2)]])
    expected = 0.5 + (0.5 * 4 - 0.5 - math.log(2))  # KL of N(1, 1), and of N(0, 2)
    torch.testing.assert_close(divergence(mean, log_std), torch.tensor([expected]))
