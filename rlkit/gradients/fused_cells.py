"""A step of a GRU or LSTM with its tangent, and back: what `uoro_fused.py` compiles.

A step is linear around its state by slopes D that the forward pass keeps:

    gru    da = W_hh dh,   dh' = z dh + D_r da_r + D_z da_z + D_n da_n
    lstm   da = W_hh dh,   dc' = f dc + D_i da_i + D_f da_f + D_g da_g,   dh' = D_o da_o + e dc'

Shapes: H units, R rows of the weights, S numbers of a state; M = 2 vectors with a tangent, else 1.
"""

from typing import Any

import numpy as np

from rlkit.gradients.fused import compiled


@compiled
def sigmoid(a: Any) -> None:
    """In place."""
    one, low = a.dtype.type(1), a.dtype.type(-80)
    for j in range(len(a)):
        a[j] = np.exp(-max(a[j], low))  # finite: fastmath knows no infinity
    for j in range(len(a)):
        a[j] = one / (one + a[j])


@compiled
def tanh(a: Any) -> None:
    """In place."""
    one, two, low = a.dtype.type(1), a.dtype.type(2), a.dtype.type(-20)
    for j in range(len(a)):
        a[j] = np.exp(-two * max(a[j], low))
    for j in range(len(a)):
        a[j] = two / (one + a[j]) - one


@compiled
def times(W: Any, v: Any, out: Any) -> None:
    """W v of M vectors; v is (M, at least as long as a row)."""
    for i in range(W.shape[0]):
        row = W[i]
        for m in range(len(v)):
            vm = v[m]
            total = W.dtype.type(0)
            for j in range(len(row)):
                total += row[j] * vm[j]
            out[m, i] = total


@compiled
def combine(a: Any, rows: Any, out: Any) -> None:
    """Adds Σ_i a_i row_i, four rows at a time: `out` is loaded and stored less often."""
    whole = len(a) // 4 * 4
    for i in range(0, whole, 4):
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for j in range(len(r0)):
            out[j] += a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]
    for i in range(whole, len(a)):
        a0, r0 = a[i], rows[i]
        for j in range(len(r0)):
            out[j] += a0 * r0[j]


@compiled
def gru_step(a: Any, b: Any, b_n: Any, s: Any, D: Any) -> None:
    """The next state and its tangent, and the slopes r, z, n, keep, n by the input.

    Args:
        a: W_hh h, and by the tangent.
        b: all else in the gates, but for b_n.
        b_n: is multiplied by r.
        s: state and tangent.
        D: slopes.
    """
    H, one = s.shape[1], s.dtype.type(1)
    h, an = s[0], a[0, 2 * H :]
    b[: 2 * H] += a[0, : 2 * H]
    sigmoid(b[: 2 * H])
    r, z, n = b[:H], b[H : 2 * H], b[2 * H :]
    for j in range(H):
        an[j] += b_n[j]
        n[j] += r[j] * an[j]
    tanh(n)
    for j in range(H):
        by_input = (one - z[j]) * (one - n[j] * n[j])
        D[4, j] = by_input
        D[2, j] = by_input * r[j]
        D[0, j] = by_input * an[j] * r[j] * (one - r[j])
        D[1, j] = (h[j] - n[j]) * z[j] * (one - z[j])
        D[3, j] = z[j]
        h[j] = n[j] + z[j] * (h[j] - n[j])
    if len(s) == 2:
        dh, da = s[1], a[1]
        for j in range(H):
            dh[j] = z[j] * dh[j] + D[0, j] * da[j] + D[1, j] * da[H + j] + D[2, j] * da[2 * H + j]


@compiled
def lstm_step(a: Any, b: Any, s: Any, D: Any) -> None:
    """The next state (h, c) and its tangent, and the slopes i, f, g, o, keep, h by c."""
    H, one = s.shape[1] // 2, s.dtype.type(1)
    b += a[0]
    sigmoid(b[: 2 * H])
    tanh(b[2 * H : 3 * H])
    sigmoid(b[3 * H :])
    i, f, g, o = b[:H], b[H : 2 * H], b[2 * H : 3 * H], b[3 * H :]
    h, c = s[0, :H], s[0, H:]
    for j in range(H):
        D[0, j] = g[j] * i[j] * (one - i[j])
        D[1, j] = c[j] * f[j] * (one - f[j])
        D[2, j] = i[j] * (one - g[j] * g[j])
        D[4, j] = f[j]
        c[j] = f[j] * c[j] + i[j] * g[j]
        h[j] = c[j]
    tanh(h)
    for j in range(H):
        D[3, j] = h[j] * o[j] * (one - o[j])
        D[5, j] = o[j] * (one - h[j] * h[j])
        h[j] = o[j] * h[j]
    if len(s) == 2:
        dh, dc, da = s[1, :H], s[1, H:], a[1]
        for j in range(H):
            dc[j] = (
                D[4, j] * dc[j] + D[0, j] * da[j] + D[1, j] * da[H + j] + D[2, j] * da[2 * H + j]
            )
            dh[j] = D[3, j] * da[3 * H + j] + D[5, j] * dc[j]


@compiled
def gru_back(D: Any, s: Any, qh: Any, qx: Any) -> None:
    """From the state after a step to W_hh h, to the input's part, and what is kept of h."""
    H = s.shape[1]
    for m in range(len(s)):
        d, q, p = s[m], qh[m], qx[m]
        for j in range(H):
            q[j] = d[j] * D[0, j]
            q[H + j] = d[j] * D[1, j]
            q[2 * H + j] = d[j] * D[2, j]
        for j in range(2 * H):
            p[j] = q[j]
        for j in range(H):
            p[2 * H + j] = d[j] * D[4, j]
            d[j] = d[j] * D[3, j]


@compiled
def lstm_back(D: Any, s: Any, qh: Any) -> None:
    """From the state after a step to W_hh h, and what is kept of c; h is not kept."""
    H = s.shape[1] // 2
    for m in range(len(s)):
        dh, dc, q = s[m, :H], s[m, H:], qh[m]
        for j in range(H):
            dc[j] += dh[j] * D[5, j]
            q[3 * H + j] = dh[j] * D[3, j]
            dh[j] = 0
        for j in range(H):
            q[j] = dc[j] * D[0, j]
            q[H + j] = dc[j] * D[1, j]
            q[2 * H + j] = dc[j] * D[2, j]
        for j in range(H):
            dc[j] = dc[j] * D[4, j]


@compiled
def softmax_loss(out: Any, target: int, weight: Any, d: Any) -> Any:
    """The weighted loss; its gradient in d."""
    top, total = out[0], out.dtype.type(0)
    for k in range(len(out)):
        top = max(top, out[k])
    for k in range(len(out)):
        d[k] = np.exp(out[k] - top)
        total += d[k]
    for k in range(len(out)):
        d[k] *= weight / total
    d[target] -= weight
    return weight * (np.log(total) + top - out[target])
