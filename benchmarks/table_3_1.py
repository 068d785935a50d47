"""Next-character prediction (Tallec 2019, table 3.1 and figures 3.2b and 3.4): UORO and truncation.

    python benchmarks/table_3_1.py                                # what is missing, table, figure
    python benchmarks/table_3_1.py --characters 1000000 --brackets 0 --seeds 1 --jobs 1

aⁿbⁿ(1, 32): UORO with memory 1, 2, 16 and truncated backpropagation over 1, 2, 16 steps, of an LSTM
and a GRU; distant brackets (1, 5, 10): UORO and truncation to 4 steps. 64 units, batch 1, one pass,
one update per chunk, Adam with step size 1e-3 / (1 + decay √t), t in characters.

Every run is a process of its own on one thread; its rows are appended to the CSV when it is done,
and what is there for the same number of characters is not run again. A row is the loss in bits per
character since the point before, of about 50 points. Needs numba.
"""

import argparse
import csv
import io
import math
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

RESULTS = Path(__file__).parent / "results" / "table_3_1.csv"
FIELDS = ["task", "method", "memory", "seed", "budget", "characters", "bpc", "cpu_us"]
POINTS, BLOCK, LAST = 50, 2000, 100_000
TASKS = {
    "anbn": "env=anbn env.shortest=1 env.longest=32 agent.lr_decay=0.03",
    "brackets": "env=distant_brackets env.inside=1 env.between=5 env.letters=10"
    " agent.lr_decay=0.015",
}
METHODS = {
    "UORO": "gradient=uoro gradient.memory_steps=1",
    **{f"UORO memory-{T}": f"gradient=uoro gradient.memory_steps={T}" for T in (2, 16)},
    **{f"TBPTT {L}": f"gradient=tbptt gradient.length={L}" for L in (1, 2, 4, 16)},
}
THESIS = {
    "UORO": {"lstm": 0.147, "gru": 0.155},
    "UORO memory-2": {"lstm": 0.149, "gru": 0.174},
    "UORO memory-16": {"lstm": 0.154, "gru": 0.149},
    "TBPTT 1": {"lstm": 0.178, "gru": 0.231},
    "TBPTT 2": {"lstm": 0.149, "gru": 0.285},
    "TBPTT 16": {"lstm": 0.144, "gru": 0.207},
}
"""Of aⁿbⁿ, the last 10⁵ characters."""
MEMORIES = ("lstm", "gru")


class Cell(NamedTuple):
    """What is run on several seeds."""

    task: str
    method: str
    memory: str


class Curve(NamedTuple):
    """One run."""

    seed: int
    characters: np.ndarray
    bpc: np.ndarray
    """Each since the point before."""
    cpu_us: float
    """Per character."""

    def since(self, first: float) -> float:
        """Mean loss from there to the end."""
        own = self.characters > first
        return float(np.average(self.bpc[own], weights=self._lengths()[own]))

    def cumulated(self) -> np.ndarray:
        """Mean loss from the beginning, as the thesis draws it."""
        return (self.bpc * self._lengths()).cumsum() / self.characters

    def _lengths(self) -> np.ndarray:
        return np.diff(self.characters, prepend=0)


CELLS = {
    "anbn": [Cell("anbn", method, memory) for method in THESIS for memory in MEMORIES],
    "brackets": [
        Cell("brackets", method, memory) for method in ("UORO", "TBPTT 4") for memory in MEMORIES
    ],
}


def play(cell: Cell, seed: int, budget: int) -> list[list[str | int | float]]:
    """One run; its points as rows."""
    import torch

    from configs import predict
    from configs.compose import compose_train
    from rlkit.seeding import seed_everything

    torch.set_num_threads(1)
    words = f"agent=predictor agent.lr=[1e-3] {TASKS[cell.task]} {METHODS[cell.method]} num_envs=1"
    words += f" memory={cell.memory} memory.hidden_size=64 optimizer=adam seed={seed}"
    words += f" agent.kernel=numba agent.block_steps={BLOCK} env_steps={budget}"
    agent, loop = predict.make_parts(compose_train(words.split()), seed_everything(seed))
    goals = {budget * (i + 1) // POINTS for i in range(POINTS)}
    goals |= {budget * 19 // 20, max(budget - LAST, BLOCK)}
    points: list[tuple[int, float]] = []
    before, began, compiled = agent.totals.clone(), 0.0, 0
    for goal in sorted(goals):
        if loop.vector_steps >= goal:
            continue
        while loop.vector_steps < goal:
            loop.block()
            if not compiled:
                began, compiled = time.process_time(), loop.vector_steps
        loss, weight = (agent.totals - before)[:2, 0].tolist()
        points.append((loop.vector_steps, loss / weight / math.log(2)))
        before = agent.totals.clone()
    us = 1e6 * (time.process_time() - began) / max(loop.vector_steps - compiled, 1)
    return [[*cell, seed, budget, at, f"{bpc:.5f}", f"{us:.1f}"] for at, bpc in points]


def make(cells: Iterable[Cell], seeds: int, budget: int, jobs: int) -> None:
    """Runs what is missing, the first seeds of all cells first."""
    made = curves(cells, budget)
    todo = [
        (cell, seed)
        for seed in range(seeds)
        for cell in cells
        if seed not in {curve.seed for curve in made.get(cell, [])}
    ]
    print(f"{len(todo)} runs of {budget} characters to do", flush=True)
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(play, *job, budget) for job in todo]):
            rows, new = done.result(), not RESULTS.exists()
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([FIELDS, *rows][not new :])
            with RESULTS.open("a", newline="") as file:
                file.write(text.getvalue())  # all of a run or nothing
            print(*rows[-1], flush=True)


