"""UORO or disjoint truncation, cross-entropy and Adam of a GRU or LSTM, compiled (numba, an extra).

What `uoro.py` (rank 1, exact tangent) or `tbptt.py`, a linear readout and Adam do in some hundred
operations on tensors is done here chunk by chunk, agent after agent; the numbers are equal up to
rounding, with the same signs from the same generator.

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
from rlkit.gradients.fused_cells import (
    combine,
    gru_back,
    gru_step,
    lstm_back,
    lstm_step,
    softmax_loss,
    times,
)
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
                times(W_hh, s, a)
                if lstm:
                    lstm_step(a, b, s, D[t])
                else:
                    gru_step(a, b, b_hh[2 * H :], s, D[t])
                y[t] = s[0, :H]
                said = out[at, n]
                for k in range(K):
                    said[k] = bias[k]
                    for j in range(H):
                        said[k] += W[k, j] * y[t, j]
                loss[at, n] = softmax_loss(said, target[at, n], weight[at, n], d[t])
            old = state[M - 1, n].copy()
            state[0, n] = s[0]
            ahead = s[M - 1].copy()
            s[0] = zero
            if M == 2:
                s[1] = sign[chunk, n]
            for t in range(T - 1, -1, -1):
                combine(d[t], W, s[0])
                if lstm:
                    lstm_back(D[t], s, qh[t])
                    qx[t] = qh[t]
                else:
                    gru_back(D[t], s, qh[t], qx[t])
                if start[first + t, n]:
                    s[:] = zero
                elif t or M == 2:
                    for m in range(M):
                        combine(qh[t, m], W_hh, s[m])
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
