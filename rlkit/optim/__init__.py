"""Optimisers on flat parameter vectors, and the laws that scale them with dt. Torch-free itself."""

from dataclasses import dataclass

from rlkit.options import option
from rlkit.registry import Registry

OPTIMIZERS = Registry(
    "optimizer",
    {
        "adam": "rlkit.optim:AdamOptions",
        "adaterm": "rlkit.optim:AdaTermOptions",
        "rmsprop": "rlkit.optim:RMSpropOptions",
        "sgd": "rlkit.optim:SGDOptions",
    },
)
"""Names and what they accept; `make.make_optimizer` builds them."""


@dataclass(frozen=True)
class AdamOptions:
    beta1: float = option("smoothing of the gradient", low=0, high=0.999999)
    beta2: float = option("smoothing of its square", low=0, high=0.999999)
    eps: float = option("added to the root of the second moment", above=0)


@dataclass(frozen=True)
class AdaTermOptions:
    beta1: float = option("smoothing of the mean", low=0, high=0.999999)
    beta2: float = option("smoothing of the scale", low=0, high=0.999999)
    beta_nu: float = option("smoothing of the degrees of freedom; 1: fixed", low=0, high=1)
    eps: float = option("its square is the least scale", above=0)
    k: float = option("least degrees of freedom", above=0)
    initial_nu: float = option("degrees of freedom at first, if more than k", low=0)
    weight_decay: float = option("L2, added to the gradient", low=0)
    uncentered: bool = option("divide by the mean too")
    amsgrad: float = option("0: off; else factor on the running maximum", low=0, high=1)
    adaptive_bias: bool = option("correct by what was averaged, not by 1 - beta^t")


@dataclass(frozen=True)
class RMSpropOptions:
    eps: float = option("added to the root of the second moment", above=0)


@dataclass(frozen=True)
class SGDOptions:
    momentum: float = option("of the gradient; 0: none", low=0, high=0.999999)
