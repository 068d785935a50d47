"""Unbiased online recurrent optimisation (Tallec & Ollivier, 2018; Tallec 2019, Algorithm 1).

E[s̃ ⊗ θ̃] = ∂s/∂θ. With s' = F(x, s, θ), of T inputs (memory T), and the loss ℓ(x, s, θ) of them

    g̃  = (∂ℓ/∂s · s̃) θ̃ + ∂ℓ/∂θ
    s̃' = ρ0 (∂F/∂s s̃) + ρ1 ν           ν random signs
    θ̃' = θ̃ / ρ0 + (νᵀ ∂F/∂θ) / ρ1
    ρ0 = √(‖θ̃‖ / (‖∂F/∂s s̃‖ + ε)) + ε,   ρ1 = √(‖νᵀ ∂F/∂θ‖ / (‖ν‖ + ε)) + ε,   ε = 1e-7

Rank r keeps r pairs and takes the mean of their g̃. Every stream has pairs of its own.

Shapes: L streams of all agents, R rank, S state, P parameters.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rlkit.gradients.base import Carry, Estimate, Estimator, LossOf, Params
from rlkit.gradients.streams import Streams, norm
from rlkit.options import option

EPS = 1e-7


@dataclass(frozen=True)
class UOROOptions:
    rank: int = option("pairs that are averaged", low=1)
    memory_steps: int = option("T, inputs through which the gradient is exact", unit="steps", low=1)
    tangent: Literal["exact", "finite_differences"] = option(
        "how ∂F/∂s s̃ is found; differences are cheaper and slightly biased"
    )


class UORO(Estimator):
    """Carries a random product of a state and a parameter vector forward."""

    options: UOROOptions

    def begin(self, params: Params, B: int) -> Carry:
        theta_NP, R = params["memory"], self.options.rank
        L = len(theta_NP) * B
        s_tilde = theta_NP.new_zeros(L, R, self.cell.state_size)
        theta_tilde = theta_NP.new_zeros(L, R, self.cell.size)
        return {**super().begin(params, B), "s_tilde": s_tilde, "theta_tilde": theta_tilde}

    def chunk_steps(self, carry: Carry) -> int:
        return self.options.memory_steps

    def observe(
        self, params: Params, carry: Carry, x_TNBI: Tensor, start_TNB: Tensor, loss_of: LossOf
    ) -> Estimate:
        s_LRS, theta_LRP = carry["s_tilde"], carry["theta_tilde"]
        exact = self.options.tangent == "exact"
        given = params, carry["state"], x_TNBI, start_TNB, loss_of
        at = Streams(self.cell, *given, tangents_LRS=None if exact else s_LRS)
        along_L1R = at.by_state_L1S @ s_LRS.mT
        grads = at.gradients(along_L1R, theta_LRP, 1 / self.options.rank)
        ahead_LRS = at.push_state(s_LRS) if exact else at.differences()
        half = torch.empty_like(s_LRS).bernoulli_(0.5, generator=self.generator)
        sign_LRS = half.mul_(2).sub_(1)
        back = [at.point.pull(sign_L1S, at.after) for sign_L1S in sign_LRS.split(1, 1)]
        pair = reduced(ahead_LRS, theta_LRP, sign_LRS, torch.stack(back, 1))
        kept = {"state": at.state(), "s_tilde": pair[0], "theta_tilde": pair[1]}
        return Estimate(at.loss_N, grads, kept)


def reduced(
    ahead_LRS: Tensor, theta_LRP: Tensor, sign_LRS: Tensor, back_LRP: Tensor
) -> tuple[Tensor, Tensor]:
    """Two products become one."""
    rho0 = (norm(theta_LRP) / (norm(ahead_LRS) + EPS)).sqrt() + EPS
    rho1 = (norm(back_LRP) / (sign_LRS.shape[-1] ** 0.5 + EPS)).sqrt() + EPS
    theta = torch.addcdiv(theta_LRP / rho0, back_LRP, rho1)
    return rho0 * ahead_LRS + rho1 * sign_LRS, theta
