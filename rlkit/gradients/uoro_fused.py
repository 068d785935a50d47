"""UORO or disjoint truncation, cross-entropy and Adam of a GRU or LSTM, compiled (numba, an extra).

What `uoro.py` (rank 1, exact tangent) or `tbptt.py`, a linear readout and Adam do in some hundred
operations on tensors is done here chunk by chunk, agent after agent; the numbers are equal up to
rounding, with the same signs from the same generator. A step is linear around its state by slopes
that the forward pass keeps,

    gru    da = W_hh dh,   dh' = z dh + D_r da_r + D_z da_z + D_n da_n
    lstm   da = W_hh dh,   dc' = f dc + D_i da_i + D_f da_f + D_g da_g,   dh' = D_o da_o + e dc'

The tangent goes with the state and the signs go back with the loss, so that every weight is read
for two vectors at once.

Shapes: N agents, T inputs of a chunk, C chunks, I input, H units, K classes, R rows of the weights,
S numbers of a state, P parameters; M = 2 vectors with UORO, else 1; one stream an agent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.gradients.base import Estimator
from rlkit.gradients.fused import Fused, adam, compiled
from rlkit.gradients.uoro import EPS, UORO
from rlkit.types import Sequences

STRIP = 512
"""Parameters that are moved at a time: few enough to stay in the nearest cache."""


class FusedUORO(Fused):
    """Holds states, random products and moments of N agents.

    Args:
        params: rows of "memory" (weight_ih, weight_hh, bias_ih, bias_hh) and "readout" (W, b);
            moved in place.
        sizes: I, H, K.
        lstm: the memory; else gru.
        gradient: UORO or TBPTT; its options, and its generator, from which the signs come.
        adam: beta1, beta2, eps.

    Raises:
        ConfigError: numba is not installed.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        sizes: tuple[int, int, int],
        lstm: bool,
        gradient: Estimator,
        adam: Mapping[str, float],
    ):
        super().__init__(params, adam)
        self.lstm, self.K = lstm, sizes[2]
        self.uoro, self.generator = isinstance(gradient, UORO), gradient.generator
        steps = gradient.chunk_steps({})
        assert steps is not None
        self.T = steps
        N, S = len(self.theta), sizes[1] * (2 if lstm else 1)
        self.state = np.zeros((2 if self.uoro else 1, N, S), self.dtype)
        self.theta_tilde = np.zeros(self.theta.shape if self.uoro else (N, 0), self.dtype)
        self.moments = [np.zeros((2, *p.shape), self.dtype) for p in (self.theta, self.phi)]
        self.arrays = [self.state, self.theta_tilde, *self.moments]

    def learn(self, batch: Sequences, lr_TN: np.ndarray) -> tuple[Tensor, Tensor]:
        """Likewise; of the step sizes those of the last inputs of chunks are taken."""
        x, target, weight, start = self.one_stream(batch)
        C, (_, N, S) = len(x) // self.T, self.state.shape
        sign_CNS = torch.empty(C if self.uoro else 0, N, S, dtype=batch.x_TNBI.dtype)
        for sign_NS in sign_CNS.unbind():  # in the order of `uoro.py`
            sign_NS.bernoulli_(0.5, generator=self.generator)
        sign_CNS.mul_(2).sub_(1)
        loss_TN = np.zeros(x.shape[:2], self.dtype)
        out_TNK = np.zeros((*x.shape[:2], self.K), self.dtype)
        _steps(
            self.theta,
            self.phi,
            *self.moments,
            self.state,
            self.theta_tilde,
            x,
            target,
            weight,
            start,
            sign_CNS.numpy(),
            lr_TN[self.T - 1 :: self.T].astype(self.dtype),
            self.count(C),
            self.constants,
            self.T,
            self.lstm,
            loss_TN,
            out_TNK,
        )
        return torch.from_numpy(loss_TN), torch.from_numpy(out_TNK)


# ---- one step ------------------------------------------------------------------------------------


@compiled
def _sigmoid(a: Any) -> None:
    one, low = a.dtype.type(1), a.dtype.type(-80)
    for j in range(len(a)):
        a[j] = np.exp(-max(a[j], low))  # finite: fastmath knows no infinity
    for j in range(len(a)):
        a[j] = one / (one + a[j])


