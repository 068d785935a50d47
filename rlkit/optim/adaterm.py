"""AdaTerm (Ilboudo, Kobayashi & Matsubara, 2023): moments of a student's t-distribution.

Per tensor one ν (degrees of freedom); the rest element by element. With the gradient G:

    s = (G - m)²,  v = c + e,  D = mean(s / v)                       how far G lies outside
    w = (ν + 1)/(ν + D),  w̄ = (ν + 1)/ν,  τ_i = (1 - β_i) w/w̄       outliers weigh less
    m ← (1 - τ₁) m + τ₁ G
    c ← (1 - τ₂) c + τ₂ s
    e ← (1 - τ₂) e + τ₂ max((s - D v)/ν, ε²)
    w_ν = w - ln w,  w̄_ν = max(w̄ - ln w̄, -ln tiny),  τ_ν = (1 - β_ν) w_ν/w̄_ν
    ν ← (1 - τ_ν) ν + τ_ν [((ν + 2)/(ν + 1) + ν) (1 - k/ν)/w_ν + k + ε]
    p ← p - lr m/(1 - β₁ᵗ) / √((c + e)/(1 - β₂ᵗ))

At first m = c = 0, e = ε², ν = k + ε: early gradients look like outliers, and the first 150 steps
or so hardly move. ν = ∞ (with β_ν = 1) is Adam's exponential mean of moments.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rlkit.options import ConfigError

TINY = torch.finfo(torch.float32).tiny


class AdaTerm:
    """One parameter, as `FlatParameters` makes it; see `RMSprop` for why it is no torch optimiser.

    Args:
        parameter: what is moved along its `.grad`.
        lr: step size.
        beta1: smoothing of the mean.
        beta2: smoothing of the scale.
        beta_nu: smoothing of ν; 1: ν stays.
        eps: its square is the least scale.
        k: the least ν.
        initial_nu: ν at first, if more than k + ε; may be infinite if beta_nu is 1.
        weight_decay: times the parameter, is added to the gradient.
        uncentered: divide by √(c + m² + e).
        amsgrad: 0: off; else the running maximum of c (or c + m²) is divided by, itself multiplied
            by this before each comparison (1: it never falls).
        adaptive_bias: 1 - βᵗ becomes a ← (1 - τ) a + τ, what was in fact averaged.
        sizes: lengths of the tensors laid end to end in `parameter`; None: one tensor.
    """

    def __init__(
        self,
        parameter: nn.Parameter,
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.9,
        beta_nu: float = 0.9,
        eps: float = 1e-5,
        k: float = 1.0,
        initial_nu: float = 0.0,
        weight_decay: float = 0.0,
        uncentered: bool = False,
        amsgrad: float = 0.0,
        adaptive_bias: bool = False,
        sizes: Sequence[int] | None = None,
    ):
        self.sizes = [parameter.numel()] if sizes is None else list(sizes)
        if sum(self.sizes) != parameter.numel():
            raise ConfigError(f"sizes {self.sizes} do not add up to {parameter.numel()} elements")
        for name, value in {"beta1": beta1, "beta2": beta2}.items():
            if not 0 <= value < 1:
                raise ConfigError(f"adaterm {name} is {value}, but must be a number in [0, 1)")
        for name, value in {"beta_nu": beta_nu, "amsgrad": amsgrad}.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"adaterm {name} is {value}, but must be a number in [0, 1]")
        for name, value in {"eps": eps, "k": k}.items():
            if not 0 < value < math.inf:
                raise ConfigError(f"adaterm {name} is {value}, but must be a number above 0")
        if math.isinf(initial_nu) and beta_nu != 1:
            raise ConfigError("adaterm initial_nu may only be infinite if beta_nu is 1")
        self.parameter, self.lr, self.eps = parameter, lr, eps
        self.beta1, self.beta2, self.beta_nu, self.k = beta1, beta2, beta_nu, k
        self.weight_decay, self.uncentered = weight_decay, uncentered
        self.amsgrad, self.adaptive_bias = amsgrad, adaptive_bias
        self.counts = torch.tensor(self.sizes, device=parameter.device)
        self.steps = 0
        self.m, self.c = torch.zeros_like(parameter), torch.zeros_like(parameter)
        self.e = torch.full_like(parameter, eps**2, requires_grad=False)
        self.largest = torch.zeros_like(parameter)
        self.nu = parameter.detach().new_full((len(self.sizes),), max(k + eps, initial_nu))
        self.averaged = self.nu.new_zeros(2, len(self.sizes))

    @torch.no_grad()
    def step(self) -> None:
        p, m, nu = self.parameter, self.m, self.nu
        assert p.grad is not None, "step needs a gradient"
        grad = p.grad + self.weight_decay * p
        self.steps += 1
        s, v = (grad - m).square(), self.c + self.e
        D = torch.stack([r.mean() for r in (s / v).split(self.sizes)])
        ratio = 1 / (1 + D / nu)  # w/w̄, finite at ν = ∞ too
        tau1, tau2 = (1 - self.beta1) * ratio, (1 - self.beta2) * ratio
        t2 = self._spread(tau2)
        gap = ((s - self._spread(D) * v) / self._spread(nu)).clamp_min(self.eps**2)
        m.lerp_(grad, self._spread(tau1))
        self.c.lerp_(s, t2)
        self.e.lerp_(gap, t2)
        if self.beta_nu < 1:
            self.nu = self._next_nu(nu, D)
        scale = self.c + m.square() if self.uncentered else self.c
        if self.amsgrad:
            scale = torch.maximum(self.largest.mul_(self.amsgrad), scale, out=self.largest)
        if self.adaptive_bias:
            self.averaged.lerp_(torch.ones_like(self.averaged), torch.stack((tau1, tau2)))
            a1, a2 = map(self._spread, self.averaged)
            p.addcdiv_(m / a1, ((scale + self.e) / a2).sqrt(), value=-self.lr)
        else:
            rate = self.lr / (1 - self.beta1**self.steps)
            shrink = 1 - self.beta2**self.steps
            p.addcdiv_(m, ((scale + self.e) / shrink).sqrt_(), value=-rate)

    def _spread(self, per_tensor: Tensor) -> Tensor:
        """Each tensor's number at each of its elements."""
        if len(self.sizes) == 1:
            return per_tensor
        return per_tensor.repeat_interleave(self.counts, output_size=self.m.numel())

    def _next_nu(self, nu: Tensor, D: Tensor) -> Tensor:
        w, most = (nu + 1) / (nu + D), (nu + 1) / nu
        w_nu = w - w.clamp_min(TINY).log()
        tau = (1 - self.beta_nu) * w_nu / (most - most.log()).clamp_min(-math.log(TINY))
        aim = ((nu + 2) / (nu + 1) + nu) / w_nu * (1 - self.k / nu) + self.k + self.eps
        return (1 - tau) * nu + tau * aim

    def state_dict(self) -> dict[str, Any]:
        kept = ("m", "c", "e", "largest", "nu", "averaged")
        return {"steps": self.steps} | {name: getattr(self, name) for name in kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        for name in ("m", "c", "e", "largest", "nu", "averaged"):
            getattr(self, name).copy_(state[name])
