"""Speed of the MuJoCo pool against gymnasium's `SyncVectorEnv`, in one process.

    python benchmarks/mujoco_speed.py

Both replay the same episodes in turn, resets included; of each step the fastest of several repeats
counts, because other work on the machine only ever slows one down. Two threads need two idle
cores: `load` is the mean number of processes that wanted one in the minute before.
The exit code is 1 if the best ratio of Ant falls below its gate.
"""

import csv
import os
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

sys.path.insert(0, str(Path(__file__).parent.parent))

from envs import make_vector_env

GATES = {"ant": 1.2, "half_cheetah": None}
"""Environment → smallest ratio to `SyncVectorEnv`, with the better number of threads."""
NUM_ENVS = 16
THREADS = (1, 2)
STEPS = 120
REPEATS = 15
RESULTS = Path(__file__).parent / "results" / "mujoco_speed.csv"


def stock_vector(stock_id: str) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gymnasium.make(stock_id, disable_env_checker=True)] * NUM_ENVS,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def replay(envs: VectorEnv, action_TB: np.ndarray) -> list[float]:
    """Seconds of each step of the same episodes, resets included."""
    envs.reset(seed=0)
    seconds_T = []
    for action_B in action_TB:
        start = time.perf_counter()
        envs.step(action_B)
        seconds_T.append(time.perf_counter() - start)
    return seconds_T


def compare(name: str) -> list[dict[str, float | int | str | None]]:
    """All in turn, so that a busy moment hits all."""
    load = round(os.getloadavg()[0], 1)
    pools: dict[int, VectorEnv] = {
        n: make_vector_env(name, {"num_threads": n}, num_envs=NUM_ENVS) for n in THREADS
    }
    stock = stock_vector(pools[1].body.stock_id)  # type: ignore[attr-defined]
    everyone: dict[int, VectorEnv] = {0: stock, **pools}
    pools[1].action_space.seed(0)
    action_TB = np.stack([pools[1].action_space.sample() for _ in range(STEPS)])
    seconds_RT: dict[int, list[list[float]]] = {key: [] for key in everyone}
    for _ in range(REPEATS):
        for key, envs in everyone.items():
            seconds_RT[key].append(replay(envs, action_TB))
    for envs in everyone.values():
        envs.close()
    best = {key: float(np.min(runs, axis=0).mean()) for key, runs in seconds_RT.items()}
    return [
        {
            "env": name,
            "num_envs": NUM_ENVS,
            "num_threads": n,
            "steps_per_second": round(NUM_ENVS / best[n]),
            "stock_steps_per_second": round(NUM_ENVS / best[0]),
            "ratio": round(best[0] / best[n], 2),
            "gate": GATES[name],
            "load": load,
        }
        for n in THREADS
    ]


def main() -> int:
    rows = [row for name in GATES for row in compare(name)]
    print(
        f"{'env':<14}{'copies':>8}{'threads':>9}{'env steps/s':>14}{'SyncVectorEnv':>15}"
        f"{'ratio':>8}{'gate':>6}{'load':>6}"
    )
    for row in rows:
        print(
            f"{row['env']:<14}{row['num_envs']:>8}{row['num_threads']:>9}"
            f"{row['steps_per_second']:>14,}{row['stock_steps_per_second']:>15,}"
            f"{row['ratio']:>8}{row['gate'] or '':>6}{row['load']:>6}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = [
        name
        for name, gate in GATES.items()
        if gate is not None and max(float(r["ratio"] or 0) for r in rows if r["env"] == name) < gate
    ]
    for name in missed:
        print(f"{name} is below its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
