"""Generation speed of the sequence tasks, as streams and in batches, with targets.

    python benchmarks/sequence_speed.py

CPU time of one process, the best of several repeats.
"""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import envs
from envs.sequence.base import SequenceTask

REPEATS, B, T = 5, 32, 500
STREAM_STEPS = 500_000
RESULTS = Path(__file__).parent / "results" / "sequence_speed.csv"


def best_seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def read(task: SequenceTask, calls: int, T: int) -> None:
    for _ in range(calls):
        task.read(T)


def row(name: str) -> list[object]:
    task, rng = envs.make_task(name), np.random.default_rng(0)
    length = T if task.stream else task.steps
    asked = T if task.stream else None
    task.begin([0])
    stream = best_seconds(lambda: read(task, STREAM_STEPS // 10_000, 10_000))
    single = best_seconds(lambda: read(task, 1000, 1))
    batch = best_seconds(lambda: task.sample(rng, asked, B))
    return [
        name,
        round(STREAM_STEPS / stream / 1e6, 1),
        round(single * 1e3, 1),
        length,
        round(batch * 1e3, 2),
        round(B * length / batch / 1e6, 1),
    ]


if __name__ == "__main__":
    rows = [row(name) for name in sorted(envs.SEQUENCES)]
    head = ["task", "stream_million_steps_per_second", "read_one_microseconds", "steps"]
    head += [f"batch_of_{B}_milliseconds", "batch_million_steps_per_second"]
    with open(RESULTS, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    for r in rows:
        print(f"{r[0]:<20} {r[1]:>6} M steps/s  {r[2]:>5} µs  {r[3]:>4} steps {r[4]:>6} ms")
