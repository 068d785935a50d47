"""A curriculum over dt against the fine dt from the start: DAU on the pendulum.

    python benchmarks/dt_curriculum.py [--seeds 5] [--seconds 16]      # run what is missing, report
    python benchmarks/dt_curriculum.py --seeds 0                       # report alone

Every arm has the same simulated time and the same evaluations: whatever dt it is trained at, its
greedy policy plays the fixed 64 starts at dt = 0.002. Wall time is that of training, evaluations
and start taken out; one run after the other, a process of one thread each.

One row per evaluation goes to results/dt_curriculum.csv; runs that are in it are not made again.
The report is results/dt_curriculum.md and .png.
"""

import argparse
import csv
import json
import multiprocessing
import sys
import tempfile
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CSV = ROOT / "benchmarks" / "results" / "dt_curriculum.csv"
TABLE = CSV.with_suffix(".md")
FIGURE = CSV.with_suffix(".png")
FINE, ENOUGH, EVALUATIONS_PER_SECOND = 0.002, -8.0, 1
ARMS = {
    "0.002": "dt=0.002",
    "0.05, 0.002": "dt_schedule=[0.05,0.002]",
    "0.05, 0.01, 0.002": "dt_schedule=[0.05,0.01,0.002]",
}
FIELDS = (
    *("arm", "seed", "seconds", "dt", "sim_seconds", "env_steps", "updates"),
    *("train_wall_seconds", "return_mean"),
)


class Run(NamedTuple):
    arm: str
    seed: int
    seconds: float
    """simulated time of the whole run"""


class Curve(NamedTuple):
    """One run; all of length N, the number of evaluations."""

    sim_seconds: NDArray[np.float64]
    wall_seconds: NDArray[np.float64]
    returns: NDArray[np.float64]

    def solved(self) -> int | None:
        """The first evaluation that is good enough and followed by another such one."""
        good = self.returns >= ENOUGH
        twice = np.flatnonzero(good[:-1] & good[1:])
        return int(twice[0]) if len(twice) else None


