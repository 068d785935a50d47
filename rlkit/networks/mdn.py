"""Mixture density head (Bishop, 1994) over the next latent code, with reward and terminal heads.

    w, μ, log σ, r̂, l = linear(h)
    joint      p(z') = Σ_k w_k Π_i N(z'_i; μ_ki, σ_ki)         one weight vector (Tallec, 2019)
    per_dim    p(z') = Π_i Σ_k w_ki N(z'_i; μ_ki, σ_ki)        each latent its own (Ha, 2018)

log σ is kept above -5: the density of a code that is predicted exactly has no bound.

Shapes: K components, Z latents; any leading axes.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

LEAST_LOG_STD = -5.0


class Prediction(NamedTuple):
    """What is expected of the next step.

    Attributes:
        log_weight: (…, K, 1) if joint, (…, K, Z) if not; normalised over K.
        mean: (…, K, Z).
        log_std: (…, K, Z).
        reward: (…,) rate.
        terminal: (…,) logit of "the step terminates".
    """

    log_weight: Tensor
    mean: Tensor
    log_std: Tensor
    reward: Tensor
    terminal: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density of the code that came (…, Z), summed over latents (…,)."""
        scaled = (z.unsqueeze(-2) - self.mean) / self.log_std.exp()
        normal = -0.5 * scaled.square() - self.log_std - 0.5 * math.log(2 * math.pi)
        if self.log_weight.shape[-1] == 1:
            return torch.logsumexp(self.log_weight.squeeze(-1) + normal.sum(-1), dim=-1)
        return torch.logsumexp(self.log_weight + normal, dim=-2).sum(-1)

    def sample(self, uniform: Tensor, normal: Tensor | None, temperature: float) -> Tensor:
        """A next code (…, Z).

        Args:
            uniform: (…, 1 or Z) in (0, 1); chooses the components, by logits / temperature.
            normal: (…, Z), times σ √temperature, is added; None: the component's mean.
            temperature: above 0; small: nearly always the likeliest component.
        """
        share = (self.log_weight / temperature).softmax(-2).cumsum(-2)
        last = self.mean.shape[-2] - 1
        k = (uniform.unsqueeze(-2) > share).sum(-2, keepdim=True).clamp(max=last)
        k = k.expand(*self.mean.shape[:-2], 1, self.mean.shape[-1])
        mean = self.mean.gather(-2, k).squeeze(-2)
        if normal is None:
            return mean
        std = self.log_std.gather(-2, k).squeeze(-2).exp()
        return mean + normal * std * math.sqrt(temperature)


class MDN(nn.Module):
    """One linear layer.

    Args:
        input_size: width of the memory's output.
        latent_size: Z.
        components: K.
        mixture: who shares the weights of the components.
    """

    def __init__(
        self,
        input_size: int,
        latent_size: int,
        components: int = 5,
        mixture: Literal["joint", "per_dim"] = "joint",
    ):
        super().__init__()
        self.K, self.Z = components, latent_size
        weights = components * (1 if mixture == "joint" else latent_size)
        self.sizes = [weights, components * latent_size, components * latent_size, 1, 1]
        self.linear = nn.Linear(input_size, sum(self.sizes))

    @property
    def weight_shape(self) -> tuple[int, int]:
        """(K, 1) or (K, Z)."""
        return self.K, self.sizes[0] // self.K

    def forward(self, h: Tensor) -> Prediction:
        """(…, input_size) → what is expected."""
        logits, mean, log_std, reward, terminal = self.linear(h).split(self.sizes, dim=-1)
        lead, shape = h.shape[:-1], (self.K, self.Z)
        return Prediction(
            logits.view(*lead, *self.weight_shape).log_softmax(-2),
            mean.view(*lead, *shape),
            log_std.view(*lead, *shape).clamp(min=LEAST_LOG_STD),
            reward.squeeze(-1),
            terminal.squeeze(-1),
        )
