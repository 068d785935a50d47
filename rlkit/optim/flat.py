"""All parameters of a module as views of one vector, so that a step is a few operations."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rlkit.types import Tree


class Optimizer(Protocol):
    """The verbs of torch's optimisers that are used here; torch's keep `lr` in `param_groups`."""

    lr: float

    def step(self) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


OptimizerFactory = Callable[[nn.Parameter, Sequence[int]], Optimizer]
"""(the vector, lengths of the tensors laid end to end in it) → optimiser."""


class FlatParameters:
    """Moves a module's parameters into one vector and steps an optimiser on it.

    The module keeps its names and `state_dict`; loading one writes through the views. Build it
    after the module is on its device; a later `.to(device)` would break the views.

    Args:
        module: whose parameters are to be trained.
        make_optimizer: called with the vector and the lengths of its tensors.
    """

    def __init__(self, module: nn.Module, make_optimizer: OptimizerFactory):
        self.parameters = list(module.parameters())
        if len(self.parameters) == 1 and self.parameters[0].dim() == 1:
            self.vector = self.parameters[0]
            sizes = [math.prod(s) for s in getattr(module, "shapes", [self.vector.shape])]
        else:
            flat = [p.detach().reshape(-1) for p in self.parameters]
            self.vector = nn.Parameter(torch.cat(flat))
            sizes = [f.numel() for f in flat]
            pieces = self.vector.data.split(sizes)
            for p, piece in zip(self.parameters, pieces, strict=True):
                p.data = piece.view_as(p)
        self.optimizer = make_optimizer(self.vector, sizes)
        groups = getattr(self.optimizer, "param_groups", None)
        self.lr: float = groups[0]["lr"] if groups else self.optimizer.lr

    def scale_step(self, factor: float) -> None:
        """Makes the step size `factor` times what the optimiser was built with."""
        groups = getattr(self.optimizer, "param_groups", None)
        if groups:
            groups[0]["lr"] = self.lr * factor
        else:
            self.optimizer.lr = self.lr * factor

    def step_down(self, loss: Tensor, max_norm: float) -> Tensor:
        """One step down a loss, its gradient scaled down to `max_norm`; returns the norm before."""
        grads = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        grad = grads[0] if len(grads) == 1 else torch.cat([g.reshape(-1) for g in grads])
        norm = grad.norm()
        grad.mul_((max_norm / (norm + 1e-6)).clamp_(max=1.0))
        self.vector.grad = grad.view_as(self.vector)
        self.optimizer.step()
        return norm

    def get_state(self) -> Tree:
        return self.optimizer.state_dict()

    def set_state(self, state: Tree) -> None:
        self.optimizer.load_state_dict(copy.deepcopy(state))  # torch's would share its tensors


def descend(
    terms: Sequence[tuple[FlatParameters, Tensor, Tensor]],
    shared: Sequence[FlatParameters] = (),
    costs: Sequence[tuple[Tensor, Tensor]] = (),
) -> None:
    """Moves several networks from one point, with one pass of reverse mode.

    Args:
        terms: (parameters, output, weight): the parameters step down Σ weight · ∂output over all
            outputs that depend on them; keep those of other terms from it where not meant.
        shared: parameters without an output of their own, such as a memory's; some may be unused.
        costs: (output, weight) without parameters of their own.
    """
    moved = [*(flat for flat, _, _ in terms), *shared]
    inputs = [p for flat in moved for p in flat.parameters]
    outputs, weights = [o for _, o, _ in terms], [w for _, _, w in terms]
    outputs += [o for o, _ in costs]
    weights += [w for _, w in costs]
    unused = bool(shared)  # asking for it takes time
    grads = torch.autograd.grad(outputs, inputs, weights, materialize_grads=unused)
    for flat in moved:
        own, grads = grads[: len(flat.parameters)], grads[len(flat.parameters) :]
        alone = flat.vector is flat.parameters[0]
        flat.vector.grad = own[0] if alone else torch.cat([g.reshape(-1) for g in own])
        flat.optimizer.step()


@torch.no_grad()
def blend(target: nn.Module, source: nn.Module, tau: float) -> None:
    """Moves a copy: target ← τ target + (1 - τ) source."""
    for t, s in zip(target.parameters(), source.parameters(), strict=True):
        t.lerp_(s, 1 - tau)
