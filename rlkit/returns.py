"""Returns and advantages: pure functions on (T, B) arrays.

One `discount` folds everything that ends or shortens the future: γ^dt where an episode goes on, 0
where it ended. A time limit is an end whose bootstrap γ^dt V(final observation) is in the reward.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]


def gae(
    reward_TB: Array, discount_TB: Array, value_TB: Array, last_value_B: Array, lambda_: float
) -> Array:
    """Generalised advantage estimates (Schulman et al., 2016, eq. 16).

        δ_t = r_t + γ_t V_{t+1} - V_t,   A_t = δ_t + γ_t λ A_{t+1}

    Args:
        reward_TB: reward of each step.
        discount_TB: factor on what follows; 0 where an episode ended.
        value_TB: V before each step.
        last_value_B: V after the last step.
        lambda_: λ; 0 is one-step TD, 1 the discounted return.
    """
    next_TB = np.concatenate([value_TB[1:], last_value_B[None]])
    delta_TB = reward_TB + discount_TB * next_TB - value_TB
    decay_TB = lambda_ * discount_TB
    advantage_TB = np.empty_like(delta_TB)
    following_B = np.zeros_like(last_value_B)
    for t in range(len(delta_TB) - 1, -1, -1):
        following_B = delta_TB[t] + decay_TB[t] * following_B
        advantage_TB[t] = following_B
    return advantage_TB


def over_span(
    x_TB: Tensor,
    discount_TB: Tensor,
    steps: int,
    after_TB: Tensor | None = None,
    cut_TB: Tensor | None = None,
) -> Tensor:
    """Discounted sums over n steps, of every t from which n steps are left: (T - n + 1, B).

        y_t = Σ_{k<m} Γ_k x_{t+k} + Γ_m after_{t+m-1},   Γ_k = γ_t … γ_{t+k-1},   m = n,
        or fewer where the episode ends after m steps

    Args:
        x_TB: of each step, e.g. its reward.
        discount_TB: factor on what follows a step; 0 where it terminated.
        steps: n.
        after_TB: of what follows each step, e.g. V of the next observation; None: 0.
        cut_TB: (T - 1, B) true where a step is an episode's last; None: nowhere.
    """
    if steps == 1:
        return x_TB if after_TB is None else x_TB + discount_TB * after_TB
    T = len(x_TB)
    if after_TB is None:
        after_TB = torch.zeros_like(x_TB)
    follow_TB = after_TB
    for length in range(T, T - steps + 1, -1):
        y_TB = x_TB[:length] + discount_TB[:length] * follow_TB
        follow_TB = y_TB[1:]
        if cut_TB is not None:
            ends_TB = cut_TB[: length - 1]
            follow_TB = torch.where(ends_TB, after_TB[: length - 1], follow_TB)
    n = len(follow_TB)
    return x_TB[:n] + discount_TB[:n] * follow_TB
