"""Eligibility traces of all parameters, one per environment, and steps that do not overshoot.

    z_b ← decay z_b + ∇ f_b,      θ ← θ + mean_b α_b δ_b z_b
    α_b = min(α, 1 / (κ max(|δ_b|, 1) ‖z_b‖₁))

The bound is that of Elsayed, Vasan & Mahmood (2024, ObGD): κ times a step may at most undo the
error δ it was made for, as far as the sum of all |z| tells. κ = 0 switches it off.

Differs from the paper: a mean over environments; any optimiser may take the place of plain
descent (`sgd`), and is then handed the bounded δ z with its sign turned.

Shapes: B environments, P parameters.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from rlkit.optim.flat import FlatParameters, OptimizerFactory
from rlkit.types import Tree


class Eligibility(FlatParameters):
    """Flat parameters whose gradient is known for each row of a batch.

    Args:
        module: called with rows of a batch, each input (B, …).
        make_optimizer: as for `FlatParameters`.
        B: rows.
        kappa: κ.
    """

    def __init__(self, module: nn.Module, make_optimizer: OptimizerFactory, B: int, kappa: float):
        super().__init__(module, make_optimizer)
        self.module, self.kappa = module, kappa
        self.names = [name for name, _ in module.named_parameters()]
        self.z_BP = self.vector.detach().new_zeros(B, len(self.vector))
        self.copies: Sequence[Tensor] = self.parameters

    def outputs(self, *inputs: Tensor) -> Any:
        """What the module makes of each row, with a copy of the parameters to each (B > 1)."""
        if len(self.z_BP) == 1:
            return self.module(*inputs)
        copies = self.vector.detach().expand_as(self.z_BP).requires_grad_()
        self.copies = [copies]
        outputs = vmap(self._row)(copies, *inputs)
        return tree_map(lambda y: y.squeeze(1), outputs)

    def _row(self, theta_P: Tensor, *inputs: Tensor) -> Any:
        pieces = theta_P.split([p.numel() for p in self.parameters])
        named = zip(self.names, pieces, self.parameters, strict=True)
        own = {name: piece.view_as(p) for name, piece, p in named}
        return functional_call(self.module, own, tuple(x.unsqueeze(0) for x in inputs))

    def accumulate(self, f_B: Tensor, decay: float) -> None:
        """Takes the gradient of each f, made of `outputs`, into its row's traces."""
        pieces = torch.autograd.grad(f_B.sum(), self.copies)
        gradient_BP = torch.cat([g.reshape(-1) for g in pieces]).view_as(self.z_BP)
        self.z_BP = torch.add(gradient_BP, self.z_BP, alpha=decay)

    def ascend(self, delta_B: Tensor) -> Tensor:
        """One step along the traces, as far as the errors say; returns α_b / α."""
        reach_B = self.kappa * delta_B.abs().clamp(min=1) * self.z_BP.abs().sum(1)
        share_B = (1 / (self.lr * reach_B)).clamp(max=1)
        self.vector.grad = (share_B * delta_B) @ self.z_BP / -len(delta_B)
        self.optimizer.step()
        return share_B

    def forget(self, ended_B: Tensor) -> None:
        """Clears the traces of the rows whose episode ended."""
        self.z_BP = self.z_BP.masked_fill(ended_B[:, None], 0)

    def get_state(self) -> Tree:
        return {"z": self.z_BP.clone(), "optimizer": super().get_state()}

    def set_state(self, state: Tree) -> None:
        self.z_BP = state["z"].clone()
        super().set_state(state["optimizer"])
