"""Tuples that cross module borders, and the legend of shapes.

T time, N agents in one, B batch or parallel environments, O observation, A action, H features or
hidden units.
Time comes first: `obs_TBO`. `dt` is in seconds, rewards are rates (per second),
`start` marks the first input of an episode, `terminated` and `truncated` its two kinds of end.
"""

from typing import Any, NamedTuple

from torch import Tensor

from rlkit.observations import ObsPart

State = tuple[Tensor, ...]


class Spaces(NamedTuple):
    """What an agent may know of its environment."""

    obs_shape: tuple[int, ...]
    action_size: int
    """Components of a continuous action, each in [-1, 1], or number of discrete actions."""
    discrete: bool
    dt: float
    """Seconds from one decision to the next."""
    num_envs: int
    reward_bounds: tuple[float, float] | None = None
    """Smallest and largest reward rate, if the environment declares them."""
    obs_parts: tuple[ObsPart, ...] = ()
    """What an observation is made of; empty: one vector."""
    stock_dt: float | None = None
    """Seconds per step of the stock environment; None: dt."""
    one_sided: tuple[int, ...] = ()
    """Components of the action that are none at -1, such as gas."""
    limit_steps: int | None = None
    """Longest episode; None: it has no limit."""


class Windows(NamedTuple):
    """B windows of T consecutive steps; T = 1 without memory.

    `obs` holds T + 1 observations: the last is what followed the last step, one dt later.
    The true final observation of an episode is a row of its own: nothing was done there, and the
    row after it starts another episode.
    """

    obs_TBO: Tensor
    """(T + 1, B, …)"""
    action_TBA: Tensor
    """(T, B, A) float, or (T, B) int64 for discrete actions"""
    reward_TB: Tensor
    """reward rate"""
    terminated_TB: Tensor
    """1.0 where the MDP ended; time limits do not count"""
    state: State
    """memory state before the first observation, batch first"""
    start_TB: Tensor | None = None
    """(T + 1, B) true where an observation begins an episode; None: nowhere after the first"""
    weight_B: Tensor | None = None
    """importance of each window, if they were not drawn uniformly"""
    dt_B: Tensor | None = None
    """seconds per step, if they are not all of the agent's dt"""


class Transition(NamedTuple):
    """One step of all environments, as the runner hands it on."""

    obs_BO: Tensor
    action_BA: Tensor
    reward_B: Tensor
    terminated_B: Tensor
    next_obs_BO: Tensor
    """One dt later; the true final observation where an episode ended."""
    start_B: Tensor
    state: State
    truncated_B: Tensor
    """true where the time limit ended the episode, and nothing else did"""
    next_state: State = ()
    """memory state after `obs`, before `next_obs`"""


class Sequences(NamedTuple):
    """T inputs of B sequences or streams for each of N agents, and what is to be said at each."""

    x_TNBI: Tensor
    target_TNB: Tensor
    """int64 class, or float components (T, N, B, K)"""
    weight_TNB: Tensor
    """1 where a step is scored, else 0"""
    start_TNB: Tensor
    """true at the first input of a sequence"""
    decisive_TNB: Tensor
    """true where an answer shows whether something was remembered"""

    def part(self, first: int, last: int | None) -> "Sequences":
        """Some of the steps."""
        return Sequences(*(v[first:last] for v in self))


Tree = dict[str, Any]
"""Nested dictionaries of tensors, arrays and plain values: what a checkpoint can hold."""

Metrics = dict[str, Tensor]
"""Tag → detached tensor; its mean is taken only when it is logged."""