@compiled
def _tanh(a: Any) -> None:
    one, two, low = a.dtype.type(1), a.dtype.type(2), a.dtype.type(-20)
    for j in range(len(a)):
        a[j] = np.exp(-two * max(a[j], low))
    for j in range(len(a)):
        a[j] = two / (one + a[j]) - one


@compiled
def _times(W: Any, v: Any, out: Any) -> None:
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
def _combine(a: Any, rows: Any, out: Any) -> None:
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
def _gru(a: Any, b: Any, b_n: Any, s: Any, D: Any) -> None:
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
    _sigmoid(b[: 2 * H])
    r, z, n = b[:H], b[H : 2 * H], b[2 * H :]
    for j in range(H):
        an[j] += b_n[j]
        n[j] += r[j] * an[j]
    _tanh(n)
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
def _lstm(a: Any, b: Any, s: Any, D: Any) -> None:
    """The next state (h, c) and its tangent, and the slopes i, f, g, o, keep, h by c."""
    H, one = s.shape[1] // 2, s.dtype.type(1)
    b += a[0]
    _sigmoid(b[: 2 * H])
    _tanh(b[2 * H : 3 * H])
    _sigmoid(b[3 * H :])
    i, f, g, o = b[:H], b[H : 2 * H], b[2 * H : 3 * H], b[3 * H :]
    h, c = s[0, :H], s[0, H:]
    for j in range(H):
        D[0, j] = g[j] * i[j] * (one - i[j])
        D[1, j] = c[j] * f[j] * (one - f[j])
        D[2, j] = i[j] * (one - g[j] * g[j])
        D[4, j] = f[j]
        c[j] = f[j] * c[j] + i[j] * g[j]
        h[j] = c[j]
    _tanh(h)
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
def _gru_back(D: Any, s: Any, qh: Any, qx: Any) -> None:
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
def _lstm_back(D: Any, s: Any, qh: Any) -> None:
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
def _cross_entropy(out: Any, target: int, weight: Any, d: Any) -> Any:
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


# ---- what is learnt ------------------------------------------------------------------------------


@compiled
def _outer(q: Any, v: Any, out: Any) -> None:
    """Σ_t q_t v_tᵀ of (T, R) and (T, J), row after row; likewise."""
    (T, R), J = q.shape, v.shape[1]
    head = (T - 1) % 4 + 1
    for i in range(R):
        row, q0, v0 = out[i * J : (i + 1) * J], q[0, i], v[0]
        for j in range(J):
            row[j] = q0 * v0[j]
        for t in range(1, head):
            q0, v0 = q[t, i], v[t]
            for j in range(J):
                row[j] += q0 * v0[j]
        for t in range(head, T, 4):
            q0, q1, q2, q3 = q[t, i], q[t + 1, i], q[t + 2, i], q[t + 3, i]
            v0, v1, v2, v3 = v[t], v[t + 1], v[t + 2], v[t + 3]
            for j in range(J):
                row[j] += q0 * v0[j] + q1 * v1[j] + q2 * v2[j] + q3 * v3[j]


@compiled
def _sum(q: Any, out: Any) -> None:
    out[:] = q[0]
    for t in range(1, len(q)):
        qt = q[t]
        for j in range(len(out)):
            out[j] += qt[j]


@compiled
def _by_theta(qx: Any, qh: Any, x: Any, h: Any, out: Any) -> None:
    """The gradient by all parameters of the memory."""
    R, I, H = qx.shape[1], x.shape[1], h.shape[1]
    _outer(qx, x, out[: R * I])
    _outer(qh, h, out[R * I : R * (I + H)])
    _sum(qx, out[R * (I + H) : R * (I + H + 1)])
    _sum(qh, out[R * (I + H + 1) :])


@compiled
def _norm(v: Any) -> Any:
    total = v.dtype.type(0)
    for j in range(len(v)):
        total += v[j] * v[j]
    return np.sqrt(total)


@compiled
def _mix(g: Any, theta_tilde: Any, back: Any, along: Any, by0: Any, by1: Any) -> None:
    """Adds what the past gives to a gradient, and makes two products one."""
    for j in range(len(g)):
        old = theta_tilde[j]
        g[j] += along * old
        theta_tilde[j] = by0 * old + by1 * back[j]


