"""Units of two numbers: what LRU, RTU and the block-diagonal network have in common.

A unit turns and shrinks a point of the plane. Where the turn is a rotation, the point is one
complex number h and the recurrence is linear and diagonal; in general it is a 2×2 block per unit,

    (a1, a2) = M (c1, c2) + p,      (c1', c2') = f(a1, a2),      M = [[m11, m12], [m21, m22]]

which is stored as diagonal (m11, m22) and cross (m12, m21), both (2, H), pairs c as (…, 2, H).
"""

import math
from typing import Literal

import torch
from torch import Tensor

from rlkit.memory.initial import check_hidden_size
from rlkit.memory.timescale import draw
from rlkit.options import ConfigError

Activation = Literal["linear", "relu", "tanh"]


def check_units(hidden_size: int, r_min: float, r_max: float, max_phase: float) -> None:
    """Refuses impossible widths and rings."""
    check_hidden_size(hidden_size)
    if not (0 <= r_min <= r_max <= 1 and r_min < 1 and r_max > 0):
        raise ConfigError(
            f"r_min, r_max are {r_min}, {r_max}, but must be 0 <= r_min <= r_max <= 1"
            " and leave room between 0 and 1"
        )
    if max_phase <= 0:
        raise ConfigError(f"max_phase is {max_phase}, but must be above 0")


def check_kind(kind: str, f: str) -> None:
    """Refuses unknown kinds of recurrence and activations."""
    if kind not in ("linear", "nonlinear"):
        raise ConfigError(f"kind is {kind!r}, but must be linear or nonlinear")
    if f not in ("relu", "tanh"):
        raise ConfigError(f"f is {f!r}, but must be relu or tanh")


def draw_ring(
    n: int, r_min: float, r_max: float, max_phase: float, steps: tuple[float, float] | None
) -> tuple[Tensor, Tensor]:
    """Initial nu_log and theta_log (n,) of λ = exp(-exp(nu_log) + i exp(theta_log)).

    Without time constants λ is uniform on the ring r_min ≤ |λ| ≤ r_max, with phases below
    max_phase. With them |λ| = exp(-1/T), T ~ U(steps), and phases per step are below 2π over the
    shortest T and below π: one seed draws the same decays per second at every dt, and the same
    frequencies where the shortest T is at least two steps.
    """
    if steps is None:
        u = torch.rand(n).clamp(1e-6, 1 - 1e-6)  # at 0 and 1 the derivatives are 0/0
        nu = -0.5 * torch.log(u * (r_max**2 - r_min**2) + r_min**2)
        return nu.log(), torch.log(max_phase * torch.rand(n).clamp(1e-6, 1 - 1e-6))
    nu_log = -draw(n, steps).log()
    theta = 2 * math.pi / steps[0] * torch.rand(n).clamp(1e-6, 1 - 1e-6)
    return nu_log, theta.clamp(max=0.999 * math.pi).log()


def eigenvalues(nu_log: Tensor, theta_log: Tensor) -> Tensor:
    """The complex numbers λ (H,); inside the unit circle for all parameters."""
    return torch.polar(torch.exp(-nu_log.exp()), theta_log.exp())


def lecun(I: int, H: int) -> Tensor:
    """Normal weights (I, H) of variance 1/I, cut at two standard deviations before scaling."""
    std = 1 / (0.87962566103423978 * math.sqrt(I))
    return torch.nn.init.trunc_normal_(torch.empty(I, H), std=std, a=-2 * std, b=2 * std)


def zeros(like: Tensor, B: int, H: int) -> tuple[Tensor, Tensor]:
    """The state before an episode."""
    return like.new_zeros(B, H), like.new_zeros(B, H)


def complex_linear(x: Tensor, re_HI: Tensor, im_HI: Tensor) -> Tensor:
    """(re + i im) x as complex numbers, in one real product."""
    weight = torch.stack((re_HI, im_HI), 1).flatten(0, 1)
    return torch.view_as_complex(torch.nn.functional.linear(x, weight).unflatten(-1, (-1, 2)))


def real_part(h: Tensor, re_OH: Tensor, im_OH: Tensor) -> Tensor:
    """Re((re + i im) h), in one real product."""
    weight = torch.stack((re_OH, -im_OH), -1).flatten(-2)
    return torch.nn.functional.linear(torch.view_as_real(h).flatten(-2), weight)


def rotation(lam: Tensor) -> tuple[Tensor, Tensor]:
    """The block [[g, -φ], [φ, g]] of λ = g + i φ as diagonal and cross."""
    return torch.stack((lam.real, lam.real)), torch.stack((-lam.imag, lam.imag))


def turn(diagonal: Tensor, cross: Tensor, c: Tensor) -> Tensor:
    """M c for pairs on the last axis but one."""
    return diagonal * c + cross * c.flip(-2)


def activate(f: Activation, a: Tensor) -> Tensor:
    """The activation itself."""
    return a if f == "linear" else torch.relu(a) if f == "relu" else torch.tanh(a)


def slope(f: Activation, c: Tensor) -> Tensor:
    """The slope f' at the pre-activation, from the activation c (not for the linear one)."""
    return (c > 0).to(c.dtype) if f == "relu" else 1 - c * c
