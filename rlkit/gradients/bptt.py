"""Backpropagation through time: the exact gradient of sequences that end.

∂L/∂θ = Σ_t δ_t ∂F/∂θ(x_t, s_{t-1}),   δ_t = ∂ℓ_t/∂s_t + δ_{t+1} ∂F/∂s(x_{t+1}, s_t)
"""

from dataclasses import dataclass

from torch import Tensor

from rlkit.gradients.base import Carry, Estimate, Estimator, LossOf, Params, segment


@dataclass(frozen=True)
class BPTTOptions:
    """None."""


class BPTT(Estimator):
    """Looks at the whole sequence at once."""

    def chunk_steps(self, carry: Carry) -> None:
        return None

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        return segment(self.cell, params, carry["state"], x_TNBI, start_TNB, loss_of)
