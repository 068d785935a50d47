"""Learning curves of recurrent PPO, several seeds each: the experiments of two of our sources.

    python benchmarks/ppo_study.py control        # masked and noisy CartPole, default settings
    python benchmarks/ppo_study.py elelimy        # Elelimy 2023, figures 5.2 to 5.4
    python benchmarks/ppo_study.py doorkey        # Gumbsch et al. 2021, figure 6: DoorKey; transfer
    python benchmarks/ppo_study.py memory         # the same where memory is needed: MemoryS7, S11
    python benchmarks/ppo_study.py real_time      # Elelimy 2023, figures 5.4 and 5.5, equal tuning
    python benchmarks/ppo_study.py tables         # docs tables from the CSV files

`real_time` gives three agents the same networks, settings and grid of step sizes on each of four
tasks: PPO by real-time gradients (110 trace units), PPO by BPTT with the same memory, and with a
GRU of 64. Two seeds of their own choose the step size by the mean of the last three evaluations;
the five seeds reported are fresh.

Every run is `python train.py …` with the words in the table, two at a time, one thread each. One
row per evaluation goes to results/ppo_<study>.csv: fresh episodes, a fixed number each, played as
in training (actions drawn). Runs that are in the file already are not made again.
"""

import argparse
import json
import sys
import tempfile
import time
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

RESULTS = Path(__file__).parent / "results"
MASK, NOISE = "wrappers.velocity_mask=true", "wrappers.observation_noise=0.1"


class Run(NamedTuple):
    task: str
    memory: str
    words: str
    """of train.py"""
    seeds: int = 5
    first: int = 0
    """seed"""
    transfer: tuple[str, ...] = ()
    """words of evaluate.py, each played by the last policy"""


def control() -> Iterator[Run]:
    base = f"agent=ppo env=cartpole {MASK}"
    for memory in ("gru", "lstm", "gatel0rd", "rtu", "none"):
        steps = 300_000 if memory == "none" else 150_000
        yield Run("CartPole P", memory, f"{base} memory={memory} env_steps={steps}")
    for memory in ("gru", "rtu", "none"):
        yield Run("CartPole P noise", memory, f"{base} {NOISE} memory={memory} env_steps=300000")
    for noise, name in (("", "Acrobot P"), (NOISE, "Acrobot P noise")):
        for memory in ("gru", "rtu", "none"):
            words = f"agent=ppo env=acrobot {MASK} {noise} memory={memory} env_steps=300000"
            yield Run(name, memory, words)


def elelimy() -> Iterator[Run]:
    figure = "experiment=elelimy2023_figure_5_"
    for env, name in (("cartpole", "CartPole"), ("acrobot", "Acrobot")):
        yield Run(f"{name} full", "none", f"{figure}2 env={env}", 3)
        yield Run(f"{name} P", "none", f"{figure}3 env={env}", 3)
        for noise, suffix in (("", ""), (f" {NOISE}", " noise")):
            for memory in ("gru", "rtu"):
                width = " memory.hidden_size=110" if memory == "rtu" else ""
                words = f"{figure}4 env={env} memory={memory}{width}{noise}"
                yield Run(f"{name} P{suffix}", memory, words, 3)


def doorkey() -> Iterator[Run]:
    base = "experiment=gumbsch2021_figure_6 env=minigrid_doorkey"
    small = "num_envs=16 agent.minibatches=8 env_steps=150000"
    for memory in ("gru", "lstm", "gatel0rd", "none"):
        yield Run("DoorKey-5x5", memory, f"{base} memory={memory} env.size=5 {small}", 3)
    for memory in ("gru", "lstm", "gatel0rd", "none"):
        words = f"{base} memory={memory} env.size=6 env_steps=500000"
        yield Run("DoorKey-6x6", memory, words, 3, 0, ("env.size=8", "env.size=16"))
    for memory in ("gru", "lstm", "gatel0rd"):
        yield Run("DoorKey-8x8", memory, f"{base} memory={memory} env.size=8", 5)


