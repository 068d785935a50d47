"""RT2, squared loss and Adam of linear trace units as one compiled loop (numba, an optional extra).

What `rt2.py`, a linear readout and Adam do in some hundred operations on tensors is done here in
two passes over the traces, for every agent, input by input; the numbers are equal up to rounding.
With u = x W, k = ∂ℓ/∂h and traces E by λ, γ and W,

    E_λ ← λ E_λ + h,   E_γ ← λ E_γ + u,   E_W ← λ E_W + γ x,   h ← λ h + γ u
    ∂ℓ/∂W1 = Re k̄ E,   ∂ℓ/∂W2 = Re k̄ i E                      as in `rlkit/memory/traces.py`

Shapes: N agents, T time, I input, H units, K outputs; one stream an agent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.gradients.fused import Fused, adam, compiled
from rlkit.types import Sequences


class FusedRT2(Fused):
    """Holds states, traces and moments of N agents.

    Args:
        params: rows of "memory" (nu_log, theta_log, W1, W2) and "readout" (W, b); moved in place.
        sizes: I, H, K.
        relu: the activation; else tanh.
        adam: beta1, beta2, eps.

    Raises:
        ConfigError: numba is not installed.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        sizes: tuple[int, int, int],
        relu: bool,
        adam: Mapping[str, float],
    ):
        super().__init__(params, adam)
        (I, H, _), self.relu = sizes, relu
        N = len(self.theta)
        self.h = np.zeros((N, 2, H), self.dtype)
        self.E = np.zeros((N, 2 + I, 2, H), self.dtype)
        self.moments = [np.zeros((2, *p.shape), self.dtype) for p in (self.theta, self.phi)]
        self.arrays = [self.h, self.E, *self.moments]

    def learn(self, batch: Sequences, lr_TN: np.ndarray) -> tuple[Tensor, Tensor]:
        x, target, weight, start = self.one_stream(batch)
        loss_TN = np.zeros(x.shape[:2], self.dtype)
        _steps(
            self.theta,
            self.phi,
            *self.moments,
            self.h,
            self.E,
            x,
            target,
            weight,
            start,
            lr_TN.astype(self.dtype),
            self.count(len(x)),
            self.constants,
            self.relu,
            loss_TN,
        )
        return torch.from_numpy(loss_TN), torch.empty(*loss_TN.shape, 0)


