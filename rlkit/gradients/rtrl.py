"""Real-time recurrent learning (Williams & Zipser, 1989): the exact influence, carried forward.

    J' = ∂F/∂s J + ∂F/∂θ,      J = ∂s/∂θ
    g  = ∂ℓ/∂s J + ∂ℓ/∂θ       one gradient per input

Dense: S·P numbers and S²·P products per stream and step, for any memory. The slow reference to
which the others are held equal; for memories with traces, `rt2` is the same gradient.

Shapes: L streams of all agents, S state, P parameters.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlkit.gradients.base import Carry, Estimate, Estimator, LossOf, Params
from rlkit.gradients.streams import Streams


@dataclass(frozen=True)
class RTRLOptions:
    """None."""


class RTRL(Estimator):
    """Carries the whole Jacobian."""

    def begin(self, params: Params, B: int) -> Carry:
        theta = params["memory"]
        J_LSP = theta.new_zeros(len(theta) * B, self.cell.state_size, self.cell.size)
        return {**super().begin(params, B), "J": J_LSP}

    def chunk_steps(self, carry: Carry) -> int:
        return 1

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        at = Streams(self.cell, params, carry["state"], x_TNBI, start_TNB, loss_of)
        J_LSP = carry["J"]
        grads = at.gradients(at.by_state_L1S, J_LSP)
        by_state, by_theta = [], []
        for one_S in torch.eye(self.cell.state_size, dtype=J_LSP.dtype):
            row = one_S.expand_as(at.after)
            by_state.append(at.pull_state(row))
            by_theta.append(at.point.pull(row, at.after))
        J_LSP = torch.cat(by_state, 1) @ J_LSP + torch.stack(by_theta, 1)
        return Estimate(at.loss_N, grads, {"state": at.state(), "J": J_LSP})
