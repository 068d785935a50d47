"""Exact real-time gradients of units of two numbers (see `pairs`).

For every parameter its trace is the derivative of the state of its unit:

    E ← f'(a) ⊙ (M E + S),     S the direct dependence of a on the parameter

A memory's parameters are rows of one matrix P (R, H), so its traces are one tensor. State and
traces advance without gradient; the state handed to the loss is c' + Σ E (P - stopgrad(P)), whose
value is c' and whose derivative is that of the whole past; likewise for the present input.
"""

from typing import Any

import torch
from torch import Tensor

from rlkit.memory.base import LinearForm
from rlkit.memory.pairs import Activation, activate, slope, turn
from rlkit.memory.scan import scan
from rlkit.types import State


class _Carried(torch.autograd.Function):
    """h itself, with the derivative E by λ, γ and W = re + i im: ∂h/∂im = i ∂h/∂re."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        h_BH: Tensor, E: Tensor, lam_H: Tensor, gamma_H: Tensor, re_IH: Tensor, im_IH: Tensor
    ) -> Tensor:
        return h_BH.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, k_BH: Tensor) -> tuple[Tensor | None, ...]:
        (E,) = ctx.saved_tensors
        turned = torch.complex(k_BH.imag, k_BH.real)  # i k̄: no part of the product changes sign
        G = E * turned.unsqueeze(1)
        G = torch.view_as_real(G.squeeze(0) if len(G) == 1 else G.sum(0))
        im, re = G[..., 0], G[..., 1]
        return None, None, torch.complex(re[0], im[0]), re[1], re[2:], im[2:]


def complex_trace_step(
    E: Tensor,
    h_BH: Tensor,
    lam_H: Tensor,
    gamma_H: Tensor,
    W: tuple[Tensor, Tensor],
    x_BI: Tensor,
) -> tuple[Tensor, Tensor]:
    """Advances h' = λ h + γ (x W), carrying the gradient of the whole past, and its traces.

    Args:
        E: (B, 2 + I, H, 2) real pairs; rows are λ, γ and the rows of W.
        h_BH: complex.
        lam_H: complex.
        gamma_H: real.
        W: real and imaginary part, (I, H) each.
        x_BI: real.
    """
    lam, gamma = lam_H.detach(), gamma_H.detach()
    u = torch.complex(x_BI @ W[0].detach(), x_BI @ W[1].detach())
    by_input = gamma * (u - u.detach())
    with torch.no_grad():
        E_new = lam * torch.view_as_complex(E)
        E_new[:, 0] += h_BH
        E_new[:, 1] += u
        torch.view_as_real(E_new)[:, 2:, :, 0] += gamma * x_BI[:, :, None]
        h = lam * h_BH + gamma * u
    h = _Carried.apply(h, E_new, lam_H, gamma_H, *W)
    return h + by_input, torch.view_as_real(E_new)


def complex_trace_scan(state: State, form: LinearForm, x_TBI: Tensor, start_TB: Tensor) -> State:
    """All states of that recurrence and their traces, as one scan; without gradient.

    Args:
        state: real and imaginary part of h, and E, before the first input.
        form: λ, γ and W, as `Memory.linear_form` gives them.
        x_TBI: inputs.
        start_TB: true where h and E restart from zero.
    """
    (re, im, E), (lam, gamma, W) = state, form
    h_BH, rows = torch.complex(re, im), E.shape[1]
    u = torch.complex(x_TBI @ W[0], x_TBI @ W[1])
    h = scan(lam, gamma * u, h_BH, start_TB)
    before = torch.cat((h_BH[None], h[:-1])).masked_fill(start_TB[:, :, None], 0)
    S = torch.cat((before[:, :, None], u[:, :, None], gamma * x_TBI[..., None]), 2)
    E_TB = scan(lam.expand(rows, -1), S, torch.view_as_complex(E), start_TB)
    return h.real, h.imag, torch.view_as_real(E_TB)


def sides(first: Tensor, second: Tensor) -> Tensor:
    """Rows (first, 0) and then (0, second), (B, R1 + R2, 2, H), from (B, R1, H) and (B, R2, H)."""
    upper = torch.stack((first, torch.zeros_like(first)), 2)
    lower = torch.stack((torch.zeros_like(second), second), 2)
    return torch.cat((upper, lower), 1)


def block_trace_step(
    E: Tensor, c: Tensor, M: tuple[Tensor, Tensor], p: Tensor, S: Tensor, P: Tensor, f: Activation
) -> tuple[Tensor, Tensor]:
    """Advances c' = f(M c + p), carrying the gradient of the whole past, and its traces.

    Args:
        E: (B, R, 2, H).
        c: (B, 2, H), detached.
        M: diagonal and cross, (2, H) each.
        p: (B, 2, H); only a direct path to the input may carry gradient.
        S: (B, R, 2, H), the derivative of M c + p by each parameter with c held.
        P: (R, H), the parameters.
        f: activation.
    """
    with torch.no_grad():
        c_new = activate(f, turn(*M, c) + p)
        E_new = turn(*M, E) + S
        direct = torch.ones_like(c_new) if f == "linear" else slope(f, c_new)
        E_new = E_new * direct[:, None]
    by_parameters = torch.einsum("brkh,rh->bkh", E_new, P - P.detach())
    return c_new + by_parameters + direct * (p - p.detach()), E_new
