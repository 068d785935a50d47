"""RMSprop (Tieleman & Hinton, 2012) with a warm second moment.

    v ← α_t v + (1 - α_t) g²,   α_t = min(α, 1 - 1/t)
    p ← p - lr g / (√v + ε)

The plain form starts from v = 0, so that its first steps have size lr/√(1-α): 22 times too large
at α = 1 - 0.002. Here v is the plain mean of g² until that mean is as long as α's horizon.
"""

from typing import Any

import torch
from torch import nn


class RMSprop:
    """Without momentum and centring; one parameter, as `FlatParameters` makes it.

    It has the verbs of a torch optimiser but is none: constructing one of those imports torch's
    compiler, two seconds of every start.

    Args:
        parameter: what is moved along its `.grad`.
        lr: step size.
        alpha: smoothing of the second moment.
        eps: added to its root.
    """

    def __init__(self, parameter: nn.Parameter, lr: float, alpha: float, eps: float = 1e-8):
        self.parameter, self.lr, self.alpha, self.eps = parameter, lr, alpha, eps
        self.steps = 0
        self.square = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self) -> None:
        grad = self.parameter.grad
        assert grad is not None, "step needs a gradient"
        self.steps += 1
        alpha = min(self.alpha, 1 - 1 / self.steps)
        self.square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        self.parameter.addcdiv_(grad, self.square.sqrt().add_(self.eps), value=-self.lr)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "square": self.square.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        self.square.copy_(state["square"])
