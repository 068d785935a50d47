"""Trace conditioning (Elelimy 2023, figures 4.3, 4.5, 4.6): when will the food come?

    python benchmarks/trace_conditioning.py              # figure 4.3, then the table and the figure
    python benchmarks/trace_conditioning.py scaling      # 4.5 and 4.6: more units, longer windows
    python benchmarks/trace_conditioning.py tables       # from the CSV file

Ten distractors; the error is (prediction - exact return)². An exact return tells the future: who
learns from the one of this step at once can tell the next from it, and fast learners do, far below
what is possible. So the weights are tried at 40 moments on other streams, unchanged (8 of 1000
steps, after 200 to begin); the error while learning stands beside it.
RT2 has 500 linear trace units (relu); the GRU's windows slide, so that it too learns at every
step: 13 units and 15 steps, 8 and 30, 5 and 60, as in the thesis. Every arm gets the same grid of
Adam step sizes: three seeds of 5·10⁵ steps choose by the error of the last fifth, ten other seeds
of 2·10⁶ steps are reported. `scaling` reports the best of the grid itself, three seeds.

Nominal floating-point operations of a step without Adam, n units, d inputs, L steps of window:
18 n d for RT2 (a complex trace advances, 8; its gradient, 6; the input, 4) and 18 L n (n + d) for
the GRU (three gates forward, 6, and twice that backward). By the thesis' own count (footnote 2)
they are n (1 + d) and L (2n² + 2nd + 2n). CPU time is of one core, of all agents of a run, with
numba's kernels; data are in it.
"""

import argparse
import csv
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from rlkit.run.statistics import bootstrap_interval, iqm

RESULTS = Path(__file__).parent / "results" / "trace_conditioning.csv"
FIELDS = [
    "stage",
    "arm",
    "lr",
    "seed",
    "step",
    "error",
    "online_error",
    "cpu_us_per_agent_step",
    "wall_seconds",
]
GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
CHOOSING, FINAL = (3, 500_000), (10, 2_000_000)
"""Seeds and steps."""
INPUTS, POINTS, BLOCK = 12, 40, 2_000
OPTIMUM = 0.01954
"""See docs/envs/sequence.md."""
STREAMS, BEGIN, TRIED = 8, 200, 1_000
Runs = dict[tuple[float, int], list[dict[str, str]]]
"""Rows by step size and seed."""
Found = dict[tuple[str, str], Runs]
"""Runs by stage and arm."""


class Arm(NamedTuple):
    """A memory and how it learns; L is the window, 0 for real time."""

    units: int
    L: int = 0

    @property
    def name(self) -> str:
        return f"gru {self.units}, T = {self.L}" if self.L else f"RT2 {self.units}"

    @property
    def words(self) -> list[str]:
        if self.L:
            kind = ["memory=gru", "gradient=tbptt", "gradient.window=sliding"]
            return [*kind, f"gradient.length={self.L}", f"memory.hidden_size={self.units}"]
        return ["memory=rtu", "gradient=rt2", f"memory.hidden_size={self.units}"]

    @property
    def flops(self) -> tuple[int, int]:
        """Ours, the thesis'."""
        n, d, L = self.units, INPUTS, self.L
        if L:
            return 18 * L * n * (n + d), L * (2 * n * n + 2 * n * d + 2 * n)
        return 18 * n * d, n * (1 + d)


CONSTRAINT = (Arm(500), Arm(13, 15), Arm(8, 30), Arm(5, 60))
SCALING = (
    *(Arm(n) for n in (80, 160, 300, 1150)),
    *(Arm(13, L) for L in (30, 45, 60)),
    *(Arm(n, 45) for n in (8, 20, 30)),
)


