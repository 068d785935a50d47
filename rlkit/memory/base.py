"""The contract of a memory, and the default unroll with start flags.

A memory maps inputs to outputs while carrying a state. The state is an argument and a return
value, never an attribute: one module serves acting, training and evaluation at once.

Shapes: T time, B batch, I input, H output.  State: tuple of tensors, batch first.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rlkit.options import ConfigError
from rlkit.types import State

LinearForm = tuple[Tensor, Tensor, tuple[Tensor, Tensor]]
"""Complex eigenvalues (H,), real gains (H,), and W as real and imaginary part (I, H)."""


class Step(NamedTuple):
    """What a memory returns for one step, or for a sequence (`y` and `penalty` then T first)."""

    y: Tensor
    state: State
    penalty: Tensor | None = None
    """A cost of the memory's own per row (e.g. open gates, times its coefficient); the learner
    adds the mean to its loss."""


class Memory(nn.Module):
    """Write `initial_state` and either `step`, or `project`, `recur` and `readout`.

    The second form is faster: `project` and `readout` run once for all time steps, `recur` in the
    loop. `forward` may be overridden to be faster still; a test holds it equal to the loop.

    A stochastic memory draws noise in training mode only. Who evaluates a stored step again must
    see the outputs it was acted with: act and evaluate again in evaluation mode.

    Attributes:
        input_size: width of the input.
        output_size: width of the output.
        has_traces: whether `initial_traces` and `trace_step` give exact real-time gradients.
        carries: how many carries take turns; 1 unless `Interleaved`.
    """

    input_size: int
    output_size: int
    carries: int = 1
    has_traces: ClassVar[bool] = False

    def initial_state(self, B: int) -> State:
        """The state before the first input of an episode."""
        raise NotImplementedError

    def fresh_state(self, x_BI: Tensor) -> State:
        """The state before an episode's first input; may be learnt from it (GateL0RD's f_init)."""
        return self.initial_state(x_BI.shape[0])

    def carry(self, state: State) -> State:
        """What the next input reads of a state: all that a replay keeps of it at every step."""
        return state

    def resume(self, carries: State) -> State:
        """The state before a window.

        Args:
            carries: what `carry` gave before each of its first `self.carries` inputs (fewer in a
                shorter window), (C, B, …).
        """
        return tuple(s[0] for s in carries)

    def project(self, x: Tensor) -> Tensor:
        """What depends on the input alone, for any leading axes."""
        raise NotImplementedError

    def recur(self, p: Tensor, state: State) -> State:
        """The next state (B, …) from a projected input (B, …)."""
        raise NotImplementedError

    def readout(self, state: State, x: Tensor) -> Tensor:
        """The output from the next state and the input, for any leading axes."""
        return state[0]

    def step(self, x_BI: Tensor, state: State) -> Step:
        """One step; pure, writes no attribute."""
        state = self.recur(self.project(x_BI), state)
        return Step(self.readout(state, x_BI), state)

    def gate_openings(self, x_BI: Tensor, state: State) -> Tensor | None:
        """How far each gate of the state opens in this step, 0 … 1; None without such gates."""
        return None

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        """Unrolls over time.

        Args:
            x_TBI: inputs.
            state: carry before `x_TBI[0]`.
            start_TB: true where the input is the first of an episode; the state is *selected* to
                the initial one before the input is consumed, and no gradient crosses.
        """
        if type(self).recur is not Memory.recur:
            p_TB, states = self.project(x_TBI), []
            for t in range(x_TBI.shape[0]):
                state = self.restart(state, start_TB, x_TBI, t)
                state = self.recur(p_TB[t], state)
                states.append(state)
            stacked = tuple(torch.stack(s) for s in zip(*states, strict=True))
            return Step(self.readout(stacked, x_TBI), state)
        outputs, penalties = [], []
        for t in range(x_TBI.shape[0]):
            state = self.restart(state, start_TB, x_TBI, t)
            y, state, penalty = self.step(x_TBI[t], state)
            outputs.append(y)
            if penalty is not None:
                penalties.append(penalty)
        return Step(torch.stack(outputs), state, torch.stack(penalties) if penalties else None)

    def restart(self, state: State, start_TB: Tensor | None, x_TBI: Tensor, t: int) -> State:
        """The fresh state in the rows where step t starts an episode, the given one elsewhere."""
        if start_TB is None:
            return state
        return select(start_TB[t], self.fresh_state(x_TBI[t]), state)

    def __call__(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        """`forward`, after checking that the state fits.

        Raises:
            ConfigError: the state has other shapes than this memory's, or another batch size.
        """
        B = x_TBI.shape[1]
        given = [tuple(s.shape) for s in state]
        allowed = [tuple(s.shape) for s in self.initial_state(B)]
        if given != allowed:
            raise ConfigError(
                f"{type(self).__name__} got a state of shapes {given} for a batch of {B}, but"
                f" its states have {allowed}"
            )
        step: Step = super().__call__(x_TBI, state, start_TB)
        return step._replace(state=tuple(s.clone() for s in step.state))  # no views of y

    def linear_form(self) -> LinearForm | None:
        """What h' = λ ⊙ h + γ ⊙ (x W) is made of, where that is the recurrence."""
        return None

    def initial_traces(self, B: int) -> tuple[Tensor, ...]:
        """Sensitivities of the state to every parameter, zero before the first input.

        Raises:
            ConfigError: this memory has no traces; lists those that have.
        """
        from rlkit.memory import memories_with_traces

        raise ConfigError(
            f"{type(self).__name__} has no real-time traces (memories that have, with one layer and"
            f" no pre or post: {', '.join(memories_with_traces())})"
        )

    def trace_step(
        self, x_BI: Tensor, state: State, traces: tuple[Tensor, ...]
    ) -> tuple[Step, tuple[Tensor, ...]]:
        """One step whose output carries the exact gradient of the whole past, without its graph.

        State and traces are advanced without gradient; the output is built so that an ordinary
        backward of this step alone gives real-time recurrent learning's gradient of the memory's
        parameters, and the direct-path gradient of x.
        """
        raise NotImplementedError


def vmapped(x: Tensor) -> bool:
    """Whether this runs inside vmap, which knows neither fused cells nor hand-written backwards."""
    inside: bool = torch._C._functorch.is_batchedtensor(x)
    return inside


def select(start_B: Tensor, fresh: Any, state: Any) -> Any:
    """Rows of `fresh` where an episode starts, of `state` elsewhere; no product: NaN stays out.

    Args:
        start_B: bool.
        fresh: tuple of tensors, batch first.
        state: likewise.
    """
    return tuple(
        torch.where(start_B.view(-1, *[1] * (s.dim() - 1)), f, s)
        for f, s in zip(fresh, state, strict=True)
    )
