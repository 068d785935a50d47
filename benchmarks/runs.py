"""Runs of train.py for a study: many cells, several seeds, one CSV row per evaluation.

A cell that is in the file already is not made again, so a study may be stopped and started at will.
"""

import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
PLAIN = "tensorboard=false plots=false checkpoint.count=0"
LABELS = ("stage", "arm", "env", "dt")
FIELDS = (*LABELS, "seed", "words", "sim_seconds", "env_steps", "updates", "return_mean")
FIELDS += ("train_wall_seconds",)

Array = NDArray[np.float64]


class Cell(NamedTuple):
    """What is run on several seeds."""

    stage: str
    arm: str
    env: str
    dt: float
    words: str
    """of train.py, beside env, dt and seed"""
    seeds: tuple[int, ...]


class Curve(NamedTuple):
    """One run: evaluations in order."""

    seed: int
    seconds: Array
    returns: Array
    wall_seconds: float

    @property
    def last3(self) -> float:
        return float(self.returns[-3:].mean())

    @property
    def best(self) -> float:
        return float(self.returns.max())


def make(path: Path, cells: Iterable[Cell], jobs: int = 2) -> None:
    """Runs what is missing, the first seeds of all cells first."""
    made = {(r["env"], float(r["dt"]), r["words"], int(r["seed"])) for r in read(path)}
    todo = [
        (i, cell, seed)
        for cell in cells
        for i, seed in enumerate(cell.seeds)
        if (cell.env, cell.dt, cell.words, seed) not in made
    ]
    todo.sort(key=lambda t: t[0])
    lock, start = Lock(), time.time()

    def one(job: tuple[int, Cell, int]) -> None:
        _, cell, seed = job
        rows = play(cell, seed)
        with lock:
            new = not path.exists()
            with open(path, "a", newline="") as file:
                text = io.StringIO()
                csv.writer(text, lineterminator="\n").writerows([FIELDS, *rows][not new :])
                file.write(text.getvalue())  # all of a run or nothing
            ends = [float(r[FIELDS.index("return_mean")]) for r in rows]
            result = f"best {max(ends):.1f} last {ends[-1]:.1f} wall {rows[-1][-1]:.0f} s"
            at = f"{time.time() - start:6.0f} s"
            print(f"{at}  {cell.arm} {cell.env} dt={cell.dt:g} seed {seed}: {result}", flush=True)

    print(f"{len(todo)} runs to do", flush=True)
    with ThreadPoolExecutor(jobs) as pool:  # each waits for a process
        list(pool.map(one, todo))


def play(cell: Cell, seed: int) -> list[tuple[str | float, ...]]:
    """One training run; its evaluations as rows."""
    with tempfile.TemporaryDirectory() as outputs:
        words = f"{cell.words} env={cell.env} dt={cell.dt:g} seed={seed} {PLAIN} outputs={outputs}"
        printed = command("train.py", *words.split())
        folder = Path(printed.splitlines()[-1].removeprefix("run: "))
        records = [json.loads(line) for line in (folder / "eval.jsonl").read_text().splitlines()]
    kept = ("sim_seconds", "env_steps", "updates")
    return [
        (
            *(cell.stage, cell.arm, cell.env, cell.dt, seed, cell.words),
            *(r[k] for k in kept),
            round(r["return_mean"], 4),
            round(r["wall_seconds"], 1),
        )
        for r in records
    ]


def command(*words: str) -> str:
    """What a script of the project prints; RuntimeError with its complaint if it fails."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return done.stdout


def append(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows of the same columns, below a header if the file is new: all of them or none."""
    new, text = not path.exists(), io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    if new:
        writer.writeheader()
    writer.writerows(rows)
    with open(path, "a", newline="") as file:
        file.write(text.getvalue())


def read(path: Path) -> list[dict[str, str]]:
    """All rows; none if nothing was run."""
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def curves(path: Path, cells: Iterable[Cell]) -> dict[Cell, list[Curve]]:
    """What was run of each cell, seeds in order."""
    rows = defaultdict(list)
    for r in read(path):
        rows[r["env"], float(r["dt"]), r["words"], int(r["seed"])].append(r)
    found = {}
    for cell in cells:
        made = [(s, rows.get((cell.env, cell.dt, cell.words, s))) for s in cell.seeds]
        found[cell] = [_curve(seed, run) for seed, run in made if run]
    return {cell: runs for cell, runs in found.items() if runs}


def _curve(seed: int, run: list[dict[str, str]]) -> Curve:
    seconds, returns = (
        np.array([float(r[key]) for r in run]) for key in ("sim_seconds", "return_mean")
    )
    return Curve(seed, seconds, returns, float(run[-1]["train_wall_seconds"]))


def table(
    found: dict[Cell, list[Curve]], score: Callable[[Curve], float] = lambda c: c.best
) -> list[str]:
    """Markdown: per cell the score of every seed, interquartile mean and 95 % interval."""
    sys.path.insert(0, str(ROOT))
    from rlkit.run.statistics import bootstrap_interval, iqm

    lines = [
        "| arm | env | dt (s) | best of each seed | IQM [95 %] | last three | s/env | wall min |",
        "|---|---|---:|---|---|---|---:|---:|",
    ]
    for cell, runs in found.items():
        scores = [score(c) for c in runs]
        low, high = bootstrap_interval(scores, iqm)
        each, ends = (", ".join(f"{v:.1f}" for v in x) for x in (scores, [c.last3 for c in runs]))
        wall = np.mean([c.wall_seconds for c in runs]) / 60
        lines.append(
            f"| {cell.arm} | {cell.env} | {cell.dt:g} | {each} | {iqm(scores):.1f}"
            f" [{low:.1f}, {high:.1f}] | {ends} | {runs[0].seconds[-1]:.0f} | {wall:.1f} |"
        )
    return lines


def figure(found: dict[Cell, list[Curve]], path: Path, ylabel: str = "scaled return") -> None:
    """One panel per environment and dt, one colour per arm, one line per seed."""
    from matplotlib.figure import Figure

    envs = list(dict.fromkeys(c.env for c in found))
    steps = {env: sorted({c.dt for c in found if c.env == env}, reverse=True) for env in envs}
    columns = max(map(len, steps.values()))
    arms = list(dict.fromkeys(c.arm for c in found))
    drawing = Figure(figsize=(3.2 * columns, 2.5 * len(envs) + 0.8), layout="constrained")
    axes = drawing.subplots(len(envs), columns, squeeze=False, sharey="row")
    lines = {}
    for row, env in zip(axes, envs, strict=True):
        for ax in row[len(steps[env]) :]:
            ax.axis("off")
        for ax, dt in zip(row, steps[env], strict=False):
            ax.set_title(f"{env.replace('_', ' ')}, dt = {dt:g} s", fontsize=9)
            for cell, runs in found.items():
                if (cell.env, cell.dt) == (env, dt):
                    for run in runs:
                        color = f"C{arms.index(cell.arm) % 10}"
                        (line,) = ax.plot(run.seconds, run.returns, color=color, lw=1, alpha=0.8)
                        lines[cell.arm] = line
        row[0].set_ylabel(ylabel)
    for ax in axes[-1]:
        ax.set_xlabel("physical seconds per environment")
    drawing.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=4, fontsize=8)
    drawing.savefig(path, dpi=110)
