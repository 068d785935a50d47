"""Exact real-time gradients of units of two numbers (see `pairs`).

For every parameter its trace is the derivative of the state of its unit:

    E ← f'(a) ⊙ (M E + S),     S the direct dependence of a on the parameter

A memory's parameters are rows of one matrix P (R, H), so its traces are one tensor. State and
traces advance without gradient; the state handed to the loss is c' + Σ E (P - stopgrad(P)), whose
value is c' and whose derivative is that of the whole past; likewise for the present input.
"""

import torch
from torch import Tensor

from rlkit.memory.pairs import Activation, activate, complex_linear, slope, turn
from rlkit.memory.scan import scan
from rlkit.types import State


def complex_trace_step(
    E: Tensor, h_BH: Tensor, lam_H: Tensor, gamma_H: Tensor, W_HI: Tensor, x_BI: Tensor
) -> tuple[Tensor, Tensor]:
    """Advances h' = λ h + γ (W x), carrying the gradient of the whole past, and its traces.

    Args:
        E: (B, 2 + I, H, 2) real pairs; rows are λ, γ and the columns of W.
        h_BH: complex.
        lam_H: complex.
        gamma_H: real.
        W_HI: complex.
        x_BI: real.
    """
    P = torch.cat((lam_H[None], torch.complex(gamma_H, torch.zeros_like(gamma_H))[None], W_HI.T))
    lam, gamma, W = lam_H.detach(), gamma_H.detach(), W_HI.detach()
    with torch.no_grad():
        u = complex_linear(x_BI, W.real, W.imag)
        S = torch.cat((h_BH[:, None], u[:, None], gamma * x_BI[:, :, None]), 1)
        E_new = lam * torch.view_as_complex(E) + S
        h = lam * h_BH + gamma * u
    by_parameters = torch.einsum("bph,ph->bh", E_new, P - P.detach())
    by_input = gamma * complex_linear(x_BI - x_BI.detach(), W.real, W.imag)
    return h + by_parameters + by_input, torch.view_as_real(E_new)


def complex_trace_scan(
    state: State, form: tuple[Tensor, Tensor, Tensor], x_TBI: Tensor, start_TB: Tensor
) -> State:
    """All states of that recurrence and their traces, as one scan; without gradient.

    Args:
        state: real and imaginary part of h, and E, before the first input.
        form: λ, γ and W.
        x_TBI: inputs.
        start_TB: true where h and E restart from zero.
    """
    (re, im, E), (lam, gamma, W) = state, form
    h_BH, rows = torch.complex(re, im), E.shape[1]
    u = complex_linear(x_TBI, W.real, W.imag)
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
