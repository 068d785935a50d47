"""Optimiser by name."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import nn

from rlkit.optim import OPTIMIZERS
from rlkit.optim.flat import Optimizer
from rlkit.optim.rmsprop import RMSprop


def make_optimizer(
    options: Mapping[str, Any], lr: float, horizon_updates: float
) -> Callable[[nn.Parameter], Optimizer]:
    """A factory for `FlatParameters`.

    Args:
        options: `name` and what `configs/optimizer/<name>.yaml` holds.
        lr: step size per update.
        horizon_updates: how many updates the second moment averages over; rmsprop's α is
            1 - 1/horizon. Adam keeps its own β₂.

    Raises:
        ConfigError: the name is unknown.
    """
    OPTIMIZERS.target(options["name"])
    if options["name"] == "rmsprop":
        alpha = 1 - 1 / max(horizon_updates, 1.0)
        return lambda parameter: RMSprop(parameter, lr, alpha, options["eps"])
    from torch.optim import Adam  # two seconds: see rmsprop.py

    betas = (options["beta1"], options["beta2"])
    return lambda parameter: cast(Optimizer, Adam([parameter], lr, betas, options["eps"]))
