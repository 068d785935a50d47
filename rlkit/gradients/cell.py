"""A memory as a function of its parameters: one vector per agent, N agents at once.

    y, state' = run(θ, x, state, start)

Agents never mix, so that the gradient of the sum of their losses by θ_NP holds the gradient of
each. One agent runs the memory as it is; several run it under vmap. State and data keep the
memory's own shapes with an axis N before B.

Shapes: T time, N agents, B batch, I input, H output, P parameters, S numbers of a state.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from rlkit.memory.base import Memory, Step, select, vmapped
from rlkit.types import State

Theta = tuple[Tensor, ...]
"""The parameters of a memory, each (N, …); of a single agent without that axis."""


class Cell:
    """Runs a memory with given parameters; never its own, which say only their shapes.

    Args:
        memory: any.
        compiled: compile what several agents run (torch.compile); half a minute at first.
    """

    def __init__(self, memory: Memory, compiled: bool = False):
        self.memory = memory
        names = dict(memory.named_parameters(remove_duplicate=False))
        paths = [name.rpartition(".") for name in names]
        self.slots = [(memory.get_submodule(path)._parameters, own) for path, _, own in paths]
        self.shapes = {name: p.shape for name, p in names.items()}
        self.sizes = [shape.numel() for shape in self.shapes.values()]
        self.size = sum(self.sizes)
        floating = [s for s in memory.initial_state(1) if s.is_floating_point()]
        self.state_size = sum(s[0].numel() for s in floating)
        self.dtype = floating[0].dtype if floating else torch.get_default_dtype()
        self._many: dict[Any, Callable[..., Any]] = {}
        self._compiled = compiled

    def vector(self) -> Tensor:
        """The memory's own parameters end to end (P,)."""
        own = [p.detach().reshape(-1) for p in self.memory.parameters()]
        return torch.cat(own) if own else torch.zeros(0)

    def tensors(self, theta_NP: Tensor) -> Theta:
        """The pieces of a vector per agent, in their own shapes."""
        lead = () if len(theta_NP) == 1 else (len(theta_NP),)
        pieces = zip(theta_NP.split(self.sizes, 1), self.shapes.values(), strict=True)
        return tuple(p.view(*lead, *shape) for p, shape in pieces)

    def leaves(self, theta_NP: Tensor) -> Theta:
        """Likewise, as leaves of a new graph."""
        return tuple(p.requires_grad_() for p in self.tensors(theta_NP.detach()))

    def initial_state(self, N: int, B: int) -> State:
        """The state before the first input of every stream."""
        return self._repeated(self.memory.initial_state(B), N)

    def initial_traces(self, N: int, B: int) -> State:
        return self._repeated(self.memory.initial_traces(B), N)

    @staticmethod
    def _repeated(state: State, N: int) -> State:
        return tuple(s.detach().unsqueeze(0).repeat(N, *[1] * s.dim()) for s in state)

    # ---- running -------------------------------------------------------------------------------

    def run(
        self,
        theta: Theta,
        x_TNBI: Tensor,
        state: State,
        start_TNB: Tensor | None,
        weight_TN: Tensor | None = None,
        fast: bool = False,
    ) -> Step:
        """Unrolls over time, by steps that have derivatives of every kind.

        Args:
            theta: parameters, as `tensors` or `leaves` give them.
            x_TNBI: inputs.
            state: before the first of them.
            start_TNB: true where an input begins an episode; None: nowhere.
            weight_TN: what the gradient is multiplied by on its way back into the state before
                step t; the state stays as it is.
            fast: the memory's own unroll where there is one; it may have first derivatives only.
        """
        start = start_TNB if start_TNB is not None and start_TNB.any() else None
        body = self._fast if fast and weight_TN is None else self._loop
        return Step(*self._each(body, theta, (x_TNBI, start, weight_TN), state))

    def trace_step(
        self, theta: Theta, x_NBI: Tensor, state: State, traces: State, start_NB: Tensor | None
    ) -> tuple[Tensor, State, State]:
        """One `trace_step` of the memory, fresh where an episode starts: y, state, traces."""
        start = start_NB if start_NB is not None and start_NB.any() else None
        over_time = (x_NBI.unsqueeze(0), None if start is None else start.unsqueeze(0), None)
        found = self._each(self._trace, theta, over_time, (*state, *traces))
        y_TNBH, after, _ = found
        return y_TNBH[0], after[: len(state)], after[len(state) :]

    def _each(
        self,
        body: Callable[..., Step],
        theta: Theta,
        over_time: tuple[Tensor, Tensor | None, Tensor | None],
        state: State,
    ) -> tuple[Tensor, State, Tensor | None]:
        """Runs `body` for every agent; its results are y (T, B, …), state, penalty (T, B)."""
        if over_time[0].shape[1] == 1:
            own = [None if a is None else a.squeeze(1) for a in over_time]
            alone = tuple(s.squeeze(0) for s in state)
            y, after, penalty = self._with(theta, body, *own, alone)
            after = tuple(s.unsqueeze(0) for s in after)
            return y.unsqueeze(1), after, None if penalty is None else penalty.unsqueeze(1)
        key = (body.__name__, tuple(a is None for a in over_time))
        if key not in self._many:
            self._many[key] = self._batched(body, over_time)
        y, after, *penalty = self._many[key](theta, *over_time, state)
        return y.transpose(0, 1), after, penalty[0].transpose(0, 1) if penalty else None

    def _batched(
        self, body: Callable[..., Step], over_time: Sequence[Tensor | None]
    ) -> Callable[..., Any]:
        def alone(theta: Theta, *rest: Any) -> Any:
            step = self._with(theta, body, *rest)
            return step if step.penalty is not None else step[:2]

        axes = [None if a is None else 1 for a in over_time]
        every = vmap(alone, (0, *axes, 0), randomness="different")
        if not self._compiled:
            return every
        import torch._functorch.config as settings

        settings.donated_buffer = False  # some estimators go through a graph twice
        return torch.compile(every)

    def _with(self, theta: Sequence[Tensor], body: Callable[..., Step], *rest: Any) -> Step:
        """What torch.func.functional_call does, but quickly."""
        own = [parameters[name] for parameters, name in self.slots]
        for (parameters, name), tensor in zip(self.slots, theta, strict=True):
            parameters[name] = tensor  # type: ignore[assignment]
        try:
            return body(*rest)
        finally:
            for (parameters, name), parameter in zip(self.slots, own, strict=True):
                parameters[name] = parameter

    def _fast(self, x: Tensor, start: Tensor | None, weight: None, state: State) -> Step:
        if len(x) == 1 or vmapped(x):
            return self._loop(x, start, weight, state)
        return self.memory.forward(x, state, start)

    def _loop(self, x: Tensor, start: Tensor | None, weight: Tensor | None, state: State) -> Step:
        if weight is None and len(x) > 1:
            return Memory.forward(self.memory, x, state, start)
        steps = []
        for t in range(len(x)):
            if weight is not None:  # of what comes from the past: a fresh state does not
                state = tuple(_weighted(s, weight[t]) for s in state)
            state = self.memory.restart(state, start, x, t)
            steps.append(self.memory.step(x[t], state))
            state = steps[-1].state
        y, penalty = _stacked([s.y for s in steps]), None
        if steps[0].penalty is not None:
            penalty = _stacked([s.penalty for s in steps])  # type: ignore[misc]
        return Step(y, state, penalty)

    def _trace(self, x: Tensor, start: Tensor | None, weight: None, both: State) -> Step:
        n = len(self.memory.initial_state(1))
        state, traces = both[:n], both[n:]
        if start is not None:
            state = select(start[0], self.memory.fresh_state(x[0]), state)
            traces = select(start[0], tuple(torch.zeros_like(e) for e in traces), traces)
        step, traces = self.memory.trace_step(x[0], state, traces)
        return Step(step.y.unsqueeze(0), (*step.state, *traces))


