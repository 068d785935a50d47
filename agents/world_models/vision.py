"""The vision V: from an observation to a code, by a variational auto-encoder or by scaling.

    images of 64 x 64    μ, σ = encoder(x), trained to reconstruct recorded frames
    vectors              μ = (x - mean) / spread of the recorded ones, σ = 0

Trained on recorded episodes, the last of which are held out. A buffer of a few episodes at a time
is in memory.

Shapes: N images, Z latents.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.networks.vae import VAE, divergence, squared_error
from rlkit.optim.flat import FlatParameters
from rlkit.optim.make import make_optimizer
from rlkit.run.rollouts import Episode, EpisodeFolder
from rlkit.schedule import Plateau
from rlkit.types import Tree

VALIDATION_IMAGES = 200
ADAM = {"name": "adam", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


class Recorded(NamedTuple):
    """One recorded episode, still on disk."""

    folder: EpisodeFolder
    number: int

    def read(self) -> Episode:
        return self.folder.read(self.number)


def split(
    sources: Sequence[tuple[EpisodeFolder, int]], share: float
) -> tuple[list[Recorded], list[Recorded]]:
    """Episodes to train on, and the last of each folder to validate with; at least one of each."""
    train, held_out = [], []
    for folder, count in sources:
        last = min(max(1, round(share * count)), count - 1)
        episodes = [Recorded(folder, i) for i in range(count)]
        train += episodes[: count - last]
        held_out += episodes[count - last :]
    return train, held_out


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class ImageVision(nn.Module):
    """The auto-encoder.

    Args:
        channels: of the images.
        latent_size: Z.
        bf16: encode and decode in half precision.
    """

    def __init__(self, channels: int, latent_size: int, bf16: bool):
        super().__init__()
        self.vae, self.latent_size, self.bf16 = VAE(channels, latent_size), latent_size, bf16

    def half(self) -> Any:
        """A context in which products are of bfloat16, if that was decided."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.bf16)

    def encode(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """μ and σ (…, Z)."""
        with self.half():
            mean, log_std = self.vae.encode(obs)
        return mean.float(), log_std.float().exp()

    def decode(self, z: Tensor) -> Tensor:
        """Pixels (…, 64, 64, C) of uint8."""
        with self.half():
            x = self.vae.decode(z)
        return (x.float() * 255).round().byte()


class VectorVision(nn.Module):
    """Scaling to mean 0 and spread 1.

    Args:
        size: of the observation, and of the code.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, size: int):
        super().__init__()
        self.latent_size = size
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))

    def encode(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        z = (obs - self.mean) / self.spread
        return z, torch.zeros_like(z)

    def decode(self, z: Tensor) -> Tensor:
        return z * self.spread + self.mean


class ScaleFitting:
    """Stage: mean and spread of recorded vectors."""

    name = "vision"

    def __init__(self, inputs: dict[str, Any], vision: VectorVision, episodes: Sequence[Recorded]):
        self.inputs, self.vision, self.episodes = inputs, vision, episodes
        self.progress = 0.0

    def complete(self, result: Tree) -> bool:
        return True

    def advance(self) -> dict[str, float]:
        x_NO = np.concatenate([e.read().obs for e in self.episodes]).astype(np.float64)
        spread = x_NO.std(0)
        self.vision.mean.copy_(torch.from_numpy(x_NO.mean(0)))
        self.vision.spread.copy_(torch.from_numpy(np.where(spread > 1e-6, spread, 1.0)))
        self.progress = 1.0
        return {"vision/observations": float(len(x_NO))}

    def get_state(self) -> Tree:
        return {}

    def set_state(self, state: Tree) -> None:
        pass

    def result(self) -> Tree:
        return {"weights": dict(self.vision.state_dict())}

    def adopt(self, result: Tree) -> None:
        self.vision.load_state_dict(result["weights"])


class VisionTraining:
    """Stage: fits the auto-encoder to recorded images.

    Args:
        inputs: all its result depends on.
        vision: what is trained.
        train: episodes to learn from.
        held_out: episodes to validate with.
        options: the agent's.
    """

    name = "vision"

    def __init__(
        self,
        inputs: dict[str, Any],
        vision: ImageVision,
        train: Sequence[Recorded],
        held_out: Sequence[Recorded],
        options: Any,
    ):
        self.inputs, self.vision, self.options = inputs, vision, options
        self.train, self.held_out = train, held_out
        adam = make_optimizer(ADAM, options.vision_lr, math.inf)
        self.parameters = FlatParameters(vision, adam)
        self.plateau = Plateau(options.patience, options.stop_after)
        self.images = 0
        self.validation_N: Tensor | None = None

    @property
    def progress(self) -> float:
        done = self.images >= self.options.vision_images or self.plateau.stopped
        return 1.0 if done else self.images / self.options.vision_images

    def complete(self, result: Tree) -> bool:
        return True

    def advance(self) -> dict[str, float]:
        """Trains until the next validation, on a few episodes drawn for that."""
        o = self.options
        seeds = np.random.SeedSequence((self.inputs["seed"], 2, self.images))
        rng = np.random.default_rng(seeds)
        generator = torch.Generator().manual_seed(int(seeds.generate_state(1)[0]))
        self.parameters.scale_step(self.plateau.factor)
        some = rng.permutation(len(self.train))[: o.buffer_episodes]
        frames = torch.from_numpy(np.concatenate([self.train[i].read().obs for i in some]))
        losses = []
        until = min(self.images + o.vision_validate_images, o.vision_images)
        order = torch.randperm(len(frames), generator=generator)
        while self.images < until:
            while len(order) < o.vision_batch:
                order = torch.cat((order, torch.randperm(len(frames), generator=generator)))
            batch, order = frames[order[: o.vision_batch]], order[o.vision_batch :]
            noise = torch.randn(len(batch), self.vision.latent_size, generator=generator)
            losses.append(self.descend(batch, noise))
            self.images += o.vision_batch
        error = self.validate()
        self.plateau.see(error)
        return {
            "vision/images": float(self.images),
            "vision/loss": float(torch.stack(losses).mean()),
            "vision/validation_squared_error": error,
            "vision/lr_factor": self.plateau.factor,
        }

    def descend(self, x: Tensor, noise_NZ: Tensor) -> Tensor:
        """One step down the loss of `rlkit.networks.vae`."""
        with self.vision.half():
            x_hat, mean_NZ, log_std_NZ = self.vision.vae(x, noise_NZ)
        free = self.options.kl_free_nats * self.vision.latent_size
        kl = divergence(mean_NZ, log_std_NZ).clamp(min=free)
        loss = (squared_error(x, x_hat) + kl).mean()
        self.parameters.step_down(loss, math.inf)
        return loss.detach()

    @torch.no_grad()
    def validate(self) -> float:
        """Squared error per image of the same held-out frames each time."""
        if self.validation_N is None:
            some = self.held_out[: self.options.buffer_episodes]
            frames = np.concatenate([e.read().obs for e in some])
            at = np.linspace(0, len(frames) - 1, min(VALIDATION_IMAGES, len(frames))).astype(int)
            self.validation_N = torch.from_numpy(frames[at])
        x = self.validation_N
        with self.vision.half():
            x_hat = self.vision.vae.decode(self.vision.vae.encode(x)[0])
        return float(squared_error(x, x_hat).mean())

    def get_state(self) -> Tree:
        return {
            "weights": dict(self.vision.state_dict()),
            "optimizer": self.parameters.get_state(),
            "plateau": self.plateau.get_state(),
            "images": self.images,
        }

    def set_state(self, state: Tree) -> None:
        self.vision.load_state_dict(state["weights"])
        self.parameters.set_state(state["optimizer"])
        self.plateau.set_state(state["plateau"])
        self.images = state["images"]

    def result(self) -> Tree:
        return {"weights": dict(self.vision.state_dict())}

    def adopt(self, result: Tree) -> None:
        self.vision.load_state_dict(result["weights"])
