"""Variational auto-encoder of small images (Kingma & Welling, 2013), as in Ha & Schmidhuber, 2018.

    μ, log σ = encode(x)          conv 4x4, stride 2: C-32-64-128-256, ReLU, two linear heads
    z = μ + σ ε,   ε ~ N(0, 1)
    x̂ = decode(z)                 linear to 1024, transposed conv 5, 5, 6, 6: 128-64-32-C, sigmoid
    loss = Σ (x - x̂)² + max(KL(N(μ, σ) ‖ N(0, 1)), free)       a sum per image, the mean over images

Pixels are shares of 255. `free = 0` is Tallec 2019's loss, 0.5 Z the first authors' own.

Shapes: N images, Z latents.
"""

from itertools import pairwise

from torch import Tensor, nn

SIDE = 64
"""Height and width: the kernels fit no other."""


class VAE(nn.Module):
    """4.3 million weights with three channels and 32 latents.

    Args:
        channels: C, of the images.
        latent_size: Z.
    """

    def __init__(self, channels: int = 3, latent_size: int = 32):
        super().__init__()
        widths = (channels, 32, 64, 128, 256)
        down: list[nn.Module] = []
        for i, o in pairwise(widths):
            down += [nn.Conv2d(i, o, 4, stride=2), nn.ReLU()]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.mean = nn.Linear(1024, latent_size)
        self.log_std = nn.Linear(1024, latent_size)
        self.seed = nn.Linear(latent_size, 1024)
        up: list[nn.Module] = []
        widths = (1024, 128, 64, 32, channels)
        for (i, o), kernel in zip(pairwise(widths), (5, 5, 6, 6), strict=True):
            up += [nn.ConvTranspose2d(i, o, kernel, stride=2), nn.ReLU()]
        self.decoder = nn.Sequential(*up[:-1], nn.Sigmoid())

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (…, 64, 64, C) of uint8 → μ and log σ (…, Z)."""
        lead, x = x.shape[:-3], x.reshape(-1, *x.shape[-3:])
        x_NCHW = x.movedim(-1, 1).to(self.mean.weight.dtype) / 255  # channels last in memory
        h = self.encoder(x_NCHW)
        return self.mean(h).view(*lead, -1), self.log_std(h).view(*lead, -1)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (…, Z) → shares (…, 64, 64, C) in [0, 1]."""
        h_N = self.seed(z.reshape(-1, z.shape[-1])).relu()
        x_NCHW = self.decoder(h_N.view(-1, 1024, 1, 1))
        return x_NCHW.movedim(1, -1).view(*z.shape[:-1], SIDE, SIDE, -1)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction of x through one sample of its code, μ and log σ.

        Args:
            x: pixels (N, 64, 64, C) of uint8.
            noise: ε (N, Z).
        """
        mean_NZ, log_std_NZ = self.encode(x)
        return self.decode(mean_NZ + log_std_NZ.exp() * noise), mean_NZ, log_std_NZ


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Σ (x - x̂)² per image (N,), of pixels of uint8 and shares."""
    return (x.float() / 255 - reconstruction.float()).square().flatten(1).sum(1)


def divergence(mean_NZ: Tensor, log_std_NZ: Tensor) -> Tensor:
    """KL(N(μ, σ) ‖ N(0, 1)) per image (N,), in nat."""
    mean, log_std = mean_NZ.float(), log_std_NZ.float()
    return 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1)