def run(stage: str, arm: Arm, rates: Sequence[float], shape: tuple[int, int], seed: int) -> None:
    """All step sizes and seeds of an arm at once; rows are written at the end."""
    import torch

    from configs import predict
    from configs.compose import compose_train
    from rlkit.loops.supervised import for_agents
    from rlkit.seeding import seed_everything

    torch.set_num_threads(1)
    seeds, steps = shape
    words = [
        *("agent=predictor", "env=trace_conditioning", "agent.kernel=numba"),
        *(f"agent.seeds={seeds}", f"agent.lr={list(rates)}".replace(" ", "")),
        *(f"agent.block_steps={BLOCK}", *arm.words),
    ]
    config = compose_train(words)
    agent, loop = predict.make_parts(config, seed_everything(seed))
    loop.block()  # compiles
    wall, cpu, before = time.time(), 0.0, agent.totals[:2].clone()
    task, rng, rows = predict.make_task(config), np.random.default_rng(10_000 + seed), []
    for point in np.linspace(steps / POINTS, steps, POINTS):
        began = time.process_time()
        while agent.steps < point:
            loop.block()
        cpu += time.process_time() - began
        us = 1e6 * cpu / (agent.steps - BLOCK) / agent.N
        now, seconds = agent.totals[:2].clone(), time.time() - wall
        online_N, before = (now[0] - before[0]) / (now[1] - before[1]), now
        others = for_agents(task, task.sample(rng, BEGIN + TRIED, STREAMS * seeds), *agent.shape)
        others.weight_TNB[:BEGIN] = 0
        loss_N, weight_N = agent.evaluate(others)[:2]
        pairs = torch.stack((loss_N / weight_N, online_N), 1).view(*agent.shape, 2).tolist()
        for lr, own in zip(rates, pairs, strict=True):
            for i, (error, online) in enumerate(own):
                row = [stage, arm.name, lr, seed + i, agent.steps, f"{error:.6g}"]
                rows.append([*row, f"{online:.6g}", f"{us:.2f}", f"{seconds:.0f}"])
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([FIELDS, *rows][not new :])
    print(f"{stage} {arm.name}: {us:.1f} µs, {seconds / 60:.1f} min", flush=True)


def read() -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            for r in csv.DictReader(file):
                found[r["stage"], r["arm"]][float(r["lr"]), int(r["seed"])].append(r)
    return found


def errors(rows: list[dict[str, str]], which: str = "error") -> np.ndarray:
    return np.array([float(r[which]) for r in rows])


