"""Optimiser by name."""

from collections.abc import Mapping
from typing import Any, cast

from rlkit.optim import OPTIMIZERS
from rlkit.optim.adaterm import AdaTerm
from rlkit.optim.flat import Optimizer, OptimizerFactory
from rlkit.optim.rmsprop import RMSprop
from rlkit.optim.sgd import SGD


def make_optimizer(
    options: Mapping[str, Any], lr: float, horizon_updates: float
) -> OptimizerFactory:
    """A factory for `FlatParameters`.

    Args:
        options: `name` and what `configs/optimizer/<name>.yaml` holds.
        lr: step size per update.
        horizon_updates: how many updates the second moment averages over; rmsprop's α is
            1 - 1/horizon. Adam and AdaTerm keep their own β₂.

    Raises:
        ConfigError: the name is unknown.
    """
    OPTIMIZERS.target(options["name"])
    if options["name"] == "rmsprop":
        alpha = 1 - 1 / max(horizon_updates, 1.0)
        return lambda parameter, sizes: RMSprop(parameter, lr, alpha, options["eps"])
    if options["name"] == "adaterm":
        own = {k: v for k, v in options.items() if k != "name"}
        return lambda parameter, sizes: AdaTerm(parameter, lr, **own, sizes=sizes)
    if options["name"] == "sgd":
        return lambda parameter, sizes: SGD(parameter, lr, options["momentum"])
    from torch.optim import Adam  # two seconds: see rmsprop.py

    betas = (options["beta1"], options["beta2"])
    return lambda parameter, sizes: cast(
        Optimizer, Adam([parameter], lr, betas, options["eps"], fused=True)
    )
