"""Speed of CarRacing's fast renderer against gymnasium's environment, in one process.

    python benchmarks/car_racing_speed.py

All replay the same drive along the same track in turn; of each step the fastest of several repeats
counts, because other work on the machine only ever slows one down. `difference` is the mean
absolute difference (levels 0..255) to gymnasium's drawing at the same size over this drive.
The exit code is 1 if a ratio falls below the gate.
"""

import csv
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from envs import make_env

GATE = 10.0
KINDS = [
    {"size": 64, "crop": True, "supersampling": 2},
    {"size": 64, "crop": True, "supersampling": 3},
    {"size": 64, "crop": True, "supersampling": 4},
    {"size": 64, "crop": False, "supersampling": 3},
    {"size": 96, "crop": True, "supersampling": 3},
    {"size": 96, "crop": False, "supersampling": 3},
]
STEPS = 300
REPEATS = 4
RESULTS = Path(__file__).parent / "results" / "car_racing_speed.csv"


def drive(base: Any) -> np.ndarray:
    """Follows the track at about 50 m/s."""
    track = np.array(base.track)[:, 2:]
    here = np.array(base.car.hull.position)
    nearest = int(np.argmin(np.square(track - here).sum(axis=1)))
    dx, dy = track[(nearest + 6) % len(track)] - here
    error = (math.atan2(-dx, dy) - base.car.hull.angle + math.pi) % (2 * math.pi) - math.pi
    speed = math.hypot(*base.car.hull.linearVelocity)
    steer = np.clip(-2 * error, -1, 1)
    return np.array([steer, -0.4 if speed < 50 else -1, -0.4 if speed > 60 else -1], np.float32)


def replay(env: gymnasium.Env, action_TA: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Seconds of each step, and the observations."""
    env.reset(seed=0)
    seconds_T, obs_T = [], []
    for action in action_TA:
        start = time.perf_counter()
        obs, *_ = env.step(action)
        seconds_T.append(time.perf_counter() - start)
        obs_T.append(obs)
    return seconds_T, np.array(obs_T)


def main() -> int:
    load = round(os.getloadavg()[0], 1)
    driven = make_env("car_racing")
    driven.reset(seed=0)
    action_TA = np.zeros((STEPS, 3), np.float32)
    for t in range(STEPS):
        action_TA[t] = drive(driven.unwrapped)
        driven.step(action_TA[t])
    stock_TA = action_TA * np.float32([1, 0.5, 0.5]) + np.float32([0, 0.5, 0.5])
    stock = gymnasium.make("CarRacing-v3", disable_env_checker=True)
    envs = [make_env("car_racing", kind) for kind in KINDS]
    seconds_RT: list[list[list[float]]] = [[] for _ in range(len(KINDS) + 1)]
    frames: list[np.ndarray] = [np.zeros(0)] * len(KINDS)
    for _ in range(REPEATS):
        seconds_RT[-1].append(replay(stock, stock_TA)[0])
        for k, env in enumerate(envs):
            seconds_T, frames[k] = replay(env, action_TA)
            seconds_RT[k].append(seconds_T)
    *fast, slow = (float(np.min(runs, axis=0).mean()) for runs in seconds_RT)
    rows = []
    for kind, seconds, frames_T in zip(KINDS, fast, frames, strict=True):
        official = make_env("car_racing", {**kind, "renderer": "official"})
        wanted_T = replay(official, action_TA)[1].astype(int)
        rows.append(
            {
                **kind,
                "difference": round(float(np.abs(frames_T - wanted_T).mean()), 3),
                "steps_per_second": round(1 / seconds),
                "stock_steps_per_second": round(1 / slow),
                "ratio": round(slow / seconds, 1),
                "gate": GATE,
                "load": load,
            }
        )
    print("".join(f"{name:>24}" if "second" in name else f"{name:>14}" for name in rows[0]))
    for row in rows:
        print("".join(f"{v!s:>24}" if "second" in k else f"{v!s:>14}" for k, v in row.items()))
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = [row for row in rows if float(row["ratio"]) < GATE]
    for row in missed:
        print(f"{row} is below its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
