"""Linear recurrences over a whole sequence, with a hand-written backward.

    h_t = a_t ⊙ h_{t-1} + b_t,      h_{t-1} taken as zero where an episode starts

Backward, with g_t = ∂L/∂h_t including the future, is the same recurrence run from the end:

    g_t = dy_t + a*_{t+1} ⊙ g_{t+1},   ∂L/∂b_t = g_t,   ∂L/∂a_t = g_t ⊙ h*_{t-1}    (* conjugate)

Long thin sequences are cut into C chunks of L steps that advance side by side: L steps of all
chunks from zero, C steps for the states between chunks, one correction of everything. That is
L + C small operations instead of T, and pays where the call costs more than the arithmetic.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rlkit.memory.solve import restarts, solve

NARROW = 256
"""Numbers per time step below which a CPU spends more on the calls than on the arithmetic."""


def scan(
    a: Tensor,
    b_TBH: Tensor,
    h_BH: Tensor,
    start_TB: Tensor | None = None,
    chunks: int | None = None,
) -> Tensor:
    """All states h_0 … h_{T-1}.

    The state is selected to zero at starts; a memory whose fresh state f is not zero adds a ⊙ f
    to b there.

    Args:
        a: real or complex; shaped like b, or like one unit row of it (without T and B) if it is
            the same at all times.
        b_TBH: of a's kind, any number of trailing axes.
        h_BH: state before the first step.
        start_TB: true where the state before this step is dropped.
        chunks: how many pieces advance side by side; None chooses, 1 is the plain loop.
    """
    if chunks is None:
        narrow = b_TBH.is_cuda or b_TBH[0].numel() <= NARROW
        chunks = max(1, round(math.sqrt(b_TBH.shape[0]))) if narrow else 1
    return _Scan.apply(a, b_TBH, h_BH, start_TB, chunks)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, h: Tensor, start: Tensor | None, C: int) -> Tensor:
        varying = a.dim() == b.dim()
        cut = None if start is None else start.view(*start.shape, *[1] * (b.dim() - 2))
        y = solve(a, b, h, cut, C, varying)
        ctx.save_for_backward(a, h, cut, y)
        ctx.C, ctx.varying = C, varying
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        a, h, cut, y = ctx.saved_tensors
        a = a.conj().resolve_conj()
        g = _adjoint(a, dy, cut, ctx.C, ctx.varying)
        da = dh = None
        if ctx.needs_input_grad[0]:
            da = torch.empty_like(y)
            torch.mul(g[0], h.conj(), out=da[0])
            torch.mul(g[1:], y[:-1].conj(), out=da[1:])
            if cut is not None:
                da.masked_fill_(cut, 0)
            if not ctx.varying:
                da = da.sum((0, 1))
        if ctx.needs_input_grad[2]:
            dh = g[0] * (a[0] if ctx.varying else a)
            if cut is not None:
                dh = dh.masked_fill(cut[0], 0)
        return da, g, dh, None, None


def _adjoint(a: Tensor, dy: Tensor, cut: Tensor | None, C: int, varying: bool) -> Tensor:
    """The recurrence of the backward, from the end."""
    T = dy.shape[0]
    if C > 1:
        later = a
        if varying:
            later = torch.roll(a, -1, 0).flip(0)
            later[0] = 0  # nothing follows the last step
        if cut is not None:
            cut = torch.roll(cut, -1, 0).flip(0)
        nothing = torch.zeros_like(dy[0])
        return solve(later, dy.flip(0), nothing, cut, C, varying).flip(0)
    g = torch.empty_like(dy, memory_format=torch.contiguous_format)
    after = g[T - 1].copy_(dy[T - 1])
    cuts = restarts(cut, T)
    for t in range(T - 1, 0, -1):
        if cut is not None and cuts[t]:
            after = torch.where(cut[t], 0, after)
        after = torch.addcmul(dy[t - 1], a[t] if varying else a, after, out=g[t - 1])
    return g
