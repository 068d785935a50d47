"""Sliding TBPTT of a GRU, squared loss and Adam as one compiled loop (numba, an optional extra).

What `tbptt.py`, `rlkit/memory/gru.py`, a linear readout and Adam do is done here input by input for
16 agents at once: agents are the last axis of every array, and a loop over them is one instruction.
The numbers are equal up to rounding. The window is full from the first input on: what lies before
that is cut off by its start.

Shapes: N agents, L window, T time, I input, H units, K outputs; one stream an agent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlkit.gradients.fused import Fused, compiled, moved
from rlkit.types import Sequences

LANES = 16


class FusedTBPTT(Fused):
    """Holds windows, states before them and moments of N agents.

    Args:
        params: rows of "memory" (W_i, W_h, b_i, b_h) and "readout" (W, b); moved in place.
        sizes: I, H, K.
        length: L.
        adam: beta1, beta2, eps.

    Raises:
        ConfigError: numba is not installed.
    """

    def __init__(
        self,
        params: Mapping[str, Tensor],
        sizes: tuple[int, int, int],
        length: int,
        adam: Mapping[str, float],
    ):
        super().__init__(params, adam)
        I, H, _ = sizes
        N, P = self.theta.shape
        self.groups = [slice(n, min(n + LANES, N)) for n in range(0, N, LANES)]
        G, rows = len(self.groups), P + self.phi.shape[1]
        self.h = np.zeros((G, H, LANES), self.dtype)
        self.moments = np.zeros((G, 2, rows, LANES), self.dtype)
        self.x = np.zeros((length - 1, N, I), self.dtype)
        self.start = np.zeros((length - 1, N), bool)
        self.arrays = [self.h, self.moments, self.x, self.start]

    def learn(self, batch: Sequences, lr_TN: np.ndarray) -> Tensor:
        T, old = len(batch.x_TNBI), len(self.x)
        first = self.steps == 0
        scale_2T = self.count(T)
        x, target, weight, start = self.one_stream(batch)
        x, start = np.concatenate((self.x, x)), np.concatenate((self.start, start))
        start[old] |= first
        self.x[:], self.start[:] = x[T:], start[T:]
        loss_TN = np.zeros((T, x.shape[1]), self.dtype)
        for g, own in enumerate(self.groups):
            params = in_lanes(np.concatenate((self.theta[own], self.phi[own]), 1).T)
            x_g = in_lanes(x[:, own].swapaxes(1, 2))
            step, i = np.nonzero(np.any(x_g, -1))
            loss = np.zeros((T, LANES), self.dtype)
            _steps(
                params,
                self.moments[g],
                self.h[g],
                x_g,
                i,
                np.searchsorted(step, np.arange(len(x) + 1)),
                in_lanes(start[:, own]),
                in_lanes(target[:, own].swapaxes(1, 2)),
                in_lanes(weight[:, own]),
                in_lanes(lr_TN[:, own].astype(self.dtype)),
                scale_2T,
                self.constants,
                old + 1,
                loss,
            )
            n = own.stop - own.start
            self.theta[own] = params[: self.theta.shape[1], :n].T
            self.phi[own] = params[self.theta.shape[1] :, :n].T
            loss_TN[:, own] = loss[:, :n]
        return torch.from_numpy(loss_TN)


def in_lanes(a: np.ndarray) -> np.ndarray:
    """Zeros after the last agent."""
    wide = np.zeros((*a.shape[:-1], LANES), a.dtype)
    wide[..., : a.shape[-1]] = a
    return wide


@compiled
def _expm1(x: Any, dtype: Any) -> Any:
    """exp(x) - 1 = 2^k (exp(r) - 1) + 2^k - 1, within a rounding; x is cut at ±80."""
    x = min(max(x, dtype.type(-80)), dtype.type(80))
    k = np.floor(x * dtype.type(1.4426950408889634) + dtype.type(0.5))
    r = x - k * dtype.type(0.6931471805599453)
    p = dtype.type(1 / 6227020800)
    p = p * r + dtype.type(1 / 479001600)
    p = p * r + dtype.type(1 / 39916800)
    p = p * r + dtype.type(1 / 3628800)
    p = p * r + dtype.type(1 / 362880)
    p = p * r + dtype.type(1 / 40320)
    p = p * r + dtype.type(1 / 5040)
    p = p * r + dtype.type(1 / 720)
    p = p * r + dtype.type(1 / 120)
    p = p * r + dtype.type(1 / 24)
    p = p * r + dtype.type(1 / 6)
    p = p * r + dtype.type(1 / 2)
    p = p * r + dtype.type(1)
    power = dtype.type(np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32))
    return power * (p * r) + (power - dtype.type(1))


@compiled
def _add_dot(out: Any, j: int, A: Any, a: int, da: int, B: Any, b: int, db: int, n: int) -> None:
    """out[j] += Σ_k A[a + k da] B[b + k db], n terms."""
    k = 0
    while k + 4 <= n:
        for l in range(LANES):
            out[j, l] += (
                A[a, l] * B[b, l]
                + A[a + da, l] * B[b + db, l]
                + A[a + 2 * da, l] * B[b + 2 * db, l]
                + A[a + 3 * da, l] * B[b + 3 * db, l]
            )
        a, b, k = a + 4 * da, b + 4 * db, k + 4
    while k < n:
        for l in range(LANES):
            out[j, l] += A[a, l] * B[b, l]
        a, b, k = a + da, b + db, k + 1


@compiled
def _steps(
    params: Any,
    moments: Any,
    h: Any,
    x: Any,
    active: Any,
    first: Any,
    start: Any,
    target: Any,
    weight: Any,
    lr: Any,
    scale: Any,
    c: Any,
    L: int,
    loss: Any,
) -> None:
    T, I, H, K = len(lr), x.shape[1], len(h), target.shape[1]
    P = len(params)
    W_i, W_h, b_i, b_h = 0, 3 * H * I, 3 * H * (I + H), 3 * H * (I + H + 1)
    W_o, b_o = 3 * H * (I + H + 2), 3 * H * (I + H + 2) + H * K
    dtype = params.dtype
    zero, one, two = dtype.type(0), dtype.type(1), dtype.type(2)
    a = np.empty((3 * H, LANES), dtype)
    gates = np.empty((L * 4 * H, LANES), dtype)  # r, z, W_hn h + b_hn, n
    d = np.empty((L * 4 * H, LANES), dtype)  # by the sums within r, z, n_h, n
    before = np.empty((L * H, LANES), dtype)  # h
    after = np.empty((H, LANES), dtype)
    k, k_before = np.empty((H, LANES), dtype), np.empty((H, LANES), dtype)
    g = np.empty((P, LANES), dtype)
    out, d_out = np.empty((1, LANES), dtype), np.empty((K, LANES), dtype)
    rate, root = np.empty(LANES, dtype), np.sqrt(scale[1])
    for t in range(T):
        after[:] = h
        for s in range(L):
            u, e = t + s, s * H
            for j in range(H):
                for l in range(LANES):
                    before[e + j, l] = zero if start[u, l] else after[j, l]
            for o in range(3 * H):
                f = s * 4 * H + o
                for l in range(LANES):
                    gates[f, l] = params[b_h + o, l]
                    a[o, l] = params[b_i + o, l]
                _add_dot(gates, f, params, W_h + o * H, 1, before, e, 1, H)
            for q in range(first[u], first[u + 1]):
                i = active[q]
                for o in range(3 * H):
                    for l in range(LANES):
                        a[o, l] += params[W_i + o * I + i, l] * x[u, i, l]
            for j in range(H):
                f = s * 4 * H + j
                for l in range(LANES):
                    r = one / (two + _expm1(-a[j, l] - gates[f, l], dtype))
                    z = one / (two + _expm1(-a[H + j, l] - gates[f + H, l], dtype))
                    m = _expm1(two * (a[2 * H + j, l] + r * gates[f + 2 * H, l]), dtype)
                    n = m / (two + m)
                    gates[f, l], gates[f + H, l], gates[f + 3 * H, l] = r, z, n
                    after[j, l] = n + z * (before[e + j, l] - n)
            if s == 0:
                h[:] = after
        g[:] = zero
        k[:] = zero
        for o in range(K):
            out[0] = params[b_o + o]
            _add_dot(out, 0, params, W_o + o * H, 1, after, 0, 1, H)
            for l in range(LANES):
                error = out[0, l] - target[t, o, l]
                loss[t, l] += weight[t, l] * error * error
                d_out[o, l] = two * weight[t, l] * error
                g[b_o + o, l] = d_out[o, l]
            for j in range(H):
                for l in range(LANES):
                    g[W_o + o * H + j, l] = d_out[o, l] * after[j, l]
                    k[j, l] += d_out[o, l] * params[W_o + o * H + j, l]
        for s in range(L - 1, -1, -1):
            u, e = t + s, s * H
            for j in range(H):
                f = s * 4 * H + j
                for l in range(LANES):
                    r, z, n_h, n = (
                        gates[f, l],
                        gates[f + H, l],
                        gates[f + 2 * H, l],
                        gates[f + 3 * H, l],
                    )
                    to_n = k[j, l] * (one - z) * (one - n * n)
                    d[f, l] = to_n * n_h * r * (one - r)
                    d[f + H, l] = k[j, l] * (before[e + j, l] - n) * z * (one - z)
                    d[f + 2 * H, l] = to_n * r
                    d[f + 3 * H, l] = to_n
                    k_before[j, l] = k[j, l] * z
            for j in range(H):
                _add_dot(k_before, j, params, W_h + j, H, d, s * 4 * H, 1, 3 * H)
                for l in range(LANES):
                    k[j, l] = zero if start[u, l] else k_before[j, l]
            for o in range(3 * H):
                f = s * 4 * H + o
                f_i = f if o < 2 * H else f + H
                for l in range(LANES):
                    g[b_h + o, l] += d[f, l]
                    g[b_i + o, l] += d[f_i, l]
                for q in range(first[u], first[u + 1]):
                    i = active[q]
                    for l in range(LANES):
                        g[W_i + o * I + i, l] += d[f_i, l] * x[u, i, l]
        for o in range(3 * H):
            for j in range(H):
                _add_dot(g, W_h + o * H + j, d, o, 4 * H, before, j, H, L)
        for l in range(LANES):
            rate[l] = lr[t, l] * scale[0, t]
        m, v = moments[0], moments[1]
        for p in range(P):
            for l in range(LANES):
                params[p, l], m[p, l], v[p, l] = moved(
                    params[p, l], m[p, l], v[p, l], g[p, l], c, rate[l], root[t]
                )
