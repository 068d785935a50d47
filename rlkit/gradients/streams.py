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
    """

    def __init__(
        self,
        cell: Cell,
        params: Params,
        state: State,
        x_TNBI: Tensor,
        start_TNB: Tensor,
        loss_of: LossOf,
    ):
        self.cell, (self.N, self.B) = cell, x_TNBI.shape[1:3]
        self.x, self.start = lanes(x_TNBI, 1), lanes(start_TNB, 1)
        self.before = tuple(lanes(s, 0) for s in state)
        self.before_L1S = flat(self.before).detach().requires_grad_()
        self.point = Point(cell, params, self.B)
        step = cell.run(self.point.theta, self.x, unflat(self.before_L1S, self.before), self.start)
        self.step, self.after = step, flat(step.state)
        y, penalty = self._together(step.y), step.penalty
        penalty = None if penalty is None else self._together(penalty)
        loss_N = loss_of(self.point.others, y, penalty)
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
        after = detached(self.step.state)
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

    def push_state(self, tangents: list[Tensor]) -> list[Tensor]:
        """∂F/∂s t for each (L, 1, S): vᵀ ∂F/∂s is linear in v, its derivative along t is wanted."""
        v = torch.zeros_like(self.after, requires_grad=True)
        product = self.pull_state(v, again=True)
        if not product.requires_grad:  # nothing of the state before is left
            return [torch.zeros_like(t) for t in tangents]
        return [
            torch.autograd.grad(product, v, t, retain_graph=True, materialize_grads=True)[0]
            for t in tangents
        ]

    def push_state_nearby(self, tangents: list[Tensor]) -> list[Tensor]:
        """The same from a second run nearby, for each: cheaper, and rounded."""
        theta, state = detached(self.point.theta), self.before_L1S.detach()
        h = torch.finfo(state.dtype).eps ** 0.5 * (1 + norm(state))
        found = []
        for t in tangents:
            scale = h / (norm(t) + 1e-12)
            with torch.no_grad():
                near = unflat(torch.addcmul(state, scale, t), self.before)
                beyond = flat(self.cell.run(theta, self.x, near, self.start).state)
                found.append((beyond - self.after) / scale)
        return found


def norm(v: Tensor) -> Tensor:
    """Of the last axis, which is kept."""
    return torch.linalg.vector_norm(v, dim=-1, keepdim=True)


def lanes(x: Tensor, axis: int) -> Tensor:
    """Axes (N, B) at `axis` as (N·B, 1): every stream an agent of its own."""
    return x if x.shape[axis + 1] == 1 else x.flatten(axis, axis + 1).unsqueeze(axis + 1)
