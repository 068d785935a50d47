"""Interleaved carries: c memories with the same weights take turns, so that one step may be short.

    slot = t mod c;   y_t, state[slot] = memory(x_t, state[slot])     t counts inputs of an episode

Each carry sees every c-th input, so that a memory ticks at its own pace however small the time
step is: an episode of T inputs is c independent sequences of T / c, all of which `forward` runs
side by side. A carry begins fresh at its own first input.

Shapes: T time, B batch, I input, H output, C = c.
State: the inner one's with an axis of carries, (B, C, …) each, then tick_B: t of the next input.
"""

import torch
from torch import Tensor

from rlkit.memory.base import Memory, Step, select
from rlkit.types import State


class Interleaved(Memory):
    """Any memory with a state, ticking every c-th step.

    Args:
        memory: its time constants are in ticks.
        carries: c.
    """

    zero: Tensor

    def __init__(self, memory: Memory, carries: int):
        super().__init__()
        self.memory, self.carries = memory, carries
        self.input_size, self.output_size = memory.input_size, memory.output_size
        self.register_buffer("zero", torch.zeros((), dtype=torch.int64), persistent=False)

    def initial_state(self, B: int) -> State:
        inner = self.memory.initial_state(B)
        shared = (s.unsqueeze(1).repeat(1, self.carries, *[1] * (s.dim() - 1)) for s in inner)
        return (*shared, self.zero.new_zeros(B))

    def carry(self, state: State) -> State:
        """The inner state whose turn it is, and the tick: (B, …) each."""
        *inner, tick_B = state
        rows, slot_B = torch.arange(len(tick_B), device=tick_B.device), tick_B % self.carries
        return (*(s[rows, slot_B] for s in inner), tick_B)

    def resume(self, carries: State) -> State:
        *inner, tick_CB = carries
        slot_BC = (
            tick_CB[0] + torch.arange(len(tick_CB), device=tick_CB.device).unsqueeze(1)
        ).t() % self.carries
        empty = self.initial_state(tick_CB.shape[1])
        kept = (_put(e, slot_BC, s.transpose(0, 1)) for e, s in zip(empty, inner, strict=False))
        return (*kept, tick_CB[0])

    def step(self, x_BI: Tensor, state: State) -> Step:
        *own, tick_B = self.carry(state)
        fresh = self.memory.fresh_state(x_BI)
        y_BH, after, penalty = self.memory.step(x_BI, select(tick_B < self.carries, fresh, own))
        slot_B1 = (tick_B % self.carries).unsqueeze(1)
        kept = (_put(s, slot_B1, a.unsqueeze(1)) for s, a in zip(state[:-1], after, strict=True))
        return Step(y_BH, (*kept, tick_B + 1), penalty)

    def forward(self, x_TBI: Tensor, state: State, start_TB: Tensor | None = None) -> Step:
        T, B, C = *x_TBI.shape[:2], self.carries
        t_T1 = torch.arange(T, device=x_TBI.device).unsqueeze(1)
        tick_TB = state[-1] + t_T1
        inner = state[:-1]
        if start_TB is not None:
            first_TB = torch.where(start_TB, t_T1, -1).cummax(0).values  # latest start up to t
            tick_TB = torch.where(first_TB < 0, tick_TB, t_T1 - first_TB)
            inner = select(start_TB.any(0), self.initial_state(B)[:-1], inner)
        begins_TB = tick_TB < C
        # Sequence i of row b is what the steps i, i + c, … see; those of the last, shorter round
        # are run on alone.
        slot_BC = (state[-1].unsqueeze(1) + torch.arange(min(C, T), device=x_TBI.device)) % C
        carry = tuple(_take(s, slot_BC) for s in state[:-1])
        rounds, rest = divmod(T, C)
        outputs, penalties, ends = [], [], []
        if rounds:
            whole = slice(0, rounds * C)
            y, last, penalty = self._run(x_TBI[whole], carry, begins_TB[whole], C)
            outputs.append(y)
            penalties.append(penalty)
            ends.append(tuple(s[:, rest:] for s in last))
            carry = tuple(s[:, :rest] for s in last)
        if rest:
            y, last, penalty = self._run(x_TBI[rounds * C :], carry, begins_TB[rounds * C :], rest)
            outputs.append(y)
            penalties.append(penalty)
            ends.append(last)
        latest = tuple(torch.cat(parts, 1) for parts in zip(*ends, strict=True))
        n = latest[0].shape[1]  # the last n steps, in order; some may be of the episode before
        ago_n = torch.arange(n - 1, -1, -1, device=x_TBI.device)
        of_tick_Bn = tick_TB[-1].unsqueeze(1) - ago_n
        kept = []
        for base, new in zip(inner, latest, strict=True):
            old = _take(base, of_tick_Bn % C)
            valid = (of_tick_Bn >= 0).view(B, n, *[1] * (new.dim() - 2))
            kept.append(_put(base, of_tick_Bn % C, torch.where(valid, new, old)))
        costs = [p for p in penalties if p is not None]
        penalty = torch.cat(costs) if costs else None
        return Step(torch.cat(outputs), (*kept, tick_TB[-1] + 1), penalty)

    def _run(
        self, x_TBI: Tensor, carry: State, begins_TB: Tensor, C: int
    ) -> tuple[Tensor, State, Tensor | None]:
        """Whole rounds of C sequences side by side; carries (B, C, …)."""
        T, B = begins_TB.shape

        def apart(x: Tensor) -> Tensor:
            return x.unflatten(0, (T // C, C)).transpose(1, 2).flatten(1, 2)

        def together(x: Tensor) -> Tensor:
            return x.unflatten(1, (B, C)).transpose(1, 2).flatten(0, 1)

        flat = tuple(s.flatten(0, 1) for s in carry)
        y, last, penalty = self.memory(apart(x_TBI), flat, apart(begins_TB))
        state = tuple(s.unflatten(0, (B, C)) for s in last)
        return together(y), state, None if penalty is None else together(penalty)

    def gate_openings(self, x_BI: Tensor, state: State) -> Tensor | None:
        *own, tick_B = self.carry(state)
        fresh = self.memory.fresh_state(x_BI)
        return self.memory.gate_openings(x_BI, select(tick_B < self.carries, fresh, own))


def _index(s: Tensor, slot_Bn: Tensor) -> Tensor:
    return slot_Bn.view(*slot_Bn.shape, *[1] * (s.dim() - 2)).expand(-1, -1, *s.shape[2:])


def _take(s_BC: Tensor, slot_Bn: Tensor) -> Tensor:
    return s_BC.gather(1, _index(s_BC, slot_Bn))


def _put(s_BC: Tensor, slot_Bn: Tensor, new_Bn: Tensor) -> Tensor:
    return s_BC.scatter(1, _index(s_BC, slot_Bn), new_Bn)