def memory() -> Iterator[Run]:
    base = "experiment=gumbsch2021_figure_6 env=minigrid_memory"
    for name in ("gru", "lstm", "gatel0rd", "none"):
        yield Run("MemoryS7", name, f"{base} memory={name} env.size=7", 5)
    for name in ("gru", "none"):
        yield Run("MemoryS11", name, f"{base} memory={name} env.size=11", 2)


ARMS = {
    "rtu, real time": "agent=ppo_online memory=rtu memory.hidden_size=110",
    "rtu, BPTT": "agent=ppo memory=rtu memory.hidden_size=110",
    "gru, BPTT": "agent=ppo memory=gru memory.hidden_size=64",
}
RATES = (3e-4, 1e-3, 3e-3)
CHOOSING = 2
"""Seeds, from 100 on."""


def real_time() -> Iterator[Run]:
    rest = "agent.encoder_sizes=[] agent.head_sizes=[64,64] env_steps=300000"
    cells = [
        (f"{name} P{suffix}", arm, f"{words} env={env} {MASK}{noise} {rest}")
        for env, name in (("cartpole", "CartPole"), ("acrobot", "Acrobot"))
        for noise, suffix in (("", ""), (f" {NOISE}", " noise"))
        for arm, words in ARMS.items()
    ]
    for task, arm, words in cells:
        for lr in RATES:
            yield Run(f"choose {task}", arm, f"{words} agent.lr={lr:g}", CHOOSING, 100)
    ends = defaultdict(list)
    for r in read(RESULTS / "ppo_real_time.csv"):
        ends[r["words"], r["seed"]].append(float(r["stock_return_mean"]))
    score: dict[str, list[float]] = defaultdict(list)
    for (words, seed), returns in ends.items():
        if int(seed) >= 100:
            score[words].append(float(np.mean(returns[-3:])))
    for task, arm, words in cells:
        grid = {f"{words} agent.lr={lr:g}" for lr in RATES}
        if all(len(score[w]) == CHOOSING for w in grid):
            yield Run(task, arm, max(sorted(grid), key=lambda w: np.mean(score[w])))


STUDIES = {f.__name__: f for f in (control, elelimy, doorkey, memory, real_time)}


def play(run: Run, seed: int) -> list[dict[str, Any]]:
    """One training run; its evaluations as rows."""
    with tempfile.TemporaryDirectory() as outputs:
        plain = f"tensorboard=false plots=false checkpoint.count=1 outputs={outputs}"
        words = [*run.words.split(), f"seed={seed}", *plain.split()]
        folder = Path(command("train.py", *words).splitlines()[-1].removeprefix("run: "))
        metrics = _lines(folder / "metrics.jsonl")
        rows = [_row(run, seed, record, metrics) for record in _lines(folder / "eval.jsonl")]
        for change in run.transfer:
            request = f"run={folder} checkpoint=last json=true {change}"
            record = json.loads(command("evaluate.py", *request.split()))
            rows.append(_row(run, seed, record, metrics) | {"task": f"{run.task} → {change}"})
    return rows


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _row(run: Run, seed: int, record: dict[str, Any], metrics: list[dict[str, Any]]) -> dict:
    """One evaluation, and how training stood then."""
    until = [m for m in metrics if m["env_steps"] <= record["env_steps"]]
    recent = [m for m in until if "rollout/recent_stock_return_mean" in m]
    reached = [m for m in recent if m["rollout/recent_stock_return_mean"] >= 450]
    last = recent[-1] if recent else {}
    return {
        "task": run.task,
        "memory": run.memory,
        "seed": seed,
        "words": run.words,
        "env_steps": record["env_steps"],
        "success_rate": record.get("success_rate", ""),
        "stock_return_mean": round(record["stock_return_mean"], 4),
        "recent_stock_return_mean": round(last.get("rollout/recent_stock_return_mean", 0.0), 4),
        "recent_success_rate": last.get("rollout/recent_success_rate", ""),
        "steps_to_450": reached[0]["env_steps"] if reached else "",
        "wall_seconds": round(record["wall_seconds"], 1),
    }


