"""The controller C: one linear layer, whose weights an evolution strategy finds (CMA-ES).

    u = W [z, h] + b        inputs z, h or both; at first W = b = 0
    tanh    a = tanh u;                 rectified components (a brake): 2 max(tanh u, 0) - 1
    clip    a = clip(u, -1, 1);         one-sided components (gas, brake): 2 clip(u, 0, 1) - 1
    discrete actions: the arg max of u

Actions are in [-1, 1], where -1 of a one-sided component is none. One-sided components are all
rectified unless said otherwise, so that u = 0 does nothing; `tanh` with the brake alone rectified
is Ha & Schmidhuber's, `clip` is what Tallec's environment made of unsquashed outputs.

Shapes: B batch, F features, A action, P parameters, N members.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rlkit.options import ConfigError
from rlkit.types import Tree


class Controller(nn.Module):
    """Its parameters are a buffer: they have no gradient.

    Args:
        features: F.
        actions: A; components, or number of discrete actions.
        discrete: which of the two.
        squash: see above.
        one_sided: components.
        rectified: components.

    Raises:
        ConfigError: a component that the action does not have.
    """

    parameters_P: Tensor

    def __init__(
        self,
        features: int,
        actions: int,
        discrete: bool,
        squash: Literal["tanh", "clip"],
        one_sided: Sequence[int],
        rectified: Sequence[int],
    ):
        super().__init__()
        for name, given in (("one_sided", one_sided), ("rectified", rectified)):
            if not discrete and any(i >= actions for i in given):
                raise ConfigError(
                    f"agent.{name} is {list(given)}, but the action has {actions} components,"
                    f" counted from 0 (for another environment give agent.{name}=[])"
                )
        self.F, self.A, self.discrete, self.squash = features, actions, discrete, squash
        self.one_sided, self.rectified = list(one_sided), list(rectified)
        self.size = actions * (features + 1)
        self.register_buffer("parameters_P", torch.zeros(self.size))

    def forward(self, x_BF: Tensor, parameters_BP: Tensor) -> Tensor:
        """Actions (B, A) or (B,), each row by parameters of its own."""
        W_BAF = parameters_BP[:, : self.A * self.F].view(-1, self.A, self.F)
        u_BA = torch.einsum("baf,bf->ba", W_BAF, x_BF) + parameters_BP[:, self.A * self.F :]
        if self.discrete:
            if u_BA.isnan().any():  # arg max would take it for the greatest
                raise ConfigError("the controller's output is NaN, which is not finite")
            return u_BA.argmax(-1)
        if self.squash == "clip":
            return self.clip(u_BA)
        a_BA = u_BA.tanh()
        if self.rectified:
            a_BA[:, self.rectified] = 2 * a_BA[:, self.rectified].clamp(min=0) - 1
        return a_BA

    def clip(self, u_BA: Tensor) -> Tensor:
        a_BA = u_BA.clamp(-1, 1)
        if self.one_sided:
            a_BA[:, self.one_sided] = 2 * a_BA[:, self.one_sided].clamp(min=0) - 1
        return a_BA

    def wander(self, seed: int, variance: float) -> Iterator[NDArray[Any]]:
        """Actions whose u is a Brownian motion, reflected by nothing: clipped (Tallec 2019, 7.1.2).

        Args:
            seed: of the episode.
            variance: of a step, per component.
        """
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0x77616E,)))
        low = np.full(self.A, -1.0)
        if not self.discrete:
            low[self.one_sided] = 0.0
        u_A = rng.uniform(low, 1.0)
        while True:
            if self.discrete:
                yield np.array(u_A.argmax(), dtype=np.int64)
            else:
                yield self.clip(torch.from_numpy(u_A).float()[None])[0].numpy()
            u_A = np.clip(u_A + math.sqrt(variance) * rng.standard_normal(self.A), low, 1.0)


class Strategy:
    """CMA-ES (Hansen & Ostermeier, 2001; package `cma`) with a generator of its own.

    What it has been told determines it: a checkpoint holds the costs, not the matrices, and to take
    one up is to go through the generations again (tens of milliseconds each).

    Args:
        size: P.
        members: N, of a generation.
        sigma: standard deviation at first, around 0.
        seed: of its draws.
    """

    def __init__(self, size: int, members: int, sigma: float, seed: int):
        self.members = members
        self._begin(np.zeros(size), sigma, seed)

    def _begin(self, start_P: NDArray[np.float64], sigma: float, seed: int) -> None:
        import cma

        self.start = {"mean": start_P, "sigma": sigma, "seed": seed}
        self.told: list[NDArray[np.float64]] = []
        draw = np.random.default_rng(seed)
        options = {
            "popsize": self.members,
            "randn": lambda *shape: draw.standard_normal(shape),
            "seed": np.nan,  # it would seed NumPy's global generator
            "verbose": -9,
        }
        self.cma = cma.CMAEvolutionStrategy(start_P, sigma, options)

    def ask(self) -> NDArray[np.float64]:
        """A generation (N, P)."""
        return np.stack(self.cma.ask())

    def tell(self, members_NP: NDArray[np.float64], cost_N: NDArray[np.float64]) -> None:
        """What they cost; less is better."""
        self.cma.tell(list(members_NP), cost_N.tolist())
        self.told.append(np.array(cost_N, np.float64))

    @property
    def mean(self) -> NDArray[np.float64]:
        return np.array(self.cma.mean)

    @property
    def sigma(self) -> float:
        return float(self.cma.sigma)

    def get_state(self) -> Tree:
        told = np.stack(self.told) if self.told else np.zeros((0, self.members))
        return {"start": self.start, "told": told, "mean": self.mean, "sigma": self.sigma}

    def set_state(self, state: Tree) -> None:
        """Goes through the generations again; on another kind of processor they may differ."""
        start = state["start"]
        self._begin(start["mean"], start["sigma"], start["seed"])
        for cost_N in state["told"]:
            self.tell(self.ask(), cost_N)
        if not np.allclose(self.mean, state["mean"], rtol=1e-6, atol=1e-9):
            warnings.warn(
                "this machine does not repeat the strategy's arithmetic: it goes on from the mean"
                " and step size it had, with the covariance of a new one",
                stacklevel=2,
            )
            self._begin(state["mean"], state["sigma"], start["seed"] + len(state["told"]))
