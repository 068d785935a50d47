"""The scaling laws of learning in physical time, in one place (Tallec 2019, chapter 8, A.2).

`continuous_time`: everything that multiplies dt is the true dt: parameters move by O(dt) during
dt, rewards count r·dt. `stock`: the discount is still γ^dt, all else is frozen at a reference
step dt0, as an agent tuned at dt0 and run at another dt would have it.
"""

from dataclasses import dataclass
from typing import Literal

UPDATES_PER_STEP = 5
"""The thesis makes 50 updates after every 10 vector steps, each of size alpha dt."""


@dataclass(frozen=True)
class TimeScaling:
    """How step sizes, rewards and averaging lengths depend on dt.

    Args:
        scaling: which law.
        dt: seconds per decision.
        reference_dt: dt0 of the stock law, seconds.
        updates_per_second: how often the agent learns, per physical second of one environment.
    """

    scaling: Literal["continuous_time", "stock"]
    dt: float
    reference_dt: float
    updates_per_second: float

    @property
    def step_seconds(self) -> float:
        """What a decision counts for in rewards and residuals: dt, or dt0."""
        return self.dt if self.scaling == "continuous_time" else self.reference_dt

    def step_size(self, rate: float) -> float:
        """Step size of one update for a learning rate α per second.

        α·5/U: U updates move the parameters by 5α per second; with U = 5/dt it is the thesis' α·dt.
        """
        if self.scaling == "stock":
            return rate * self.reference_dt
        return rate * UPDATES_PER_STEP / self.updates_per_second

    def horizon_updates(self, horizon_seconds: float) -> float:
        """Averaging length of the optimiser's second moment, in updates.

        0.2 s is the thesis' RMSprop(alpha = 1 - dt) at 5/dt updates per second.
        """
        if self.scaling == "stock":
            return 1 / self.reference_dt
        return horizon_seconds * self.updates_per_second