def play(run: Run) -> list[tuple[Any, ...]]:
    """Trains once, evaluating at the fine dt; its rows."""
    from configs import build
    from configs.compose import compose_train
    from configs.stages import resolve, stages_of
    from rlkit.run.folder import new_folder
    from rlkit.run.session import Part, Session
    from rlkit.seeding import one_thread, seed_everything

    one_thread()
    with tempfile.TemporaryDirectory() as outputs:
        words = (
            f"agent=dau env=pendulum {ARMS[run.arm]} seed={run.seed} sim_seconds={run.seconds:g}"
        )
        words += f" evaluation.count={round(run.seconds * EVALUATIONS_PER_SECOND)}"
        words += f" log_every_seconds={0.5 / EVALUATIONS_PER_SECOND} checkpoint.count=0"
        words += f" tensorboard=false plots=false outputs={outputs}"
        config = compose_train(words.split())
        seeds = seed_everything(config["seed"])
        config |= {"resolved": resolve(config)}
        settings = config["evaluation"]

        def make(stage: Any, before: Any = None) -> Part:
            part = build.make_part(config, stage, seeds, before)
            fine = build.make_envs({**config, "dt": FINE}, settings["num_envs"])
            play_fine = partial(build.make_evaluator, part.loop.agent, fine)
            evaluate = play_fine(settings["episodes"], settings["seed"])
            return part._replace(eval_envs=fine, evaluate=evaluate)

        first, *later = stages_of(config)
        folder = new_folder(config)
        Session(folder, config, make(first)).run(later, make)
        metrics, records = (
            [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
            for name in ("metrics", "eval")
        )
    began = {m["env_steps"]: m["wall_seconds"] for m in metrics}  # logged just before evaluating
    rows, evaluating = [], 0.0
    for r in records:
        evaluating += r["wall_seconds"] - began[r["env_steps"]]
        wall, kept = r["wall_seconds"] - evaluating, ("dt", "sim_seconds", "env_steps", "updates")
        rows.append((*run, *(r[k] for k in kept), round(wall, 2), round(r["return_mean"], 4)))
    return rows


def read() -> dict[Run, Curve]:
    """What was run."""
    if not CSV.exists():
        return {}
    found: dict[Run, list[tuple[float, float, float]]] = defaultdict(list)
    with open(CSV, newline="") as file:
        for r in csv.DictReader(file):
            run = Run(r["arm"], int(r["seed"]), float(r["seconds"]))
            found[run].append(
                (float(r["sim_seconds"]), float(r["train_wall_seconds"]), float(r["return_mean"]))
            )
    return {run: Curve(*np.array(points).T) for run, points in found.items()}


def make_missing(seeds: int, seconds: float) -> None:
    """Runs what is not in the file, the first seed of all arms first."""
    made = read()
    todo = [Run(arm, seed, seconds) for seed in range(seeds) for arm in ARMS]
    todo = [run for run in todo if run not in made]
    print(f"{len(todo)} runs to do", flush=True)
    CSV.parent.mkdir(exist_ok=True)
    new = not CSV.exists()
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1, maxtasksperchild=1) as pool, open(CSV, "a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(FIELDS)
        for rows in pool.imap(play, todo, chunksize=1):
            writer.writerows(rows)
            file.flush()
            *_, wall, last = rows[-1]
            print(f"{rows[0][:2]}: last {last:.2f}, {wall:.1f} s of training", flush=True)


def _summary(values: list[float], unit: str) -> str:
    """Median [best, worst]; a run that never gets there is worse than any."""

    def text(value: float) -> str:
        return f"{value:.1f}" if np.isfinite(value) else "never"

    return f"{text(np.median(values))} [{text(min(values))}, {text(max(values))}] {unit}"


def table(curves: dict[Run, Curve], seconds: float) -> list[str]:
    """Markdown: how soon each arm is good enough, in both kinds of time."""
    lines = [
        f"| dt (s) | seeds solved | simulated time to {ENOUGH:g} | training wall time to it |"
        " mean of the last three | training wall time in all |",
        "|---|---|---|---|---|---|",
    ]
    for arm in ARMS:
        runs = [c for run, c in curves.items() if (run.arm, run.seconds) == (arm, seconds)]
        if not runs:
            continue
        at = [c.solved() for c in runs]
        sim = [np.inf if i is None else c.sim_seconds[i] for i, c in zip(at, runs, strict=True)]
        wall = [np.inf if i is None else c.wall_seconds[i] for i, c in zip(at, runs, strict=True)]
        ends = [float(c.returns[-3:].mean()) for c in runs]
        lines.append(
            f"| {arm} | {sum(i is not None for i in at)} of {len(runs)} | {_summary(sim, 's')} |"
            f" {_summary(wall, 's')} | {np.median(ends):.2f} [{max(ends):.2f}, {min(ends):.2f}] |"
            f" {_summary([float(c.wall_seconds[-1]) for c in runs], 's')} |"
        )
    return lines


def draw(curves: dict[Run, Curve], seconds: float) -> None:
    """Return at the fine dt against both kinds of time: every seed, and the median."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for i, arm in enumerate(ARMS):
        runs = [c for run, c in curves.items() if (run.arm, run.seconds) == (arm, seconds)]
        for axes, field in zip(panels, ("sim_seconds", "wall_seconds"), strict=True):
            for c in runs:
                axes.plot(getattr(c, field), c.returns, color=f"C{i}", lw=0.7, alpha=0.4)
            if runs:
                times = np.median([getattr(c, field) for c in runs], axis=0)
                middle = np.median([c.returns for c in runs], axis=0)
                axes.plot(times, middle, color=f"C{i}", lw=2, label=f"dt = {arm}")
    for axes, label in zip(panels, ("simulated time (s)", "training wall time (s)"), strict=True):
        axes.axhline(ENOUGH, color="0.5", lw=0.8, ls=":")
        axes.set(xlabel=label, ylabel=f"return Σ r·dt at dt = {FINE:g} s")
        axes.label_outer()
    panels[0].legend()
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="0 … seeds - 1; 0: report alone")
    parser.add_argument("--seconds", type=float, default=16.0, help="simulated, of each run")
    given = parser.parse_args()
    make_missing(given.seeds, given.seconds)
    curves = read()
    lines = table(curves, given.seconds)
    note = f"{given.seconds:g} simulated seconds; median [best, worst] over seeds."
    TABLE.write_text("\n".join(["# The dt curriculum", "", note, "", *lines]) + "\n")
    draw(curves, given.seconds)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
