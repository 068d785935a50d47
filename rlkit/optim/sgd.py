"""Gradient descent as it is, with momentum (Polyak, 1964) if asked.

v ← μ v + g,   p ← p - lr v
"""

from typing import Any

import torch
from torch import nn


class SGD:
    """One parameter, as `FlatParameters` makes it; see `RMSprop` for why it is no torch optimiser.

    Args:
        parameter: what is moved along its `.grad`.
        lr: step size.
        momentum: μ.
    """

    def __init__(self, parameter: nn.Parameter, lr: float, momentum: float = 0.0):
        self.parameter, self.lr, self.momentum = parameter, lr, momentum
        self.velocity = torch.zeros_like(parameter) if momentum else torch.zeros(0)

    @torch.no_grad()
    def step(self) -> None:
        grad = self.parameter.grad
        assert grad is not None, "step needs a gradient"
        if self.momentum:
            grad = self.velocity.mul_(self.momentum).add_(grad)
        self.parameter.add_(grad, alpha=-self.lr)

    def state_dict(self) -> dict[str, Any]:
        return {"velocity": self.velocity.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.velocity.copy_(state["velocity"])
