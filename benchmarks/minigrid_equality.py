"""Batched grid worlds against the MiniGrid package, in lockstep, over every id with a layout.

    python benchmarks/minigrid_equality.py            all of them
    python benchmarks/minigrid_equality.py DoorKey    those whose id contains a word; others keep
                                                      their rows

Same seeds, same actions, clocks that start apart: observations, rewards, flags, last observations
and the states of the generators after each reset are compared bit for bit, and the first
difference stops the run. Actions are partly random and partly those of a guide, because random
play hardly ever solves a task. A new layout is found by its `ids`; nothing is to be added here.
"""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from envs.minigrid.generic import batched_ids
from tests.envs.minigrid.lockstep import lockstep

NUM_ENVS = 16
STEPS = 2000
LEAST_RESETS = 50
RESULTS = Path(__file__).parent / "results" / "minigrid_equality.csv"
COLUMNS = (
    "env_steps",
    "resets",
    "successes",
    "failures",
    "truncations",
    "picked_up",
    "put_down",
    "doors_opened",
    "doors_shut",
    "doors_unlocked",
    "locks_held",
    "boxes_opened",
)


def main(word: str = "") -> int:
    rows: dict[str, dict[str, object]] = {}
    if RESULTS.exists():
        with RESULTS.open(newline="") as file:
            rows = {row["env"]: dict(row) for row in csv.DictReader(file)}
    too_few = []
    for env_id in batched_ids():
        if word not in env_id:
            continue
        events = lockstep(env_id, NUM_ENVS, STEPS)  # raises on a difference
        rows[env_id] = {"env": env_id, **{c: events[c] for c in COLUMNS}}
        too_few += [env_id] if events["resets"] < LEAST_RESETS else []
        print(f"{env_id:<32} equal", ", ".join(f"{c} {events[c]}" for c in COLUMNS), flush=True)
        with RESULTS.open("w", newline="") as file:
            writer = csv.DictWriter(file, ("env", *COLUMNS), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows[i] for i in batched_ids() if i in rows)
    for env_id in too_few:
        print(f"{env_id} ended fewer than {LEAST_RESETS} episodes", file=sys.stderr)
    return 1 if too_few else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
