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

from rlkit.gradients.fused import Fused, compiled, emitted, moved
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

    def learn(self, batch: Sequences, lr_TN: np.ndarray) -> tuple[Tensor, Tensor]:
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
            loss = np.zeros((T, LANES), self.dtype)
            _steps(
                params,
                self.moments[g],
                self.h[g],
                in_lanes(x[:, own].swapaxes(1, 2)).reshape(-1, LANES),
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
        return torch.from_numpy(loss_TN), torch.empty(*loss_TN.shape, 0)


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


@emitted
def _dot(
    typing: Any,
    out: Any,
    j: Any,
    C: Any,
    c: Any,
    A: Any,
    a: Any,
    da: Any,
    B: Any,
    b: Any,
    db: Any,
    n: Any,
) -> Any:
    """out[j] = C[c] + Σ_k A[a + k da] B[b + k db], over n rows of LANES numbers.

    Each row is one vector, and the sum stays in a register; the compiler does not find this itself.
    """
    from llvmlite import ir  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from numba.core import cgutils, types

    kind = out

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, j, C, c, A, a, da, B, b, db, n = args

        def row(array: Any, at: Any) -> Any:
            data = context.make_array(kind)(context, builder, array).data
            lanes = ir.VectorType(data.type.pointee, LANES)
            return builder.gep(builder.bitcast(data, lanes.as_pointer()), [at])

        def load(array: Any, at: Any) -> Any:
            return builder.load(row(array, at), align=4)

        total = cgutils.alloca_once_value(builder, load(C, c))
        with cgutils.for_range(builder, n) as loop:
            left = load(A, builder.add(a, builder.mul(loop.index, da)))
            right = load(B, builder.add(b, builder.mul(loop.index, db)))
            product = builder.fmul(left, right, flags=["fast"])
            builder.store(builder.fadd(builder.load(total), product, flags=["fast"]), total)
        builder.store(builder.load(total), row(out, j), align=4)
        return context.get_dummy_value()

    i = types.intp
    return types.void(kind, i, kind, i, kind, i, i, kind, i, i, i), generate


@compiled
def _steps(
    params: Any,
    moments: Any,
    h: Any,
    x: Any,
    start: Any,
    target: Any,
    weight: Any,
    lr: Any,
    scale: Any,
    c: Any,
    L: int,
    loss: Any,
) -> None:
    T, H, K = len(lr), len(h), target.shape[1]
    I = len(x) // len(start)
    P = len(params)
    W_i, W_h, b_i, b_h = 0, 3 * H * I, 3 * H * (I + H), 3 * H * (I + H + 1)
    W_o, b_o = 3 * H * (I + H + 2), 3 * H * (I + H + 2) + H * K
    dtype = params.dtype
    zero, one, two = dtype.type(0), dtype.type(1), dtype.type(2)
    a = np.empty((3 * H, LANES), dtype)
    gates = np.empty((L * 4 * H, LANES), dtype)  # r, z, W_hn h + b_hn, n
    d = np.empty((L * 4 * H, LANES), dtype)  # by the sums within r, z, n_h, n
    states = np.empty((L * H + H, LANES), dtype)  # before and after every step
    k, k_before = np.empty((H, LANES), dtype), np.empty((H, LANES), dtype)
    g = np.empty((P, LANES), dtype)
    out, d_out = np.empty((1, LANES), dtype), np.empty((K, LANES), dtype)
    rate, root = np.empty((1, LANES), dtype), np.sqrt(scale[1])
    nil, ones = np.zeros((1, LANES), dtype), np.ones((1, LANES), dtype)
    flat_g, m, v = g.reshape(-1), moments[0].reshape(-1), moments[1].reshape(-1)
    for t in range(T):
        states[:H] = h
        for s in range(L):
            u, e, f = t + s, s * H, s * 4 * H
            if start[u].any():
                for j in range(H):
                    for l in range(LANES):
                        states[e + j, l] = zero if start[u, l] else states[e + j, l]
            for o in range(3 * H):
                _dot(a, o, params, b_i + o, params, W_i + o * I, 1, x, u * I, 1, I)
                _dot(gates, f + o, params, b_h + o, params, W_h + o * H, 1, states, e, 1, H)
            for j in range(H):
                for l in range(LANES):
                    r = one / (two + _expm1(-a[j, l] - gates[f + j, l], dtype))
                    z = one / (two + _expm1(-a[H + j, l] - gates[f + H + j, l], dtype))
                    q = _expm1(two * (a[2 * H + j, l] + r * gates[f + 2 * H + j, l]), dtype)
                    n = q / (two + q)
                    gates[f + j, l], gates[f + H + j, l], gates[f + 3 * H + j, l] = r, z, n
                    states[e + H + j, l] = n + z * (states[e + j, l] - n)
            if s == 0:
                h[:] = states[H : 2 * H]
        k[:] = zero
        for o in range(K):
            _dot(out, 0, params, b_o + o, params, W_o + o * H, 1, states, L * H, 1, H)
            for l in range(LANES):
                error = out[0, l] - target[t, o, l]
                loss[t, l] += weight[t, l] * error * error
                d_out[o, l] = two * weight[t, l] * error
                g[b_o + o, l] = d_out[o, l]
            for j in range(H):
                _dot(g, W_o + o * H + j, nil, 0, d_out, o, 0, states, L * H + j, 0, 1)
                _dot(k, j, k, j, d_out, o, 0, params, W_o + o * H + j, 0, 1)
        for s in range(L - 1, -1, -1):
            u, e, f = t + s, s * H, s * 4 * H
            for j in range(H):
                for l in range(LANES):
                    r, z, n = gates[f + j, l], gates[f + H + j, l], gates[f + 3 * H + j, l]
                    to_n = k[j, l] * (one - z) * (one - n * n)
                    d[f + j, l] = to_n * gates[f + 2 * H + j, l] * r * (one - r)
                    d[f + H + j, l] = k[j, l] * (states[e + j, l] - n) * z * (one - z)
                    d[f + 2 * H + j, l] = to_n * r
                    d[f + 3 * H + j, l] = to_n
                    k_before[j, l] = k[j, l] * z
            for j in range(H):
                _dot(k, j, k_before, j, params, W_h + j, H, d, f, 1, 3 * H)
            if start[u].any():
                for j in range(H):
                    for l in range(LANES):
                        k[j, l] = zero if start[u, l] else k[j, l]
        for o in range(3 * H):
            o_i = o if o < 2 * H else o + H
            for i in range(I):
                _dot(g, W_i + o * I + i, nil, 0, d, o_i, 4 * H, x, t * I + i, I, L)
            for j in range(H):
                _dot(g, W_h + o * H + j, nil, 0, d, o, 4 * H, states, j, H, L)
            _dot(g, b_i + o, nil, 0, d, o_i, 4 * H, ones, 0, 0, L)
            _dot(g, b_h + o, nil, 0, d, o, 4 * H, ones, 0, 0, L)
        for l in range(LANES):
            rate[0, l] = -lr[t, l] * scale[0, t]
        for p in range(P * LANES):
            m[p], v[p], flat_g[p] = moved(m[p], v[p], flat_g[p], c, root[t])
        for p in range(P):
            _dot(params, p, params, p, g, p, 0, rate, 0, 0, 1)
