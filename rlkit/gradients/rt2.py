"""Exact real-time gradients by traces (Elelimy, 2023, chapter 3): RTRL where it is cheap.

    E ← M E + ∂a/∂θ        a trace of every parameter of every unit, in the memory's own file
    g = ∂ℓ/∂s E            one gradient per input, of its loss through the whole past

For memories whose units do not mix (and `leaky`, whose traces are dense): as `rtrl`, at a cost per
step near that of the step itself. What a linear trace unit keeps is one complex number per weight.
Exact while the parameters stay; after an update the traces are as old as they are.
"""

from dataclasses import dataclass

from torch import Tensor

from rlkit.gradients.base import Carry, Estimate, Estimator, LossOf, Params, Point
from rlkit.gradients.cell import detached


@dataclass(frozen=True)
class RT2Options:
    """None."""


class RT2(Estimator):
    """Carries traces; the memory must have them."""

    def begin(self, params: Params, B: int) -> Carry:
        traces = self.cell.initial_traces(len(params["memory"]), B)
        return {**super().begin(params, B), "traces": traces}

    def chunk_steps(self, carry: Carry) -> int:
        return 1

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        point = Point(self.cell, params)
        y_NBH, state, traces = self.cell.trace_step(
            point.theta, x_TNBI[0], carry["state"], carry["traces"], start_TNB[0]
        )
        loss_N = loss_of(point.others, y_NBH.unsqueeze(0), None)
        grads, _ = point.gradients(loss_N)
        carry = {"state": detached(state), "traces": detached(traces)}
        return Estimate(loss_N.detach(), grads, carry)
