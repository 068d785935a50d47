"""Speed of the batched grid worlds against the MiniGrid package in gymnasium's `SyncVectorEnv`.

    python benchmarks/minigrid_speed.py

Both are stepped in turn with the same random actions, resets included, the package's through its
`ImgObsWrapper`; each number is the best of several short repeats, because other work on the
machine only ever slows one down. The exit code is 1 if a ratio falls below its gate.
"""

import csv
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from minigrid.wrappers import ImgObsWrapper

sys.path.insert(0, str(Path(__file__).parent.parent))

from envs import make_vector_env

GATES = {
    "MiniGrid-DoorKey-8x8-v0": {1: None, 16: 12.0, 64: 60.0, 256: None},
    "MiniGrid-KeyCorridorS3R3-v0": {16: None, 64: None},
    "MiniGrid-LavaCrossingS9N1-v0": {16: None, 64: None},
    "MiniGrid-MemoryS7-v0": {16: None, 64: None},
}
"""MiniGrid id → copies → smallest ratio to `SyncVectorEnv`, or None."""
REPEATS = 7
SECONDS_PER_REPEAT = 0.3
RESULTS = Path(__file__).parent / "results" / "minigrid_speed.csv"


def stock_vector(env_id: str, num_envs: int) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: ImgObsWrapper(gymnasium.make(env_id, disable_env_checker=True))] * num_envs,
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


def compare(env_id: str, num_envs: int) -> dict[str, float | int | str | None]:
    """Both environments in turn, so that a busy moment hits both."""
    ours = make_vector_env("minigrid", {"id": env_id}, num_envs=num_envs)
    stock = stock_vector(env_id, num_envs)
    best = {"ours": float("inf"), "stock": float("inf")}
    ours.reset(seed=0)
    stock.reset(seed=0)
    ours.action_space.seed(0)
    action_TB = [ours.action_space.sample() for _ in range(16)]
    for _ in range(REPEATS):
        best["ours"] = min(best["ours"], seconds_per_step(ours, action_TB))
        best["stock"] = min(best["stock"], seconds_per_step(stock, action_TB))
    return {
        "env": env_id,
        "num_envs": num_envs,
        "steps_per_second": round(num_envs / best["ours"]),
        "stock_steps_per_second": round(num_envs / best["stock"]),
        "ratio": round(best["stock"] / best["ours"], 1),
        "gate": GATES[env_id][num_envs],
    }


def main() -> int:
    rows = [compare(env_id, num_envs) for env_id in GATES for num_envs in GATES[env_id]]
    print(
        f"{'env':<30}{'copies':>8}{'env steps/s':>14}{'SyncVectorEnv':>15}{'ratio':>8}{'gate':>7}"
    )
    for row in rows:
        print(
            f"{row['env']:<30}{row['num_envs']:>8}{row['steps_per_second']:>14,}"
            f"{row['stock_steps_per_second']:>15,}{row['ratio']:>8}{row['gate'] or '':>7}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    missed = [r for r in rows if r["gate"] is not None and float(r["ratio"]) < float(r["gate"])]
    for row in missed:
        print(f"{row['env']} with {row['num_envs']} copies is below its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
