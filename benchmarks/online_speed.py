"""Cost of learning at every step: RT2 of many agents, and UORO against a plain step.

    python benchmarks/online_speed.py            # writes the table

RT2: 30 agents of 500 linear trace units, 12 inputs, one output, Adam, per agent and step, of the
whole predictor (`torch`) and of the compiled loop (`numba`, if it is installed); also one agent.
UORO: a GRU of 64 units with 64 inputs, batch 1, against one forward and backward pass of the same
step by plain autograd, and against truncated backpropagation over one step through the same
contract. All of a kind are run in turn in one process and one thread; a number is the CPU time of
this process, the least of several repeats, because other work on the machine only ever slows one
down. The exit code is 1 if a number is above its gate.
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

from configs import predict
from configs.compose import compose_train
from rlkit.gradients.base import make_gradient
from rlkit.gradients.cell import Cell
from rlkit.memory import make_memory
from rlkit.seeding import seed_everything

RESULTS = Path(__file__).parent / "results" / "online_speed.csv"
UNITS, AGENTS = 500, 30
REPEATS = 30
GATES = {"rt2 torch, 30 agents": 120.0, "rt2 numba, 30 agents": 40.0}
"""Most µs per agent and step."""
RATIOS = {"uoro exact": 12.0, "uoro finite differences": 3.0}
"""Most relative to a plain forward and backward pass."""


def rt2(kernel: str, agents: int) -> tuple[Callable[[], object], int]:
    """A pass, and how many steps of an agent it makes."""
    words = [
        *("agent=predictor", "env=trace_conditioning", "memory=rtu", "gradient=rt2"),
        *(f"memory.hidden_size={UNITS}", f"agent.seeds={agents}", f"agent.kernel={kernel}"),
        "agent.block_steps=10",
    ]
    _, loop = predict.make_parts(compose_train(words), seed_everything(0))
    return loop.block, 10 * agents


def plain_step() -> Callable[[], object]:
    """One step of a GRU, a readout and a loss, forwards and backwards, as anyone writes it."""
    torch.manual_seed(0)
    gru, readout = nn.GRUCell(64, 64), nn.Linear(64, 1)
    parameters = [*gru.parameters(), *readout.parameters()]
    x, h = torch.randn(1, 64), torch.zeros(1, 64)

    def both() -> None:
        for p in parameters:
            p.grad = None
        (readout(gru(x, h)) - 0.5).square().sum().backward()

    return both


def estimator(name: str, **options: Any) -> Callable[[], object]:
    """The same step by an estimator."""
    torch.manual_seed(0)
    memory = make_memory("gru", 64, hidden_size=64)
    cell = Cell(memory)
    found = make_gradient(name, cell, torch.Generator().manual_seed(0), options)
    params = {"memory": cell.vector().unsqueeze(0), "readout": torch.randn(1, 64) / 8}
    x, start = torch.randn(1, 1, 1, 64), torch.zeros(1, 1, 1, dtype=torch.bool)
    carry = found.begin(params, 1)

    def loss_of(params: Any, y: Tensor, penalty: Tensor | None) -> Tensor:
        return (nn.functional.linear(y, params["readout"]) - 0.5).square().sum((0, 2, 3))

    def step() -> None:
        nonlocal carry
        carry = found.observe(params, carry, x, start, loss_of).carry

    return step


def least(timed: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """CPU µs per unit of every pass, in turn, so that a busy moment hits all of them."""
    best = dict.fromkeys(timed, float("inf"))
    for repeat in range(REPEATS + 1):
        gc.collect()
        for name, (run, units) in timed.items():
            began = time.process_time()
            run()
            if repeat:  # the first one allocates, or compiles
                best[name] = min(best[name], 1e6 * (time.process_time() - began) / units)
    return best


def repeated(run: Callable[[], object], times: int = 20) -> tuple[Callable[[], object], int]:
    def all_of_them() -> None:
        for _ in range(times):
            run()

    return all_of_them, times


def main() -> int:
    torch.set_num_threads(1)
    gc.disable()
    kernels = ["torch"]
    try:
        import numba  # noqa: F401

        kernels.append("numba")
    except ModuleNotFoundError:
        print("numba is not installed: its rows are left out")
    traced = {
        f"rt2 {kernel}, {n} agent{'s' if n > 1 else ''}": rt2(kernel, n)
        for n in (1, AGENTS)
        for kernel in kernels
    }
    steps = {
        "plain step": repeated(plain_step()),
        "tbptt 1": repeated(estimator("tbptt", length=1, window="disjoint")),
        "uoro exact": repeated(estimator("uoro", rank=1, memory_steps=1, tangent="exact")),
        "uoro finite differences": repeated(
            estimator("uoro", rank=1, memory_steps=1, tangent="finite_differences")
        ),
    }
    rows: list[dict[str, Any]] = [
        {"what": name, "cpu_us": round(us, 1), "gate_us": GATES.get(name)}
        for name, us in least(traced).items()
    ]
    found = least(steps)
    rows += [
        {
            "what": name,
            "cpu_us": round(us, 1),
            "to_plain": round(us / found["plain step"], 2),
            "gate_to_plain": RATIOS.get(name),
            "to_tbptt_1": round(us / found["tbptt 1"], 2),
        }
        for name, us in found.items()
    ]
    columns = ["what", "cpu_us", "gate_us", "to_plain", "gate_to_plain", "to_tbptt_1"]
    for row in rows:
        print("  ".join(f"{k} {row[k]}" for k in columns if row.get(k) is not None))
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = [
        r["what"]
        for r in rows
        if r["cpu_us"] > (r.get("gate_us") or float("inf"))
        or r.get("to_plain", 0) > (r.get("gate_to_plain") or float("inf"))
    ]
    for what in missed:
        print(f"{what} is above its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