def best(runs: Runs) -> float:
    """The step size with the least error in the last fifth, mean over seeds."""
    last: dict[float, list[float]] = defaultdict(list)
    for (lr, _), rows in runs.items():
        last[lr].append(errors(rows)[-POINTS // 5 :].mean())
    return min(last, key=lambda lr: np.nan_to_num(np.mean(last[lr]), nan=np.inf))


def study(arms: Sequence[Arm], jobs: int, final: bool) -> None:
    with ProcessPoolExecutor(jobs) as pool:
        found, todo = read(), []
        for arm in arms:
            made = {lr for lr, _ in found["choose", arm.name]}
            if rates := [lr for lr in GRID if lr not in made]:
                todo.append(pool.submit(run, "choose", arm, rates, CHOOSING, 0))
        for future in todo:
            future.result()
        found, todo = read(), []
        for arm in arms if final else ():
            lr = best(found["choose", arm.name])
            if lr not in {lr for lr, _ in found["final", arm.name]}:
                todo.append(pool.submit(run, "final", arm, [lr], FINAL, 100))
        for future in todo:
            future.result()


def finals(found: Found, arm: Arm) -> dict[int, list[dict[str, str]]]:
    """Seeds with the chosen step size."""
    runs = found["final", arm.name]
    if not runs:
        return {}
    lr = best(found["choose", arm.name])
    return {seed: rows for (own, seed), rows in runs.items() if own == lr}


def spread(values: Sequence[float]) -> str:
    low, high = bootstrap_interval(values)
    return f"{iqm(values):.4f} [{low:.4f}, {high:.4f}]"


def tables() -> None:
    found = read()
    print(
        "| arm | lr | error, 2·10⁶ steps | last tenth | while learning, last tenth |"
        " kFLOPs (thesis) | µs/step | wall min |"
    )
    print("|---|---:|---|---|---|---:|---:|---:|")
    for arm in CONSTRAINT:
        runs = finals(found, arm)
        if not runs:
            continue
        rows = next(iter(runs.values()))
        lr = float(rows[0]["lr"])
        last = slice(-POINTS // 10, None)
        columns = (
            spread([errors(r, which)[part].mean() for r in runs.values()])
            for which, part in (("error", slice(None)), ("error", last), ("online_error", last))
        )
        ours, thesis = arm.flops
        us, wall = rows[-1]["cpu_us_per_agent_step"], float(rows[-1]["wall_seconds"]) / 60
        print(
            f"| {arm.name} | {lr:g} | {' | '.join(columns)} |"
            f" {ours / 1e3:.0f} ({thesis / 1e3:.1f}) | {float(us):.1f} | {wall:.1f} |"
        )
    print("\n| arm | " + " | ".join(f"{lr:g}" for lr in GRID) + " | kFLOPs (thesis) | µs/step |")
    print("|---|" + "---:|" * (len(GRID) + 2))
    for arm in (*CONSTRAINT, *SCALING):
        runs = found.get(("choose", arm.name), {})
        if runs:
            cells = []
            for lr in GRID:
                own = [errors(r)[-POINTS // 5 :].mean() for (x, _), r in runs.items() if x == lr]
                cells.append(f"{np.mean(own):.4f} ± {np.std(own, ddof=1):.4f}")
            us = float(next(iter(runs.values()))[-1]["cpu_us_per_agent_step"])
            cost = f"{arm.flops[0] / 1e3:.0f} ({arm.flops[1] / 1e3:.1f}) | {us:.1f}"
            print(f"| {arm.name} | {' | '.join(cells)} | {cost} |")
    draw(found)


def draw(found: Found) -> None:
    """Learning curves of all seeds; errors at equal and at growing cost."""
    from matplotlib.figure import Figure

    scaled = any(("choose", arm.name) in found for arm in SCALING)
    figure = Figure(figsize=(12 if scaled else 5, 3.8), layout="constrained")
    left, *panels = figure.subplots(1, 3 if scaled else 1, squeeze=False)[0]
    for i, arm in enumerate(CONSTRAINT):
        runs = list(finals(found, arm).values())
        if runs:
            step = [int(r["step"]) for r in runs[0]]
            curves = np.array([errors(r) for r in runs])
            left.plot(step, iqm(curves), f"C{i}", label=arm.name)
            left.fill_between(step, *bootstrap_interval(curves), color=f"C{i}", alpha=0.25)
    left.axhline(OPTIMUM, color="k", lw=0.8, ls=":")
    left.set(xlabel="steps", ylabel="squared return error", yscale="log", ylim=(0.015, 0.3))
    left.legend()
    if scaled:
        _draw_scaling(found, *panels)
    figure.savefig(RESULTS.with_suffix(".png"), dpi=130)


def _draw_scaling(found: Found, middle: Any, right: Any) -> None:
    families = {
        "RT2": [a for a in (*CONSTRAINT, *SCALING) if not a.L],
        "GRU 13, longer windows": [a for a in (*CONSTRAINT, *SCALING) if a.L and a.units == 13],
        "GRU, T = 45, more units": [a for a in SCALING if a.L == 45],
    }
    for family, arms in families.items():
        points = []
        for arm in arms:
            runs = found.get(("choose", arm.name), {})
            if runs:
                lr = best(runs)
                own = [errors(r)[-POINTS // 5 :].mean() for (x, _), r in runs.items() if x == lr]
                us = float(next(iter(runs.values()))[-1]["cpu_us_per_agent_step"])
                points.append((arm.flops[0], us, np.mean(own), np.std(own)))
        if points:
            flops, us, mean, std = np.array(sorted(points)).T
            middle.errorbar(flops, mean, std, marker="o", label=family)
            right.errorbar(us, mean, std, marker="o", label=family)
    middle.set(xlabel="nominal operations per step", xscale="log")
    right.set(xlabel="CPU µs per step", xscale="log")
    middle.legend(fontsize=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="constraint")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.what != "tables":
        scaling = arguments.what == "scaling"
        study(SCALING if scaling else CONSTRAINT, arguments.jobs, not scaling)
    tables()


if __name__ == "__main__":
    main()
