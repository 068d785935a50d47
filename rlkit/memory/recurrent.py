"""Fast unroll of recurrent cells: a hand-written backward in place of autograd's graph per step.

    h_t = f(a_t, h_{t-1}, e),   a_t = p_t + W h_{t-1}      Elman, leaky, gated, GRU

Whatever depends on the input alone (p) is computed for all steps before. The loop forwards is one
matmul and a few operations in place; all local slopes are then found for all steps at once, so
that the loop backwards is two or three operations; the gradient of W is one matmul after it.
Where start_TB is true, h_{t-1} is selected to zero (never multiplied) and no gradient passes.
First derivatives only: `Memory.forward`'s loop, to which tests hold this equal, has them all.

Shapes: T time, B batch, H hidden, A = K·H rows of W.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Slopes(NamedTuple):
    """Derivatives of h_t = f(a_t, h_{t-1}, e) for all t; each acts element by element.

    Attributes:
        a_TBKH: by the K blocks of a; shared with no other, for it is overwritten.
        keep: by h_{t-1} where it does not pass through a; None: it always does.
        p_TBKH: by the K blocks of p, if not the same as by a.
        e_TBH: by e, before the sum over the axes along which e is broadcast.
    """

    a_TBKH: Tensor
    keep: Tensor | None = None
    p_TBKH: Tensor | None = None
    e_TBH: Tensor | None = None


class Kernel(NamedTuple):
    """The function f of a cell.

    Attributes:
        prepare: (p_TBA, e) → a_TBA, to which W h will be added in place step by step (p itself
            stays as it is); for each t what `advance` is given (slices, taken once); what
            `slopes` is given.
        advance: (its part of step t, h_{t-1}, out): writes h_t to out; may overwrite a_t.
            If a is as wide as h and not kept, out is a_t itself.
        slopes: (what `prepare` kept, h_{t-1} of all t, h_t of all t, e) → the slopes.
    """

    prepare: Callable[[Tensor, Any], tuple[Tensor, Iterable[Any], tuple[Tensor, ...]]]
    advance: Callable[[Any, Tensor, Tensor], object]
    slopes: Callable[[tuple[Tensor, ...], Tensor, Tensor, Any], Slopes]


def unroll(
    kernel: Kernel,
    p_TBA: Tensor,
    W_AH: Tensor,
    h_BH: Tensor,
    start_TB: Tensor | None,
    e: Tensor | None = None,
) -> Tensor:
    """All states h_TBH of a cell whose initial state is zero.

    Args:
        kernel: its f.
        p_TBA: projected input, biases included.
        W_AH: recurrent weights.
        h_BH: state before the first step.
        start_TB: true where a step is the first of an episode.
        e: a parameter of f, of any shape that broadcasts to (T, B, H).
    """
    return _Unroll.apply(kernel, p_TBA, W_AH, h_BH, e, start_TB)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernel: Kernel, p: Tensor, W: Tensor, h0: Tensor, e: Any, start: Any
    ) -> Tensor:
        a, parts, kept = kernel.prepare(p, e)
        in_place = a.shape[2] == W.shape[1] and not kept
        y = a if in_place else p.new_empty(*p.shape[:2], W.shape[1])
        W_HA, h = W.t(), h0
        for a_BA, part, out_BH, begin in zip(a, parts, y, _begins(start, len(y)), strict=True):
            if begin is not None:
                h = h.masked_fill(begin, 0)
            a_BA.addmm_(h, W_HA)
            kernel.advance(part, h, out_BH)
            h = out_BH
        ctx.kernel = kernel
        ctx.save_for_backward(y, W, h0, e, start, *kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        y, W, h0, e, start, *kept = ctx.saved_tensors
        T, was = len(y), before(y, h0, start)
        slopes = ctx.kernel.slopes(tuple(kept), was, y, e)
        ga, g = slopes.a_TBKH, y.new_empty(T + 1, *h0.shape)
        g[T] = gy[-1]  # g[t + 1] is the gradient of h_t in all, gy[t] its part from y
        loss = [torch.zeros_like(h0), *gy[:-1]]
        keep = [None] * T if slopes.keep is None else slopes.keep.expand_as(y).unbind()
        g_BH, ga_BA = g.unbind(), ga.flatten(2).unbind()
        if ga.shape[2] == 1:  # two axes are faster than three
            to_a = zip(g_BH[1:], ga_BA, ga_BA, strict=True)
        else:
            to_a = zip(g[1:].unsqueeze(2), ga, ga_BA, strict=True)
        steps = list(zip(g_BH[1:], g_BH, to_a, loss, keep, _begins(start, T), strict=False))
        for gh, gh_before, (gh_B1H, ga_BKH, ga_t), loss_t, keep_t, begin in steps[::-1]:
            ga_BKH.mul_(gh_B1H)
            if begin is not None:
                back = ga_t @ W if keep_t is None else torch.addmm(gh * keep_t, ga_t, W)
                torch.add(loss_t, back.masked_fill_(begin, 0), out=gh_before)
            elif keep_t is None:
                torch.addmm(loss_t, ga_t, W, out=gh_before)
            else:
                torch.addcmul(loss_t, gh, keep_t, out=gh_before).addmm_(ga_t, W)
        gW = ga.flatten(0, 1).flatten(1).t() @ was.flatten(0, 1)
        gp = ga if slopes.p_TBKH is None else g[1:].unsqueeze(2) * slopes.p_TBKH
        ge = None if slopes.e_TBH is None else (g[1:] * slopes.e_TBH).sum_to_size(e.shape)
        return None, gp.flatten(2), gW, g[0], ge, None


def _begins(start_TB: Tensor | None, T: int) -> list[Tensor | None]:
    """Per step the column of rows that restart, or None if no row does (most steps)."""
    if start_TB is None:
        return [None] * T
    some = start_TB.any(1).tolist()
    return [start_TB[t].unsqueeze(-1) if some[t] else None for t in range(T)]


def before(y_TBH: Tensor, h_BH: Tensor, start_TB: Tensor | None) -> Tensor:
    """The state that each step was fed."""
    was = torch.cat((h_BH.unsqueeze(0), y_TBH[:-1]))
    return was if start_TB is None else was.masked_fill(start_TB.unsqueeze(-1), 0)