def curves(cells: Iterable[Cell], budget: int) -> dict[Cell, list[Curve]]:
    """What was run of each cell, seeds in order."""
    runs = defaultdict(list)
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            for r in csv.DictReader(file):
                if int(r["budget"]) == budget:
                    runs[Cell(r["task"], r["method"], r["memory"]), int(r["seed"])].append(r)
    found = defaultdict(list)
    for (cell, seed), rows in sorted(runs.items()):
        if cell in cells:
            at, bpc = (np.array([float(r[key]) for r in rows]) for key in ("characters", "bpc"))
            found[cell].append(Curve(seed, at, bpc, float(rows[-1]["cpu_us"])))
    return {cell: found[cell] for cell in cells if cell in found}


def table(found: dict[Cell, list[Curve]], budget: int) -> list[str]:
    """Markdown, a line per cell."""
    lines = [
        f"| task | method | memory | median, last {LAST:.0e} | each | median, last 5 % | each"
        " | thesis | µs per character |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for cell, runs in found.items():
        columns = []
        for first in (max(budget - LAST, BLOCK), budget * 19 // 20):
            values = [run.since(first) for run in runs]
            each = ", ".join(f"{v:.3f}" for v in values)
            columns += [f"{statistics.median(values):.3f}", each]
        theirs = THESIS.get(cell.method, {}).get(cell.memory, "") if cell.task == "anbn" else ""
        us = statistics.median(run.cpu_us for run in runs)
        lines.append(f"| {' | '.join([*cell, *columns])} | {theirs} | {us:.1f} |")
    return lines


def draw(panels: dict[str, dict[Cell, list[Curve]]]) -> None:
    """Loss of all characters so far, a colour per method, a line per seed."""
    from matplotlib.figure import Figure

    from configs import predict
    from configs.compose import compose_train

    figure = Figure(figsize=(4.6 * len(MEMORIES), 3.6 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), len(MEMORIES), squeeze=False, sharey="row")
    for row, (name, found) in zip(grid, panels.items(), strict=True):
        words = ["agent=predictor", "memory=gru", "gradient=uoro", *TASKS[name].split()]
        task = predict.make_task(compose_train(words))
        for axes, memory in zip(row, MEMORIES, strict=True):
            axes.set(title=f"{name}, {memory}", xlabel="characters", xscale="log")
            for cell, runs in found.items():
                color = f"C{list(METHODS).index(cell.method)}"
                for i, run in enumerate(runs if cell.memory == memory else []):
                    label = None if i else cell.method
                    axes.plot(run.characters, run.cumulated(), color, lw=1, alpha=0.8, label=label)
            for what, bpc in {"entropy": task.optimum, **task.references}.items():
                axes.axhline(bpc, color="k", lw=0.8, ls=":" if what == "entropy" else "--")
            axes.set_ylim(0.9 * task.optimum, 1.1 * task.memoryless_loss)
            axes.legend(fontsize=8)
        row[0].set_ylabel("bits per character, from the first to here")
    figure.savefig(RESULTS.with_suffix(".png"), dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--characters", type=int, default=10_000_000, help="of aⁿbⁿ; 0: none")
    parser.add_argument("--brackets", type=int, default=5_000_000, help="of brackets; 0: none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    panels = {}
    for task, budget in (("anbn", given.characters), ("brackets", given.brackets)):
        if budget:
            make(CELLS[task], given.seeds, budget, given.jobs)
            panels[task] = curves(CELLS[task], budget)
            print(*table(panels[task], budget), sep="\n")
    draw(panels)


if __name__ == "__main__":
    main()
