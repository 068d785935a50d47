"""One chunk seen forward: every stream by itself, with what its derivatives are asked for.

Estimators that carry derivatives forward need those of each stream alone, so that the streams of
an agent become agents: L of them, with a batch of one and the parameters repeated.

Shapes: L = N·B streams of all agents, S numbers of a state, P parameters of the memory.
"""

import torch
from torch import Tensor

from rlkit.gradients.base import LossOf, Params, Point
from rlkit.gradients.cell import Cell, detached, flat, unflat
from rlkit.types import State


class Streams:
    """s' = F(x, s, θ) and the loss ℓ(x, s, θ) of a chunk, as functions of s and θ.

    Args:
        cell: runs the memory.
        params: vectors, one row per agent.
        state: of all streams, (N, B, …).
        x_TNBI: inputs.
        start_TNB: true where an episode begins.
        loss_of: of the outputs.
        tangents_LRS: directions of s in which ∂F/∂s is wanted from differences.
    """

    def __init__(
        self,
        cell: Cell,
        params: Params,
        state: State,
        x_TNBI: Tensor,
        start_TNB: Tensor,
        loss_of: LossOf,
        tangents_LRS: Tensor | None = None,
    ):
        self.cell, (self.N, self.B) = cell, x_TNBI.shape[1:3]
        self.x, self.start = lanes(x_TNBI, 1), lanes(start_TNB, 1)
        self.before = tuple(lanes(s, 0) for s in state)
        self.before_L1S = flat(self.before).detach().requires_grad_()
        self.point = Point(cell, params, self.B)
        x, start, rows, before = self.x, self.start, self.before_L1S, self.before
        if tangents_LRS is not None:  # states nearby are more rows of the batch
            K = 1 + tangents_LRS.shape[1]
            h = torch.finfo(rows.dtype).eps ** 0.5 * (1 + norm(rows.detach()))
            self._scale_LR1 = h / (norm(tangents_LRS) + 1e-12)
            nearby = torch.addcmul(rows.detach(), self._scale_LR1, tangents_LRS)
            rows = torch.cat((rows, nearby), 1)
            x, start = x.expand(-1, -1, K, -1), start.expand(-1, -1, K)
            before = tuple(s.expand(-1, K, *s.shape[2:]) for s in before)
        y, state, penalty = cell.run(self.point.theta, x, unflat(rows, before), start)
        self._rows_LKS = flat(state)
        if tangents_LRS is not None:
            y, state = y[:, :, :1], tuple(s[:, :1] for s in state)
            penalty = None if penalty is None else penalty[:, :, :1]
        self._state, self.after = state, flat(state)
        penalty = None if penalty is None else self._together(penalty)
        loss_N = loss_of(self.point.others, self._together(y), penalty)
        found = self.point.gradients(loss_N, self.before_L1S, again=True)
        self._grads, (self.by_state_L1S,) = found
        self.loss_N = loss_N.detach()

    def _together(self, x: Tensor) -> Tensor:
        return x if self.B == 1 else x.squeeze(2).unflatten(1, (self.N, self.B))

    def gradients(
        self, along_L1K: Tensor, past_LKP: Tensor, scale: float = 1.0
    ) -> dict[str, Tensor]:
        """∂ℓ/∂θ, and to it scale · along · past in each stream."""
        direct_NP = self._grads["memory"]
        if self.B == 1:
            total = torch.baddbmm(direct_NP.unsqueeze(1), along_L1K, past_LKP, alpha=scale)
            return {**self._grads, "memory": total.squeeze(1)}
        past_NBP = (scale * along_L1K @ past_LKP).view(self.N, self.B, -1)
        return {**self._grads, "memory": direct_NP + past_NBP.sum(1)}

    def state(self) -> State:
        """After the chunk, (N, B, …)."""
        after = detached(self._state)
        if self.B == 1:
            return after
        return tuple(s.squeeze(1).unflatten(0, (self.N, self.B)) for s in after)

    def pull_state(self, vector_L1S: Tensor, again: bool = False) -> Tensor:
        """vᵀ ∂F/∂s; `again`: itself to be differentiated by v."""
        (found,) = torch.autograd.grad(
            self.after,
            self.before_L1S,
            vector_L1S,
            retain_graph=True,
            create_graph=again,
            materialize_grads=True,
        )
        return found

    def push_state(self, tangents_LRS: Tensor) -> Tensor:
        """∂F/∂s of each tangent: vᵀ ∂F/∂s is linear in v, its derivative along it is wanted."""
        v = torch.zeros_like(self.after, requires_grad=True)
        product = self.pull_state(v, again=True)
        if not product.requires_grad:  # nothing of the state before is left
            return torch.zeros_like(tangents_LRS)
        found = [
            torch.autograd.grad(product, v, t, retain_graph=True, materialize_grads=True)[0]
            for t in tangents_LRS.split(1, 1)
        ]
        return torch.cat(found, 1)

    def differences(self) -> Tensor:
        """∂F/∂s along the given tangents, from the states nearby: cheaper, and rounded."""
        rows = self._rows_LKS.detach()
        return (rows[:, 1:] - rows[:, :1]) / self._scale_LR1


def norm(v: Tensor) -> Tensor:
    """Of the last axis, which is kept."""
    return torch.linalg.vector_norm(v, dim=-1, keepdim=True)


def lanes(x: Tensor, axis: int) -> Tensor:
    """Axes (N, B) at `axis` as (N·B, 1): every stream an agent of its own."""
    return x if x.shape[axis + 1] == 1 else x.flatten(axis, axis + 1).unsqueeze(axis + 1)
