"""Speed of the memories over sequences in which episodes start, against torch's GRU without starts.

    python benchmarks/memory_speed.py            # all registered memories, writes the table
    python benchmarks/memory_speed.py gru lstm   # only these, writes nothing

A sequence of 128 steps forwards and backwards, 64 inputs and 64 outputs, a start with probability
1/60 at each step. All are run in turn in one process and one thread; each number is the best of
several repeats, because other work on the machine only ever slows one down. `loop` is the same
memory unrolled by the contract (`Memory.forward`), `step only` a GRU of which only `step` is
written. The exit code is 1 if a ratio is above its gate.
"""

import csv
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from rlkit.memory import MEMORIES, make_memory, options_of
from rlkit.memory.base import Memory, Step
from rlkit.memory.gru import GRU
from rlkit.types import State

T, WIDTH, START = 128, 64, 1 / 60
BATCHES = (4, 16)
REPEATS = 25
GATES = {
    "elman": 0.3,
    "gated": 0.5,
    "gatel0rd": 0.9,
    "gru": 0.65,
    "lru": 0.45,
    "rtu": 0.45,
    "step only": 3.5,
}
"""Largest time relative to nn.GRU without starts."""
LSTM_GATE = 1.7
"""Largest time of the LSTM relative to nn.LSTM without starts."""
SIZES: dict[str, dict[str, Any]] = {"none": {}, "rtu": {"hidden_size": WIDTH // 2}}
"""Options by which a memory gets 64 outputs, where it is not `hidden_size`."""
RESULTS = Path(__file__).parent / "results" / "memory_speed.csv"

Pass = Callable[[], object]
Row = dict[str, Any]


class StepOnly(Memory):
    """What an author gets who writes `step` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = GRU(WIDTH, WIDTH)
        self.input_size = self.output_size = WIDTH

    def initial_state(self, B: int) -> State:
        return self.gru.initial_state(B)

    def step(self, x_BI: Tensor, state: State) -> Step:
        return self.gru.step(x_BI, state)


def build(name: str) -> Memory:
    if name == "step only":
        return StepOnly()
    default: dict[str, Any] = {"hidden_size": WIDTH} if "hidden_size" in options_of(name) else {}
    return make_memory(name, WIDTH, **SIZES.get(name, default))


def forward_backward(run: Callable[[Tensor], Tensor], x_TBI: Tensor) -> Pass:
    """One sequence and the gradients of its inputs and of all weights."""
    gy = torch.randn(run(x_TBI).shape)

    def both() -> None:
        torch.autograd.backward(run(x_TBI), gy)

    return both


def passes(names: list[str], B: int) -> dict[str, Pass]:
    """What is timed, by name."""
    torch.manual_seed(0)
    x_TBI = torch.randn(T, B, WIDTH, requires_grad=True)
    start_TB = torch.rand(T, B) < START
    gru, lstm = nn.GRU(WIDTH, WIDTH), nn.LSTM(WIDTH, WIDTH)
    timed = {
        "nn.GRU": forward_backward(lambda x: gru(x)[0], x_TBI),
        "nn.LSTM": forward_backward(lambda x: lstm(x)[0], x_TBI),
    }
    for name in names:
        memory = build(name)
        state = tuple(s.detach() for s in memory.initial_state(B))

        def fast(x: Tensor, memory: Memory = memory, state: State = state) -> Tensor:
            return memory(x, state, start_TB).y

        def loop(x: Tensor, memory: Memory = memory, state: State = state) -> Tensor:
            return Memory.forward(memory, x, state, start_TB).y

        timed[name] = forward_backward(fast, x_TBI)
        if type(memory).forward is not Memory.forward:
            timed[f"{name} loop"] = forward_backward(loop, x_TBI)
    return timed


def measure(names: list[str], B: int) -> list[Row]:
    """Milliseconds of every pass, in turn, so that a busy moment hits all of them."""
    timed = passes(names, B)
    best = dict.fromkeys(timed, float("inf"))
    for repeat in range(REPEATS + 1):
        gc.collect()
        for name, both in timed.items():
            began = time.perf_counter()
            both()
            if repeat > 0:  # the first one allocates
                best[name] = min(best[name], time.perf_counter() - began)
    rows: list[Row] = []
    for name in ["nn.GRU", "nn.LSTM", *names]:
        gate = LSTM_GATE * best["nn.LSTM"] / best["nn.GRU"] if name == "lstm" else GATES.get(name)
        loop = best.get(f"{name} loop")
        rows.append(
            {
                "memory": name,
                "batch": B,
                "ms": round(1e3 * best[name], 3),
                "ratio": round(best[name] / best["nn.GRU"], 3),
                "loop_ratio": None if loop is None else round(loop / best["nn.GRU"], 3),
                "gate": None if gate is None else round(gate, 3),
            }
        )
    return rows


def main(chosen: list[str]) -> int:
    torch.set_num_threads(1)
    gc.disable()
    names = chosen or [*MEMORIES.names(), "step only"]
    rows = [row for B in BATCHES for row in measure(names, B)]
    print(f"{'memory':<18}{'batch':>6}{'ms':>9}{'ratio':>8}{'loop':>8}{'gate':>8}")
    for row in rows:
        numbers = "".join(f"{'' if row[k] is None else row[k]:>8}" for k in list(row)[3:])
        print(f"{row['memory']:<18}{row['batch']:>6}{row['ms']:>9}{numbers}")
    if not chosen:
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    missed = [r for r in rows if r["gate"] is not None and float(r["ratio"]) > float(r["gate"])]
    for row in missed:
        print(f"{row['memory']} with batch {row['batch']} is above its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
