"""torch's fused LSTM over sequences in which episodes start.

Before every start one step is put in whose extra input column `reset` is 1 and drives the gates
i, f, o to exactly 0: c = h = 0, and no gradient passes. Rows with fewer starts are filled up at
their end with steps whose column `hold` drives i to 0 and f to 1: c stays what it is. The states
of the real steps are gathered afterwards.

Shapes: T time, B batch, I input, H hidden, S steps with tokens; N = T·B rows.
"""

from typing import Any

import torch
from torch import Tensor

SATURATED = 1e30
"""A gate's input of this size makes it 0 or 1 to the last bit, whatever is added by weights."""


def lstm_with_tokens(
    x_TBI: Tensor, h_BH: Tensor, c_BH: Tensor, weights: list[Tensor], later: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All h (T, B, H), and the last c (B, H).

    Args:
        x_TBI: finite input.
        h_BH: state before the first step, with c_BH.
        c_BH: finite, or a reset would not forget it.
        weights: W_ih, W_hh, b_ih, b_hh in torch's order of gates.
        later: (T - 1, B): true where an episode starts at step 1 … T - 1.
    """
    if later is None or not later.any():
        return _lstm(x_TBI, h_BH, c_BH, weights)
    T, B, I = x_TBI.shape
    tokens_TB = torch.cat((torch.zeros_like(later[:1]), later)).cumsum(0)
    S = T + int(tokens_TB[-1].max())
    row_B, step_T = (torch.arange(n, device=x_TBI.device) for n in (B, T))
    at_N = ((step_T.unsqueeze(1) + tokens_TB) * B + row_B).flatten()
    kind_SB2 = x_TBI.new_zeros(S, B, 2)
    hold_SB = torch.arange(S, device=x_TBI.device).unsqueeze(1) >= T + tokens_TB[-1]
    kind_SB2[..., 0], kind_SB2[..., 1] = ~hold_SB, hold_SB
    kind_SB2.view(S * B, 2).index_fill_(0, at_N, 0)
    x_SBI = _Spread.apply(x_TBI.reshape(T * B, I), at_N, S * B).view(S, B, I)
    W_ih, W_hh, b_ih, b_hh = weights
    drive = W_ih.new_tensor([[-1, -1], [-1, 1], [0, 0], [-1, -1]]) * SATURATED
    W_ih = torch.cat((W_ih, drive.repeat_interleave(h_BH.shape[1], dim=0)), 1)
    h_SBH, c_BH = _lstm(torch.cat((x_SBI, kind_SB2), -1), h_BH, c_BH, [W_ih, W_hh, b_ih, b_hh])
    return _Collect.apply(h_SBH.flatten(0, 1), at_N).view(T, B, -1), c_BH


def _lstm(x: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    state = (h.unsqueeze(0), c.unsqueeze(0))
    train = torch.is_grad_enabled()
    y, _, c = torch.lstm(x, state, weights, True, 1, 0.0, train, False, False)
    return y, c.squeeze(0)


class _Spread(torch.autograd.Function):
    """Rows to the given places, zeros between; torch's own backward of it adds row by row."""

    @staticmethod
    def forward(ctx: Any, x_NF: Tensor, at_N: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(at_N)
        return x_NF.new_zeros(rows, x_NF.shape[1]).index_copy_(0, at_N, x_NF)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return _Collect.apply(g, *ctx.saved_tensors), None, None


class _Collect(torch.autograd.Function):
    """Rows from the given places, each at most once."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, at_N: Tensor) -> Tensor:
        ctx.save_for_backward(at_N)
        ctx.rows = len(y)
        return y.index_select(0, at_N)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return _Spread.apply(g, *ctx.saved_tensors, ctx.rows), None
