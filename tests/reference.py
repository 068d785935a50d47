"""Slow, plain versions of what the library computes fast; shared by several tests."""

import torch
from torch import Tensor, nn

from rlkit.networks.mlp import MLP


def sequential(mlp: MLP) -> nn.Sequential:
    """The same network as separate modules, with its own copy of the weights."""
    modules: list[nn.Module] = []
    *hidden, last_w, last_b = mlp.layers()
    for i in range(0, len(hidden), 4):
        w, b, gain, bias = hidden[i : i + 4]
        modules += [linear(w, b), nn.LayerNorm(len(b)), nn.ReLU()]
        fill(modules[-2], gain, bias)
    modules.append(linear(last_w, last_b))
    return nn.Sequential(*modules, *([nn.Tanh()] if mlp.tanh else []))


def linear(w: Tensor, b: Tensor) -> nn.Linear:
    module = nn.Linear(w.shape[1], w.shape[0])
    fill(module, w, b)
    return module


@torch.no_grad()
def fill(module: nn.Module, weight: Tensor, bias: Tensor) -> None:
    for p, value in zip(module.parameters(), (weight, bias), strict=True):
        p.copy_(value)


def flat(tensors) -> Tensor:
    """One vector, in the order of `MLP.weights` where these are an nn.Sequential's."""
    return torch.cat([t.detach().reshape(-1) for t in tensors])


class PlainRMSprop:
    """RMSprop whose second moment is the mean of g² until that is as long as the horizon."""

    def __init__(self, net: nn.Module, lr: float, alpha: float, eps: float = 1e-8):
        self.parameters = list(net.parameters())
        self.lr, self.alpha, self.eps, self.t = lr, alpha, eps, 0
        self.moments = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients) -> None:
        self.t += 1
        keep = min(self.alpha, (self.t - 1) / self.t)
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            self.moments[i] = keep * self.moments[i] + (1 - keep) * g * g
            p.copy_(p - self.lr * g / (self.moments[i].sqrt() + self.eps))


@torch.no_grad()
def mix(target: nn.Module, source: nn.Module, tau: float) -> None:
    for t, s in zip(target.parameters(), source.parameters(), strict=True):
        t.copy_(tau * t + (1 - tau) * s)
