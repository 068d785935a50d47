"""Fast unroll of h' = Λ ⊙ r([x, h]) + (1 - Λ) ⊙ h for one-layer g and r (GateL0RD).

a = [s, n]:  Λ = openness(s),  h' = Λ ⊙ tanh n + (1 - Λ) ⊙ h
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from rlkit.memory.recurrent import Kernel, Slopes, before, unroll


def unroll_gates(
    gate: str,
    g: nn.Sequential,
    r: nn.Sequential,
    x_TBF: Tensor,
    h_BH: Tensor,
    start_TB: Tensor | None,
    noise_std: float,
) -> tuple[Tensor, Tensor]:
    """All states and all gate inputs s (T, B, H); the state before an episode is zero.

    Args:
        gate: "retanh" or "sigmoid".
        g: the gates' network on [x, h]: a linear layer.
        r: the candidate's: a linear layer and tanh.
        x_TBF: inputs of both.
        h_BH: state before the first step.
        start_TB: true where a step is the first of an episode.
        noise_std: of what is subtracted from s; drawn step by step, as the loop does.
    """
    F = x_TBF.shape[-1]
    on_g, on_r = cast(nn.Linear, g[0]), cast(nn.Linear, r[0])
    of_g, b_g, of_r, b_r = on_g.weight, on_g.bias, on_r.weight, on_r.bias
    s_TBH, n_TBH = linear(x_TBF, of_g[:, :F], b_g), linear(x_TBF, of_r[:, :F], b_r)
    if noise_std:
        s_TBH = s_TBH - noise_std * torch.stack([torch.randn_like(s) for s in s_TBH])
    W_AH = torch.cat((of_g[:, F:], of_r[:, F:]))
    h_TBH = unroll(KERNELS[gate], torch.cat((s_TBH, n_TBH), -1), W_AH, h_BH, start_TB)
    was_TBH = before(h_TBH, h_BH, start_TB)
    return h_TBH, s_TBH + linear(was_TBH, of_g[:, F:])


Part = tuple[Tensor, Tensor]


def _prepare(p: Tensor, e: None) -> tuple[Tensor, Iterable[Part], tuple[Tensor, ...]]:
    a = p.clone()
    return a, zip(*a.chunk(2, dim=-1), strict=True), (a,)


def _advance(open_: Callable[[Tensor], Tensor], part: Part, h: Tensor, out: Tensor) -> None:
    s, n = part
    torch.lerp(h, n.tanh_(), open_(s), out=out)


def _slopes(
    slope: Callable[[Tensor], Tensor], kept: tuple[Tensor, ...], was: Tensor, h: Tensor, e: None
) -> Slopes:
    opened, n = kept[0].chunk(2, dim=-1)
    to_a = torch.stack(((n - was) * slope(opened), opened * (1 - n * n)), 2)
    return Slopes(to_a, keep=1 - opened)


KERNELS = {
    "retanh": Kernel(
        _prepare,
        partial(_advance, lambda s: s.tanh_().relu_()),
        partial(_slopes, lambda v: (1 - v * v) * (v > 0)),
    ),
    "sigmoid": Kernel(
        _prepare,
        partial(_advance, torch.Tensor.sigmoid_),
        partial(_slopes, lambda v: v * (1 - v)),
    ),
}
"""The blocks of a become Λ and tanh n."""
