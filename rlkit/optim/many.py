"""One optimiser for many agents, each with a step size of its own.

What an optimiser does to a parameter is proportional to its step size. It is asked for the step of
size 1, which every agent then takes as far as its own says.

Shapes: N agents, P parameters of each.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rlkit.optim.flat import OptimizerFactory
from rlkit.types import Tree


class ManyParameters:
    """Rows of parameters, one an agent.

    Args:
        vector_NP: where they start; moved in place.
        make_optimizer: with step size 1.
        sizes: lengths of the tensors laid end to end in a row.
    """

    def __init__(self, vector_NP: Tensor, make_optimizer: OptimizerFactory, sizes: Sequence[int]):
        self.vector = vector_NP
        self._step = nn.Parameter(torch.zeros(vector_NP.numel()))
        self.optimizer = make_optimizer(self._step, [*sizes] * len(vector_NP))

    @torch.no_grad()
    def step_down(self, grad_NP: Tensor, lr_N1: Tensor) -> None:
        """One step against a gradient."""
        if not self.vector.numel():
            return
        self._step.grad = grad_NP.reshape(-1)
        self.optimizer.step()
        self.vector.addcmul_(self._step.view_as(self.vector), lr_N1)
        self._step.zero_()

    def get_state(self) -> Tree:
        return self.optimizer.state_dict()

    def set_state(self, state: Tree) -> None:
        self.optimizer.load_state_dict(copy.deepcopy(state))  # torch's would share its tensors
