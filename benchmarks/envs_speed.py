"""Speed of the batched environments against gymnasium's `SyncVectorEnv`, in one process.

    python benchmarks/envs_speed.py

Both are stepped in turn with the same actions, resets included; each number is the best of
several short repeats, because other work on the machine only ever slows one down. The exit code
is 1 if a ratio falls below its gate.
"""

import csv
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

sys.path.insert(0, str(Path(__file__).parent.parent))

from envs import make_vector_env

GATES = {
    "pendulum": {16: 6.0, 64: 15.0, 256: 30.0},
    "cartpole": {16: 4.0, 64: 15.0, 256: 15.0},
    "acrobot": {16: 4.0, 64: 15.0, 256: 20.0},
}
"""Environment → copies → smallest ratio to `SyncVectorEnv`."""
REPEATS = 7
SECONDS_PER_REPEAT = 0.15
RESULTS = Path(__file__).parent / "results" / "envs_speed.csv"


def stock_vector(stock_id: str, num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: gymnasium.make(stock_id, disable_env_checker=True)] * num_envs,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def seconds_per_step(envs: VectorEnv, action_TB: list[np.ndarray]) -> float:
    """One repeat: mean seconds of a call of `step`."""
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS_PER_REPEAT:
        for action_B in action_TB:
            envs.step(action_B)
        calls += len(action_TB)
    return elapsed / calls


def compare(name: str, num_envs: int) -> dict[str, float | int | str]:
    """Both environments in turn, so that a busy moment hits both."""
    ours = make_vector_env(name, num_envs=num_envs)
    stock = stock_vector(ours.physics.stock_id, num_envs)  # type: ignore[attr-defined]
    best = {"ours": float("inf"), "stock": float("inf")}
    ours.reset(seed=0)
    stock.reset(seed=0)
    ours.action_space.seed(0)
    action_TB = [ours.action_space.sample() for _ in range(8)]
    for _ in range(REPEATS):
        best["ours"] = min(best["ours"], seconds_per_step(ours, action_TB))
        best["stock"] = min(best["stock"], seconds_per_step(stock, action_TB))
    return {
        "env": name,
        "num_envs": num_envs,
        "steps_per_second": round(num_envs / best["ours"]),
        "stock_steps_per_second": round(num_envs / best["stock"]),
        "ratio": round(best["stock"] / best["ours"], 1),
        "gate": GATES[name][num_envs],
    }


def main() -> int:
    rows = [compare(name, num_envs) for name in GATES for num_envs in GATES[name]]
    print(
        f"{'env':<10}{'copies':>8}{'env steps/s':>14}{'SyncVectorEnv':>15}{'ratio':>8}{'gate':>7}"
    )
    for row in rows:
        print(
            f"{row['env']:<10}{row['num_envs']:>8}{row['steps_per_second']:>14,}"
            f"{row['stock_steps_per_second']:>15,}{row['ratio']:>8}{row['gate']:>7}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = [r for r in rows if float(r["ratio"]) < float(r["gate"])]
    for row in missed:
        print(f"{row['env']} with {row['num_envs']} copies is below its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
