"""Memories on sequence tasks: the experiments of two chapters of Tallec 2019.

    python benchmarks/sequences.py warping          # figure 5.1, warps and pads of 50
    python benchmarks/sequences.py generalisation   # figure 5.5, trained to 50, tested beyond
    python benchmarks/sequences.py copying          # figure 5.3, the variable task, T = 500
    python benchmarks/sequences.py sizes            # figure 3.1c, UORO on a short copy task
    python benchmarks/sequences.py tables

Every run is `python train.py` with the words in the CSV, two at a time, one thread each; one row
per evaluation (held-out sequences). Runs that are in the file already are not made again.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from runs import append, command, read  # noqa: E402

from rlkit.run.statistics import bootstrap_interval, iqm  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "sequences.csv"


class Run(NamedTuple):
    task: str
    arm: str
    words: str
    seeds: int = 3
    beyond: tuple[str, ...] = ()
    """words of evaluate.py, each asked of the last weights"""


def warping() -> Iterator[Run]:
    for env in ("warping", "padding"):
        for kind, shortest in (("uniform", 50), ("1 to 50", 1)):
            for memory in ("elman", "leaky", "gated"):
                words = f"experiment=tallec2019_figure_5_1 env={env} env.shortest={shortest}"
                yield Run(f"{env}, {kind}", memory, f"{words} memory={memory}")


def generalisation() -> Iterator[Run]:
    beyond = tuple(
        f"env.shortest=100 env.longest={longest} env.steps=5000" for longest in (100, 300, 500)
    )
    for memory, own in (("elman", ""), ("leaky", ""), ("gated", " memory.chrono=50")):
        words = f"experiment=tallec2019_figure_5_5 memory={memory}{own}"
        yield Run("warping, trained on 1 to 50", memory + own[1:], words, 3, beyond)


def copying() -> Iterator[Run]:
    words = "experiment=tallec2019_figure_5_3 env=variable_copying updates=2000"
    for name, chrono in (("standard", "null"), ("chrono", "500")):
        yield Run("variable copying, T = 500", name, f"{words} memory.chrono={chrono}", 1)


def sizes() -> Iterator[Run]:
    for units in (4, 16, 64, 128):
        words = f"experiment=tallec2019_figure_3_1c memory.hidden_size={units} agent.kernel=numba"
        yield Run("copying by UORO, T = 5", f"{units} units", words)


STUDIES = {f.__name__: f for f in (warping, generalisation, copying, sizes)}


def play(run: Run, seed: int) -> list[dict[str, Any]]:
    """One training run; its evaluations as rows."""
    with tempfile.TemporaryDirectory() as outputs:
        plain = f"seed={seed} tensorboard=false plots=false checkpoint.count=1 outputs={outputs}"
        folder = Path(
            command("train.py", *run.words.split(), *plain.split())
            .splitlines()[-1]
            .removeprefix("run: ")
        )
        records = [json.loads(x) for x in (folder / "eval.jsonl").read_text().splitlines()]
        rows = [row(run, seed, r) for r in records]
        for change in run.beyond:
            request = f"run={folder} checkpoint=last json=true {change}"
            record = records[-1] | json.loads(command("evaluate.py", *request.split()))
            rows.append(row(run, seed, record) | {"task": f"{run.task} → {change}"})
    return rows


def row(run: Run, seed: int, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "task": run.task,
        "arm": run.arm,
        "seed": seed,
        "words": run.words,
        "updates": record["updates"],
        "loss": f"{record['loss']:.5g}",
        "accuracy": f"{record['accuracy']:.4f}" if "accuracy" in record else "",
        "memoryless": f"{record['memoryless_loss']:.5g}",
        "wall_seconds": round(record["wall_seconds"], 1),
    }


def study(name: str, jobs: int) -> None:
    made = {(r["words"], int(r["seed"])) for r in read(RESULTS)}
    todo = [
        (run, seed)
        for seed in range(3)
        for run in STUDIES[name]()
        if seed < run.seeds and (run.words, seed) not in made
    ]
    lock = Lock()

    def one(pair: tuple[Run, int]) -> None:
        found = play(*pair)
        with lock:
            append(RESULTS, found)
        print(*(found[-1][k] for k in ("task", "arm", "seed", "loss", "wall_seconds")), flush=True)

    with ThreadPoolExecutor(jobs) as pool:  # each waits for a process
        list(pool.map(one, todo))


def table() -> str:
    """The last evaluation of every run: interquartile mean, interval, and every seed."""
    runs: dict[tuple[str, str], dict[int, dict[str, str]]] = defaultdict(dict)
    for r in read(RESULTS):
        runs[r["task"], r["arm"]][int(r["seed"])] = r
    lines = [
        "| task | arm | updates | loss | every seed | accuracy | without memory | wall min |",
        "|---|---|---:|---|---|---|---:|---:|",
    ]
    for (task, arm), by_seed in runs.items():
        rows = [by_seed[s] for s in sorted(by_seed)]
        x = np.array([float(r["loss"]) for r in rows])
        low, high = bootstrap_interval(x)
        each = ", ".join(f"{v:.3f}" for v in x)
        right = ", ".join(f"{float(r['accuracy']):.2f}" for r in rows if r["accuracy"])
        wall = np.mean([float(r["wall_seconds"]) for r in rows]) / 60
        lines.append(
            f"| {task} | `{arm}` | {rows[0]['updates']} | {iqm(x):.3f} [{low:.3f}, {high:.3f}] |"
            f" {each} | {right} | {float(rows[0]['memoryless']):.3f} | {wall:.1f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*STUDIES, "tables"])
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.study != "tables":
        study(arguments.study, arguments.jobs)
    print(table())


if __name__ == "__main__":
    main()
