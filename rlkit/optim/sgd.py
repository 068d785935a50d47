"""Plain gradient descent, p ← p - lr g."""

from typing import Any

import torch
from torch import nn


class SGD:
    """One parameter, as `FlatParameters` makes it (why not torch's: see `rmsprop.py`).

    Args:
        parameter: what is moved along its `.grad`.
        lr: step size.
    """

    def __init__(self, parameter: nn.Parameter, lr: float):
        self.parameter, self.lr = parameter, lr

    @torch.no_grad()
    def step(self) -> None:
        grad = self.parameter.grad
        assert grad is not None, "step needs a gradient"
        self.parameter.add_(grad, alpha=-self.lr)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
