"""Returns and advantages: pure functions on (T, B) arrays.

One `discount` folds everything that ends or shortens the future: γ^dt where an episode goes on, 0
where it ended. A time limit is an end whose bootstrap γ^dt V(final observation) is in the reward.
"""

import numpy as np
from numpy.typing import NDArray

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