@compiled
def _steps(
    theta: Any,
    phi: Any,
    theta_moments: Any,
    phi_moments: Any,
    state: Any,
    theta_tilde: Any,
    x: Any,
    target: Any,
    weight: Any,
    start: Any,
    sign: Any,
    lr: Any,
    scale: Any,
    c: Any,
    T: int,
    lstm: bool,
    loss: Any,
    out: Any,
) -> None:
    (M, N, S), I, K = state.shape, x.shape[2], out.shape[2]
    H = S // 2 if lstm else S
    R, P, dtype = 4 * H if lstm else 3 * H, theta.shape[1], theta.dtype
    zero, one, eps = dtype.type(0), dtype.type(1), dtype.type(EPS)
    s, a, b = np.empty((M, S), dtype), np.empty((M, R), dtype), np.empty(R, dtype)
    D, h, y = np.empty((T, 6, H), dtype), np.empty((T, H), dtype), np.empty((T, H), dtype)
    qh, qx = np.empty((T, M, R), dtype), np.empty((T, M, R), dtype)
    d, g = np.empty((T, K), dtype), np.empty((M, P), dtype)
    g_phi = np.empty(phi.shape[1], dtype)
    for n in range(N):
        W_ih = theta[n, : R * I].reshape(R, I)
        W_hh = theta[n, R * I : R * (I + H)].reshape(R, H)
        b_ih, b_hh = theta[n, R * (I + H) : R * (I + H + 1)], theta[n, R * (I + H + 1) :]
        W, bias = phi[n, : K * H].reshape(K, H), phi[n, K * H :]
        size = zero
        if M == 2:
            size = _norm(theta_tilde[n])
        for chunk in range(len(lr)):
            first = chunk * T
            s[:] = state[:, n]
            for t in range(T):
                at = first + t
                if start[at, n]:
                    s[:] = zero
                h[t] = s[0, :H]
                for j in range(R):
                    b[j] = b_ih[j] + b_hh[j]
                if not lstm:
                    b[2 * H :] = b_ih[2 * H :]
                for i in range(I):
                    xi = x[at, n, i]
                    if xi != zero:
                        for j in range(R):
                            b[j] += xi * W_ih[j, i]
                _times(W_hh, s, a)
                if lstm:
                    _lstm(a, b, s, D[t])
                else:
                    _gru(a, b, b_hh[2 * H :], s, D[t])
                y[t] = s[0, :H]
                said = out[at, n]
                for k in range(K):
                    said[k] = bias[k]
                    for j in range(H):
                        said[k] += W[k, j] * y[t, j]
                loss[at, n] = _cross_entropy(said, target[at, n], weight[at, n], d[t])
            old = state[M - 1, n].copy()
            state[0, n] = s[0]
            ahead = s[M - 1].copy()
            s[0] = zero
            if M == 2:
                s[1] = sign[chunk, n]
            for t in range(T - 1, -1, -1):
                _combine(d[t], W, s[0])
                if lstm:
                    _lstm_back(D[t], s, qh[t])
                    qx[t] = qh[t]
                else:
                    _gru_back(D[t], s, qh[t], qx[t])
                if start[first + t, n]:
                    s[:] = zero
                elif t or M == 2:
                    for m in range(M):
                        _combine(qh[t, m], W_hh, s[m])
            x_chunk = np.ascontiguousarray(x[first : first + T, n])
            for m in range(M):
                _by_theta(qx[:, m], qh[:, m], x_chunk, h, g[m])
            rate, by = lr[chunk, n], scale[:, chunk]
            along, by0, by1 = zero, one, one
            if M == 2:
                for j in range(S):
                    along += s[0, j] * old[j]
                rho0 = np.sqrt(size / (_norm(ahead) + eps)) + eps
                rho1 = np.sqrt(_norm(g[1]) / (np.sqrt(dtype.type(S)) + eps)) + eps
                by0, by1 = one / rho0, one / rho1
                for j in range(S):
                    state[1, n, j] = rho0 * ahead[j] + rho1 * sign[chunk, n, j]
            for begin in range(0, P, STRIP):
                part = slice(begin, min(begin + STRIP, P))
                if M == 2:
                    _mix(g[0, part], theta_tilde[n, part], g[1, part], along, by0, by1)
                moments = theta_moments[0, n, part], theta_moments[1, n, part]
                adam(theta[n, part], moments[0], moments[1], g[0, part], c, rate, by)
            if M == 2:
                size = _norm(theta_tilde[n])
            _outer(d, y, g_phi[: K * H])
            _sum(d, g_phi[K * H :])
            adam(phi[n], phi_moments[0, n], phi_moments[1, n], g_phi, c, rate, by)
