"""The values of h_t = a_t ⊙ h_{t-1} + b_t, without their gradient: `scan` adds it.

Shapes: b (T, B, …); cut, true where h_{t-1} counts as zero, (T, B, 1, …).
"""

from typing import Any

import torch
from torch import Tensor


def solve(a: Tensor, b: Tensor, h: Tensor, cut: Tensor | None, C: int, varying: bool) -> Tensor:
    """All states (T, B, …) in at most C chunks; a has a time axis if it is varying."""
    T = b.shape[0]
    if C == 1:
        return loop(a.unbind(0) if varying else [a] * T, b, h, cut)
    L = -(-T // C)
    C = -(-T // L)
    split = lambda x: torch.cat((x, x.new_zeros(C * L - T, *x.shape[1:]))).unflatten(0, (C, L))  # noqa: E731
    # every chunk from zero: (L, C, B, …), and what its own first state is multiplied by until then
    own = split(b).transpose(0, 1)
    gain = split(a).transpose(0, 1) if varying else a.expand(L, *a.shape)
    own_cut = None if cut is None else split(cut).transpose(0, 1)
    factors = gain.unbind(0)
    local = loop(factors, own, torch.zeros_like(own[0]), own_cut)
    product = torch.cumprod(gain, 0)
    kept = None if own_cut is None else own_cut.cumsum(0) == 0
    ends = []
    for c in range(C):
        ends.append(h)
        last = product[-1, c] if varying else product[-1]
        moved = torch.addcmul(local[-1, c], last, h)
        h = moved if kept is None else torch.where(kept[-1, c], moved, local[-1, c])
    moved = torch.addcmul(local, product if varying else product[:, None, None], torch.stack(ends))
    y = moved if kept is None else torch.where(kept, moved, local)
    return y.transpose(0, 1).flatten(0, 1)[:T]


def loop(a: Any, b: Tensor, h: Tensor, cut: Tensor | None) -> Tensor:
    """All states, one step after the other; a is a sequence."""
    T = b.shape[0]
    y = torch.empty_like(b, memory_format=torch.contiguous_format)
    cuts = restarts(cut, T)
    for t, (b_t, y_t) in enumerate(zip(b.unbind(0), y.unbind(0), strict=True)):
        if cut is not None and cuts[t]:
            h = torch.where(cut[t], 0, h)
        h = torch.addcmul(b_t, a[t], h, out=y_t)
    return y


def restarts(cut: Tensor | None, T: int) -> list[bool]:
    """At which steps some row restarts; on an accelerator all of them, asking would wait for it."""
    if cut is None:
        return [False] * T
    return [True] * T if cut.is_cuda else cut.flatten(1).any(1).tolist()
