"""Optimisers on flat parameter vectors, and the laws that scale them with dt. Torch-free itself."""

from dataclasses import dataclass

from rlkit.options import option
from rlkit.registry import Registry

OPTIMIZERS = Registry(
    "optimizer", {"adam": "rlkit.optim:AdamOptions", "rmsprop": "rlkit.optim:RMSpropOptions"}
)
"""Names and what they accept; `make.make_optimizer` builds them."""


@dataclass(frozen=True)
class AdamOptions:
    beta1: float = option("smoothing of the gradient", low=0, high=0.999999)
    beta2: float = option("smoothing of its square", low=0, high=0.999999)
    eps: float = option("added to the root of the second moment", above=0)


@dataclass(frozen=True)
class RMSpropOptions:
    eps: float = option("added to the root of the second moment", above=0)
