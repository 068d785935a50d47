"""Slow, plain versions of what the library computes fast; shared by several tests."""

import torch
from torch import Tensor, nn

from rlkit.networks.mlp import MLP


def sequential(mlp: MLP) -> nn.Sequential:
    """The same network as separate modules, with its own copy of the weights."""
    layers: list[nn.Module] = []
    for given in mlp.linears:
        linear = nn.Linear(given.in_features, given.out_features)
        linear.load_state_dict(given.state_dict())
        layers.append(linear)
        if len(layers) // 3 < len(mlp.norms):
            norm = nn.LayerNorm(given.out_features)
            norm.load_state_dict(mlp.norms[len(layers) // 3].state_dict())
            layers += [norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Tanh()) if mlp.tanh else nn.Sequential(*layers)


def weights_of(net: nn.Sequential) -> list[Tensor]:
    """Linear layers first, then LayerNorms: the order of `MLP.parameters()`."""
    kinds = (nn.Linear, nn.LayerNorm)
    return [p for kind in kinds for m in net if isinstance(m, kind) for p in m.parameters()]


class PlainRMSprop:
    """RMSprop whose second moment is the mean of g² until that is as long as the horizon."""

    def __init__(self, net: nn.Sequential, lr: float, alpha: float, eps: float = 1e-8):
        self.parameters = weights_of(net)
        self.lr, self.alpha, self.eps, self.t = lr, alpha, eps, 0
        self.moments = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: list[Tensor]) -> None:
        self.t += 1
        keep = min(self.alpha, (self.t - 1) / self.t)
        for i, (p, g) in enumerate(zip(self.parameters, gradients, strict=True)):
            self.moments[i] = keep * self.moments[i] + (1 - keep) * g * g
            p.copy_(p - self.lr * g / (self.moments[i].sqrt() + self.eps))


@torch.no_grad()
def mix(target: nn.Sequential, source: nn.Sequential, tau: float) -> None:
    for t, s in zip(target.parameters(), source.parameters(), strict=True):
        t.copy_(tau * t + (1 - tau) * s)
