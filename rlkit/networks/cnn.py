"""A small convolutional network for images: 3x3 kernels, each halving the resolution."""

from torch import Tensor, nn

from rlkit.networks.layers import orthogonal

CHANNELS = (16, 32, 32, 32)


class CNN(nn.Module):
    """Pixels (…, H, W, C) of uint8 → features (…, output_size).

    Layers are added until the longer side is at most eight, four at the most.

    Args:
        shape: (H, W, C).
        output_size: width of the features.
    """

    def __init__(self, shape: tuple[int, ...], output_size: int):
        super().__init__()
        H, W, C = shape
        layers: list[nn.Module] = []
        for channels in CHANNELS:
            if max(H, W) <= 8 and layers:
                break
            layers += [nn.Conv2d(C, channels, 3, stride=2, padding=1), nn.ReLU()]
            H, W, C = (H + 1) // 2, (W + 1) // 2, channels
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        self.linear = orthogonal(H * W * C, output_size)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        x_NHWC = x.reshape(-1, *x.shape[-3:])
        x_NCHW = x_NHWC.movedim(-1, 1).to(self.linear.weight.dtype) / 255
        features = self.linear(self.convolutions(x_NCHW)).relu()
        return features.view(*x.shape[:-3], -1)
