"""A memory that learns in real time: its state carries its traces (RT2; Elelimy, 2023).

    h_t, E_t = step(x_t, h_{t-1}, E_{t-1}),    ∂L/∂θ = ∂L/∂h_t · E_t,    E = ∂h/∂θ

Any single step then has the gradient of the whole past: whoever stores (h, E) before a step can
learn from it alone, in any order. No gradient reaches earlier inputs.

State: the memory's own, then its traces.
"""

import torch
from torch import Tensor

from rlkit.memory.base import Memory, Step, select
from rlkit.memory.traces import complex_trace_scan
from rlkit.types import State


class Traced(Memory):
    """Any memory with traces.

    Args:
        memory: is stepped by its `trace_step`.

    Raises:
        ConfigError: it has no traces.
    """

    def __init__(self, memory: Memory):
        super().__init__()
        memory.initial_traces(1)
        self.memory = memory
        self.input_size, self.output_size = memory.input_size, memory.output_size
        self.num_states = len(memory.initial_state(1))

    def initial_state(self, B: int) -> State:
        return self.memory.initial_state(B) + self.memory.initial_traces(B)

    def fresh_state(self, x_BI: Tensor) -> State:
        return self.memory.fresh_state(x_BI) + self.memory.initial_traces(x_BI.shape[0])

    def step(self, x_BI: Tensor, state: State) -> Step:
        own, traces = state[: self.num_states], state[self.num_states :]
        step, traces = self.memory.trace_step(x_BI, own, traces)
        return step._replace(state=step.state + traces)

    @torch.no_grad()
    def before(self, x_TBI: Tensor, state: State, start_TB: Tensor) -> State:
        """The states before each of the inputs, (T, B, …), as they are before any restart.

        Args:
            x_TBI: inputs.
            state: before the first.
            start_TB: true where the input is the first of an episode.
        """
        form = self.memory.linear_form()
        if form is not None:
            after = complex_trace_scan(state, form, x_TBI, start_TB)
            pairs = zip(state, after, strict=True)
            return tuple(torch.cat((s[None], a[:-1])) for s, a in pairs)
        states = [state]
        for x_BI, start_B in zip(x_TBI[:-1], start_TB[:-1], strict=True):
            states.append(
                self.step(x_BI, select(start_B, self.fresh_state(x_BI), states[-1])).state
            )
        return tuple(torch.stack(s) for s in zip(*states, strict=True))
