"""Recurrences of 2×2 blocks over a whole sequence, with a hand-written backward.

    c_t = f(M c_{t-1} + p_t),      c_{t-1} taken as zero where an episode starts

Backward, with δ_t = f'(a_t) ⊙ (dy_t + Mᵀ δ_{t+1}):

    ∂L/∂p_t = δ_t,   ∂L/∂diagonal = Σ δ_t ⊙ c_{t-1},   ∂L/∂cross = Σ δ_t ⊙ swapped(c_{t-1})
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rlkit.memory.pairs import Activation, slope
from rlkit.memory.solve import restarts


def block_scan(
    M: tuple[Tensor, Tensor], p: Tensor, c: Tensor, start_TB: Tensor | None, f: Activation
) -> Tensor:
    """All states (T, B, 2, H) of c' = f(M c + p), c selected to zero at starts."""
    return _BlockScan.apply(*M, p, c, start_TB, f)


class _BlockScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, d: Tensor, o: Tensor, p: Tensor, c: Tensor, start: Tensor | None, f: Activation
    ) -> Tensor:
        cut = None if start is None else start[..., None, None]
        cuts = restarts(cut, p.shape[0])
        y = torch.empty_like(p, memory_format=torch.contiguous_format)
        first = c
        for t, (p_t, y_t) in enumerate(zip(p.unbind(0), y.unbind(0), strict=True)):
            if cut is not None and cuts[t]:
                c = torch.where(cut[t], 0, c)
            torch.addcmul(p_t, d, c, out=y_t).addcmul_(o, c.flip(-2))
            if f != "linear":
                torch.relu_(y_t) if f == "relu" else y_t.tanh_()
            c = y_t
        ctx.save_for_backward(d, o, first, cut, y)
        ctx.f, ctx.cuts = f, cuts
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        d, o, first, cut, y = ctx.saved_tensors
        factor = None if ctx.f == "linear" else slope(ctx.f, y)
        dp = dy * factor if factor is not None else dy.clone()
        back = torch.zeros_like(first)
        for t in range(dy.shape[0] - 1, -1, -1):
            delta = dp[t]
            delta.add_(back) if factor is None else delta.addcmul_(factor[t], back)
            back = torch.addcmul((o * delta).flip(-2), d, delta)
            if cut is not None and ctx.cuts[t]:
                back = torch.where(cut[t], 0, back)
        before = torch.cat((first[None], y[:-1]))
        if cut is not None:
            before = torch.where(cut, 0, before)
        return (dp * before).sum((0, 1)), (dp * before.flip(-2)).sum((0, 1)), dp, back, None, None