def study(name: str, seeds: int | None, jobs: int) -> None:
    path = RESULTS / f"ppo_{name}.csv"
    rows = read(path)
    made = {(r["words"], int(r["seed"])) for r in rows}  # a run's rows are written together
    todo = [
        (run, seed)
        for i in range(seeds or 5)
        for run in STUDIES[name]()
        if i < run.seeds and (run.words, seed := run.first + i) not in made
    ]
    lock, start = Lock(), time.time()

    def one(pair: tuple[Run, int]) -> None:
        found = play(*pair)
        with lock:
            append(path, found)
        r = found[-1]
        result = r["success_rate"] if r["success_rate"] != "" else r["stock_return_mean"]
        print(f"{time.time() - start:6.0f} s  {r['task']} {r['memory']} seed {r['seed']}: {result}")

    with ThreadPoolExecutor(jobs) as pool:  # each waits for a process
        list(pool.map(one, todo))


def table(name: str) -> str:
    """Final evaluations: interquartile mean with its 95 % bootstrap interval, and every seed."""
    runs: dict[tuple[str, str], dict[int, dict[str, str]]] = defaultdict(dict)
    for r in read(RESULTS / f"ppo_{name}.csv"):
        runs[r["task"], r["memory"]][int(r["seed"])] = r  # the last row of a seed is its end
    lines = [
        "| task | memory | env steps | result | 95 % interval | every seed | to 450 | wall s |",
        "|---|---|---:|---:|---|---|---|---:|",
    ]
    for (task, kind), by_seed in runs.items():
        if task.startswith("choose"):
            continue
        rows = [by_seed[s] for s in sorted(by_seed)]
        key = "success_rate" if rows[0]["success_rate"] else "stock_return_mean"
        x = np.array([float(r[key]) for r in rows])
        low, high = bootstrap_interval(x)
        digits = 2 if key == "success_rate" else 0
        each = ", ".join(f"{v:.{digits}f}" for v in x)
        to = ", ".join(
            f"{int(r['steps_to_450']) // 1000}k" if r["steps_to_450"] else "no" for r in rows
        )
        wall = np.mean([float(r["wall_seconds"]) for r in rows])
        lines.append(
            f"| {task} | `{kind}` | {int(rows[0]['env_steps']) / 1000:,.0f} k |"
            f" {iqm(x):.{digits}f} | {low:.{digits}f} … {high:.{digits}f} | {each} |"
            f" {to if task.startswith('CartPole') else ''} | {wall:.0f} |"
        )
    return "\n".join(lines)


def grid() -> str:
    """What `real_time` chose from: mean of the last three evaluations, over two seeds."""
    ends: dict[tuple[str, str, float], dict[str, list[float]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for r in read(RESULTS / "ppo_real_time.csv"):
        if r["task"].startswith("choose "):
            lr = float(r["words"].split("agent.lr=")[1])
            key = r["task"].removeprefix("choose "), r["memory"], lr
            ends[key][r["seed"]].append(float(r["stock_return_mean"]))
    lines = ["| task | memory | " + " | ".join(f"{lr:g}" for lr in RATES) + " |"]
    lines.append("|---|---|" + "---:|" * len(RATES))
    for task, arm in dict.fromkeys(key[:2] for key in ends):
        cells = [
            ", ".join(f"{np.mean(x[-3:]):.0f}" for x in ends[task, arm, lr].values())
            for lr in RATES
        ]
        lines.append(f"| {task} | `{arm}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", choices=[*STUDIES, "tables"])
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.study == "tables":
        for name in STUDIES:
            print(f"\n{name}\n\n{table(name)}")
        print(f"\n{grid()}")
        return
    for _ in range(2):  # the second makes what the first has chosen
        study(arguments.study, arguments.seeds, arguments.jobs)
    print(table(arguments.study))


if __name__ == "__main__":
    main()
