"""Anticipated reweighted truncated backpropagation (Tallec & Ollivier, 2017; Tallec 2019, ch. 4).

    c_t = (α - 1)/((α - 2) L0 + δt)         chance of a truncation after step t, δt = 1, 2, …
    δ_t = ∂ℓ_t/∂s_t + [no truncation] δ_{t+1} ∂F/∂s(x_{t+1}, s_t) / (1 - c_t)

Segments of random length, about L0 on average; credit that does flow is weighted by the inverse of
its probability, so that the gradient is right on average. A segment is as long as it was drawn:
cutting long ones off would bring the bias back. All agents of a sweep share the truncations.

Differs from the thesis: none; δt counts from 1 after each truncation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlkit.gradients.base import Carry, Estimate, Estimator, LossOf, Params, segment
from rlkit.options import option


@dataclass(frozen=True)
class ARTBPOptions:
    mean_length: float = option(
        "L0, about the mean of the segments' lengths", unit="steps", above=1
    )
    alpha: float = option("longer segments are rarer with a larger one", above=2)


class ARTBP(Estimator):
    """Cuts the past off at random, without bias."""

    options: ARTBPOptions

    def chance(self, elapsed: int) -> float:
        """Of a truncation, so many steps after the last one; below 1, as L0 is above."""
        o = self.options
        return (o.alpha - 1) / ((o.alpha - 2) * o.mean_length + elapsed)

    def draw(self) -> int:
        """The length of a segment."""
        length = 1
        while torch.rand((), generator=self.generator).item() >= self.chance(length):
            length += 1
        return length

    def begin(self, params: Params, B: int) -> Carry:
        return {**super().begin(params, B), "length": self.draw()}

    def chunk_steps(self, carry: Carry) -> int:
        length: int = carry["length"]
        return length

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        T, N = len(x_TNBI), len(params["memory"])
        weights = [1.0] + [1 / (1 - self.chance(t)) for t in range(1, T)]
        weight_TN = torch.tensor(weights, dtype=params["memory"].dtype).unsqueeze(1).expand(T, N)
        state = carry["state"]
        estimate = segment(self.cell, params, state, x_TNBI, start_TNB, loss_of, weight_TN)
        estimate.carry["length"] = self.draw()
        return estimate
