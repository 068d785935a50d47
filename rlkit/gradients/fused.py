"""What the compiled loops share: numba, an optional extra, and Adam.

Shapes: N agents, T time, I input, H units, K outputs; one stream an agent.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from rlkit.options import ConfigError
from rlkit.types import Sequences, Tree

njit: Any
try:
    from numba import njit  # type: ignore[import-not-found,import-untyped,no-redef,unused-ignore]
    from numba.extending import intrinsic  # type: ignore[import-not-found,import-untyped,unused-ignore]
except ModuleNotFoundError:
    njit = None


def compiled(function: Any) -> Any:
    """By numba at its first call; without numba as it is, never to be called."""
    return (
        function if njit is None else njit(fastmath=True, error_model="numpy", cache=True)(function)
    )


def emitted(function: Any) -> Any:
    """Likewise a function that writes its own instructions."""
    return function if njit is None else intrinsic(function)


class Fused:
    """Memory, linear readout, loss and Adam of N agents; write `learn`.

    Args:
        params: rows of "memory" and "readout" (W, b); moved in place.
        adam: beta1, beta2, eps.

    Attributes:
        T: inputs of a chunk, after which it updates.
        arrays: all that it remembers; written in place.

    Raises:
        ConfigError: numba is not installed.
    """

    T = 1
    arrays: list[np.ndarray]

    def __init__(self, params: Mapping[str, Tensor], adam: Mapping[str, float]):
        if njit is None:
            raise ConfigError(
                "agent.kernel=numba needs numba: python -m pip install numba, or agent.kernel=torch"
            )
        self.theta, self.phi = (params[name].numpy() for name in ("memory", "readout"))
        self.steps, self.dtype = 0, self.theta.dtype
        b1, b2 = self.betas = adam["beta1"], adam["beta2"]
        self.constants = np.array([b1, b2, 1 - b1, 1 - b2, adam["eps"]], self.dtype)

    def learn(self, batch: Sequences, lr_TN: np.ndarray) -> tuple[Tensor, Tensor]:
        """An update after every chunk.

        Args:
            batch: any number of whole chunks, one stream an agent.
            lr_TN: step sizes.

        Returns:
            The weighted loss of each step, (T, N); what was said, (T, N, K), if classes are
            predicted.
        """
        raise NotImplementedError

    def one_stream(self, batch: Sequences) -> list[np.ndarray]:
        """Inputs, targets, weights and starts without the axis of streams."""
        arrays = (v[:, :, 0].numpy() for v in batch[:4])
        return [
            np.ascontiguousarray(a, self.dtype if a.dtype.kind == "f" else None) for a in arrays
        ]

    def count(self, T: int) -> np.ndarray:
        """Counts updates; what corrects the start of both moments from zero, (2, T)."""
        t_T = self.steps + 1 + np.arange(T)
        self.steps += T
        return np.array([[1 / (1 - b ** int(t)) for t in t_T] for b in self.betas], self.dtype)

    def get_state(self) -> Tree:
        return {"steps": self.steps, "arrays": [a.copy() for a in self.arrays]}

    def set_state(self, state: Tree) -> None:
        self.steps = state["steps"]
        for own, a in zip(self.arrays, state["arrays"], strict=True):
            own[:] = a


@compiled
def moved(m: Any, v: Any, g: Any, c: Any, root: Any) -> Any:
    """Adam's moments after a gradient, and what the step size multiplies.

    Up to the correction of the first moment; `c` are `Fused.constants`, `root` the square root of
    the correction of the second.
    """
    m = c[0] * m + c[2] * g
    v = c[1] * v + c[3] * g * g
    return m, v, m / (np.sqrt(v) * root + c[4])


@compiled
def adam(p: Any, m: Any, v: Any, g: Any, c: Any, lr: Any, scale: Any) -> None:
    """One row of parameters; `scale` corrects the moments' start from zero."""
    rate, root = lr * scale[0], np.sqrt(scale[1])
    for j in range(len(p)):
        m[j], v[j], step = moved(m[j], v[j], g[j], c, root)
        p[j] -= rate * step