def _weighted(s: Tensor, weight: Tensor) -> Tensor:
    """The same numbers, the gradient multiplied."""
    if not s.is_floating_point():
        return s
    return torch.lerp(s.detach(), s, weight)


def _stacked(over_time: list[Tensor]) -> Tensor:
    return over_time[0].unsqueeze(0) if len(over_time) == 1 else torch.stack(over_time)


# ---- states as vectors ---------------------------------------------------------------------------


def flat(state: State) -> Tensor:
    """The floating parts of a state end to end, (N, B, S)."""
    pieces = [s.flatten(2) for s in state if s.is_floating_point()]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, -1)


def unflat(vector_NBS: Tensor, like: State) -> State:
    """The inverse; what is no floating number is taken from `like`."""
    if len(like) == 1 and like[0].shape == vector_NBS.shape:
        return (vector_NBS,)
    sizes = [s[0, 0].numel() for s in like if s.is_floating_point()]
    pieces = iter(vector_NBS.split(sizes, -1) if len(sizes) > 1 else (vector_NBS,))
    lead = vector_NBS.shape[:2]
    return tuple(
        next(pieces).reshape(*lead, *s.shape[2:]) if s.is_floating_point() else s for s in like
    )


def detached(state: State) -> State:
    """Without its graph."""
    return tuple(s.detach() for s in state)
