"""Environment steps per second of 256 pendulums, alone and with an exploring DAU agent acting.

    python benchmarks/acting_speed.py

One thread; best of five repeats of 500 vector steps; writes benchmarks/results/acting_speed.csv.
"""

import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from configs import build
from configs.compose import compose_train
from rlkit.seeding import one_thread, seed_everything

RESULTS = Path(__file__).parent / "results" / "acting_speed.csv"
B, STEPS = 256, 500


def steps_per_second(step: Callable[[], object]) -> float:
    best = np.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        best = min(best, time.perf_counter() - started)
    return B * STEPS / best


if __name__ == "__main__":
    one_thread()
    config = compose_train(["agent=dau", "env=pendulum", "dt=0.002", f"num_envs={B}"])
    seeds = seed_everything(0)
    envs = build.make_envs(config, B)
    agent = build.make_agent(config, envs, seeds["noise"])
    runner = build.make_loop(config, agent, envs, seeds).runner
    torque = np.zeros((B, 1), dtype=np.float32)
    rows = [
        ("alone", steps_per_second(lambda: envs.step(torque)), 500_000),
        ("with acting", steps_per_second(runner.step), 300_000),
    ]
    with open(RESULTS, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "env_steps_per_second", "gate"])
        for what, speed, gate in rows:
            writer.writerow([what, round(speed), gate])
            print(f"256 pendulums {what}: {speed:,.0f} env steps/s (gate {gate:,})")
