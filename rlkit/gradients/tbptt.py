"""Truncated backpropagation through time: credit reaches back a fixed number of steps.

    disjoint: segments of L inputs, one gradient each; no credit from one to the next
    sliding:  one gradient per input, of its own loss, through the last L inputs

The state goes on over truncations. The sliding window runs its L inputs again with the present
parameters, from the state that they give before it; it costs L times as much per input.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlkit.gradients.base import (
    Carry,
    Estimate,
    Estimator,
    LossOf,
    Params,
    segment,
)
from rlkit.options import option


@dataclass(frozen=True)
class TBPTTOptions:
    length: int = option("steps that credit reaches back", unit="steps", low=1)
    window: Literal["disjoint", "sliding"] = option("one gradient per segment, or per input")


class TBPTT(Estimator):
    """Cuts the past off."""

    options: TBPTTOptions

    def chunk_steps(self, carry: Carry) -> int:
        return self.options.length if self.options.window == "disjoint" else 1

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        if self.options.window == "disjoint":
            return segment(self.cell, params, carry["state"], x_TNBI, start_TNB, loss_of)
        T = len(x_TNBI)
        x = torch.cat((carry["x"], x_TNBI)) if "x" in carry else x_TNBI
        start = torch.cat((carry["start"], start_TNB)) if "x" in carry else start_TNB

        def of_the_last(params: Params, y: Tensor, penalty: Tensor | None) -> Tensor:
            return loss_of(params, y[-T:], None if penalty is None else penalty[-T:])

        estimate = segment(self.cell, params, carry["state"], x, start, of_the_last)
        old, state = len(x) - (self.options.length - 1), carry["state"]
        if old > 0:
            theta = self.cell.tensors(params["memory"])
            with torch.no_grad():
                state = self.cell.run(theta, x[:old], state, start[:old]).state
            x, start = x[old:], start[old:]
        return estimate._replace(carry={"state": state, "x": x, "start": start})
