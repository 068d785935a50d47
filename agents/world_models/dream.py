"""The dream: the dynamics played as an environment, many episodes at once.

    z_0 ~ N(μ, σ) of a first code from the bank of recorded ones
    w, μ, σ, r̂, l = mdn(h_t)        h_t = memory([a_t, z_t])
    z_{t+1}: a component is drawn by logits / τ; its mean, or that plus σ √τ ε
    reward r̂; the episode ends when l > 0

Each episode draws from a stream of its own, so that it is the same whatever is dreamt beside it.

Shapes: B episodes, Z latents, A action.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.world_models.dynamics import Dynamics
from rlkit.noise import EpisodeDraws
from rlkit.run.player import ROWS

if TYPE_CHECKING:
    from agents.world_models.agent import WorldModels


class Dream:
    """Episodes of the model.

    Args:
        dynamics: predicts.
        temperature: τ, above 0.
        noise: add σ √τ ε to the mean of a component.
    """

    def __init__(self, dynamics: Dynamics, temperature: float, noise: bool):
        self.dynamics, self.temperature, self.noise = dynamics, temperature, noise

    def reset(self, seeds: Sequence[int], first_Z: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """First codes (B, Z), of the bank or given, and memory outputs (B, H) before, all zero."""
        B, memory, M = len(seeds), self.dynamics.memory, self.dynamics
        self.draws = EpisodeDraws(seeds)
        choice_B1, normal_BZ = self._draw()
        index_B = (choice_B1[:, 0] * len(M.bank_mean)).long()
        self.z_BZ = M.bank_mean[index_B] + M.bank_std[index_B] * normal_BZ
        if first_Z is not None:
            self.z_BZ = first_Z.expand(B, -1)
        self.state = memory.initial_state(B)
        self.start_B = torch.ones(B, dtype=torch.bool)
        return self.z_BZ, self.z_BZ.new_zeros(B, memory.output_size)

    def step(self, action_BA: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Next codes, memory outputs, reward rates and whether the episodes end (B,).

        Whoever goes on with an ended episode must not count it.
        """
        choice, normal_BZ = self._draw()
        y_BH, self.state = self.dynamics.step(self.z_BZ, action_BA, self.state, self.start_B)
        self.start_B = torch.zeros_like(self.start_B)
        p = self.dynamics.mdn(y_BH)
        self.z_BZ = p.sample(choice, normal_BZ if self.noise else None, self.temperature)
        return self.z_BZ, y_BH, p.reward, p.terminal > 0

    def _draw(self) -> tuple[Tensor, Tensor]:
        """Uniform numbers that choose, (B, 1 or Z), and normal ones (B, Z)."""
        n, Z = self.dynamics.mdn.weight_shape[1], self.dynamics.Z
        choice, u_BZ = self.draws.uniform((len(self.draws.rngs), n + Z)).split([n, Z], dim=1)
        return choice, 2**0.5 * torch.erfinv((2 * u_BZ - 1).clamp(-1 + 2**-23, 1 - 2**-23))


def play_dreams(
    agent: "WorldModels", parameters_NP: Tensor, seeds: Sequence[int], steps: int
) -> NDArray[np.float64]:
    """One dream per controller, of so many steps at most.

    Returns:
        (N, 3): sum of reward rates, length, and steps of the environment, which are none.
    """
    N = len(seeds)
    spare = -N % ROWS  # how a product rounds depends on the number of rows
    parameters_NP = torch.cat((parameters_NP, parameters_NP[:1].expand(spare, -1)))
    dream = agent.make_dream()
    z, y = dream.reset([*seeds, *[seeds[0]] * spare])
    result, going = np.zeros((N + spare, 3)), np.ones(N + spare, bool)
    for _ in range(steps):
        action = agent.controller(agent.features(z, y), parameters_NP)
        z, y, reward, ends = dream.step(action)
        result[going, 0] += reward.double().numpy()[going]
        result[going, 1] += 1
        going &= ~ends.numpy()
        if not going.any():
            break
    return result[:N]
