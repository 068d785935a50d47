"""The contract of a memory, and the default unroll with start flags.

A memory maps inputs to outputs while carrying a state. The state is an argument and a return
value, never an attribute: one module serves acting, training and evaluation at once.

Shapes: T time, B batch, I input, H output.  State: tuple of tensors, batch first.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlkit.types import State


class Step(NamedTuple):
    """What a memory returns for one step, or for a sequence (`y` and `penalty` then T first)."""

    y: Tensor
    state: State
    penalty: Tensor | None = None
    """A cost of the memory's own (e.g. open gates); the learner adds its mean to the loss."""


class Memory(nn.Module):
    """Write `initial_state` and `step`; override `forward` only to be faster, held equal by test.

    Attributes:
        input_size: width of the input.
        output_size: width of the output.
    """

    input_size: int
    output_size: int

    def initial_state(self, B: int) -> State:
        """The state before the first input of an episode."""
        raise NotImplementedError

    def step(self, x_BI: Tensor, state: State) -> Step:
        """One step; pure, writes no attribute."""
        raise NotImplementedError

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        """Unrolls over time.

        Args:
            x_TBI: inputs.
            state: carry before `x_TBI[0]`.
            start_TB: true where the input is the first of an episode; the state is *selected* to
                the initial one before the input is consumed, and no gradient crosses.
        """
        outputs, penalties = [], []
        for t in range(x_TBI.shape[0]):
            if start_TB is not None:
                state = self.restart(state, start_TB[t])
            y, state, penalty = self.step(x_TBI[t], state)
            outputs.append(y)
            if penalty is not None:
                penalties.append(penalty)
        return Step(torch.stack(outputs), state, torch.stack(penalties) if penalties else None)

    def restart(self, state: State, start_B: Tensor) -> State:
        """The initial state where an episode starts, the given one elsewhere."""
        fresh = self.initial_state(start_B.shape[0])
        return tuple(
            torch.where(start_B.view(-1, *[1] * (s.dim() - 1)), f, s)
            for f, s in zip(fresh, state, strict=True)
        )