@compiled
def _steps(
    theta: Any,
    phi: Any,
    theta_moments: Any,
    phi_moments: Any,
    h: Any,
    E: Any,
    x: Any,
    target: Any,
    weight: Any,
    start: Any,
    lr: Any,
    scale: Any,
    c: Any,
    relu: bool,
    loss: Any,
) -> None:
    T, N, I = x.shape
    K, H = target.shape[2], h.shape[2]
    dtype = theta.dtype
    zero, two = dtype.type(0), dtype.type(2)
    lam = np.empty((2, H), dtype)
    gamma, nu, turn, u, y, k = (
        np.empty(H, dtype),
        np.empty(H, dtype),
        np.empty(H, dtype),
        np.empty((2, H), dtype),
        np.empty((2, H), dtype),
        np.empty((2, H), dtype),
    )
    g1, g2, gy, d = (
        np.empty(H, dtype),
        np.empty(H, dtype),
        np.empty(2 * H, dtype),
        np.empty(K, dtype),
    )
    for n in range(N):
        nu_log, theta_log = theta[n, :H], theta[n, H : 2 * H]
        for t in range(T):
            if start[t, n]:
                h[n] = zero
                E[n] = zero
            u[:] = zero
            for i in range(I):
                xi = x[t, n, i]
                if xi != zero:
                    W1 = theta[n, (2 + i) * H : (3 + i) * H]
                    W2 = theta[n, (2 + I + i) * H : (3 + I + i) * H]
                    for j in range(H):
                        u[0, j] += xi * W1[j]
                        u[1, j] += xi * W2[j]
            for j in range(H):
                nu[j] = np.exp(nu_log[j])
                turn[j] = np.exp(theta_log[j])
                lost = np.expm1(-nu[j])
                r = dtype.type(1) + lost
                gamma[j] = np.sqrt(-lost * (two + lost))
                lam[0, j] = r * np.cos(turn[j])
                lam[1, j] = r * np.sin(turn[j])
            for row in range(2 + I):
                Er, Ei = E[n, row, 0], E[n, row, 1]
                xi = x[t, n, row - 2] if row > 1 else zero
                for j in range(H):
                    re = lam[0, j] * Er[j] - lam[1, j] * Ei[j]
                    Ei[j] = lam[0, j] * Ei[j] + lam[1, j] * Er[j]
                    Er[j] = re + gamma[j] * xi
            hr, hi = h[n, 0], h[n, 1]
            for j in range(H):
                E[n, 0, 0, j] += hr[j]
                E[n, 0, 1, j] += hi[j]
                E[n, 1, 0, j] += u[0, j]
                E[n, 1, 1, j] += u[1, j]
                re = lam[0, j] * hr[j] - lam[1, j] * hi[j] + gamma[j] * u[0, j]
                hi[j] = lam[0, j] * hi[j] + lam[1, j] * hr[j] + gamma[j] * u[1, j]
                hr[j] = re
            for part in range(2):
                for j in range(H):
                    a = h[n, part, j]
                    y[part, j] = max(a, zero) if relu else np.tanh(a)
            bias = phi[n, 2 * H * K :]
            k[:] = zero
            for o in range(K):
                W = phi[n, 2 * H * o : 2 * H * (o + 1)]
                out = bias[o]
                for part in range(2):
                    for j in range(H):
                        out += W[part * H + j] * y[part, j]
                error = out - target[t, n, o]
                loss[t, n] += weight[t, n] * error * error
                d[o] = two * weight[t, n] * error
                for part in range(2):
                    for j in range(H):
                        k[part, j] += d[o] * W[part * H + j]
            for part in range(2):
                for j in range(H):
                    yj = y[part, j]
                    if relu:
                        k[part, j] = k[part, j] if yj > zero else zero
                    else:
                        k[part, j] *= dtype.type(1) - yj * yj
            rate, s = lr[t, n], scale[:, t]
            mp, vp = phi_moments[0, n], phi_moments[1, n]
            for o in range(K):
                for part in range(2):
                    for j in range(H):
                        gy[part * H + j] = d[o] * y[part, j]
                span = slice(2 * H * o, 2 * H * (o + 1))
                adam(phi[n, span], mp[span], vp[span], gy, c, rate, s)
            last = slice(2 * H * K, 2 * H * K + K)
            adam(phi[n, last], mp[last], vp[last], d, c, rate, s)
            m, v = theta_moments[0, n], theta_moments[1, n]
            for j in range(H):
                kr, ki = k[0, j], k[1, j]
                lr_, li = lam[0, j], lam[1, j]
                by_re = kr * E[n, 0, 0, j] + ki * E[n, 0, 1, j]
                by_im = ki * E[n, 0, 0, j] - kr * E[n, 0, 1, j]
                by_gamma = kr * E[n, 1, 0, j] + ki * E[n, 1, 1, j]
                r2 = lr_ * lr_ + li * li
                g1[j] = nu[j] * (by_gamma * r2 / gamma[j] - lr_ * by_re - li * by_im)
                g2[j] = turn[j] * (lr_ * by_im - li * by_re)
            adam(nu_log, m[:H], v[:H], g1, c, rate, s)
            adam(theta_log, m[H : 2 * H], v[H : 2 * H], g2, c, rate, s)
            for i in range(I):
                Er, Ei = E[n, 2 + i, 0], E[n, 2 + i, 1]
                for j in range(H):
                    g1[j] = k[0, j] * Er[j] + k[1, j] * Ei[j]
                    g2[j] = k[1, j] * Er[j] - k[0, j] * Ei[j]
                first = slice((2 + i) * H, (3 + i) * H)
                second = slice((2 + I + i) * H, (3 + I + i) * H)
                adam(theta[n, first], m[first], v[first], g1, c, rate, s)
                adam(theta[n, second], m[second], v[second], g2, c, rate, s)
