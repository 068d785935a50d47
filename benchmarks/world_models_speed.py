"""Speed of World Models' rollouts and dreams, in one process of one thread.

    python benchmarks/world_models_speed.py

stock    gymnasium's renderer, one environment, networks of float32 fed one row at a time: how such
         rollouts are commonly made
loop     the batched loop of the workers: 16 environments with the fast renderer, one network call a
         step, each environment with a controller of its own, bf16 where the processor has it
dream    as many controllers in the dynamics, side by side

Networks of preset=demo with their initial weights, random controllers. All replay the same steps
in turn; of each step the fastest of several repeats counts, in seconds of the processor: other work
on the machine only ever slows one down. Beginnings of episodes are not counted. The exit code is 1
if a ratio falls below its gate: of the loop to stock, of the larger dream to the loop.
"""

import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from configs import build
from configs.compose import compose_train
from rlkit.loops.population import Play
from rlkit.seeding import one_thread, seed_everything

WORDS = ["agent=world_models", "env=car_racing", "preset=demo", "env.time_limit_seconds=2"]
STEPS, REPEATS = 100, 6
"""Of an episode, half of them under the zoom of the beginning."""
ENVS, DREAMS = 16, (256, 512)
GATES = {"loop": 8.0, "dream": 20.0}
RESULTS = Path(__file__).parent / "results" / "world_models_speed.csv"


class Clock:
    """Calls a function, and remembers when."""

    def __init__(self, function: Any):
        self.function, self.times = function, [0.0]

    def __call__(self, *args: Any) -> Any:
        self.times.append(time.process_time())
        return self.function(*args)

    def seconds(self) -> np.ndarray:
        """From each call to the next, and from the last until now."""
        times, self.times = [*self.times[1:], time.process_time()], [0.0]
        return np.diff(times)


def worker_of(*words: str) -> Any:
    """A worker with the same weights as every other."""
    config = compose_train([*WORDS, *words])
    seed_everything(0)
    agent = build.make_agent(config, build.make_envs(config, 1), noise_seed=0)
    with torch.no_grad():
        agent.dynamics.mdn.linear.bias[-1] = -9.0  # dreams do not end
    worker = build.make_worker(config)
    worker.policy.load_state_dict(agent.state_dict())
    return worker


@torch.no_grad()
def stock_steps(worker: Any, parameters_P: torch.Tensor) -> Iterator[float]:
    """Seconds of the steps of one environment, networks included."""
    env, policy = worker.envs[0], worker.policy
    obs, _ = env.reset(seed=0)
    state, start_1 = policy.initial_state(1), torch.ones(1, dtype=torch.bool)
    for _ in range(STEPS):
        began = time.process_time()
        obs_1O = torch.from_numpy(obs)[None]
        action_1A, state = policy.play(obs_1O, state, start_1, parameters_P[None])
        obs, *_ = env.step(action_1A[0].numpy())
        start_1 = torch.zeros(1, dtype=torch.bool)
        yield time.process_time() - began


def main() -> int:
    one_thread()
    load = round(os.getloadavg()[0], 1)
    stock = worker_of("env.renderer=official", "num_envs=1", "agent.precision=fp32")
    loop = worker_of(f"num_envs={ENVS}", f"agent.dream_steps={STEPS}")
    agent = loop.policy
    rng = np.random.default_rng(0)
    parameters_NP = 0.1 * rng.standard_normal((max(DREAMS), agent.controller.size))
    parameters_NP = parameters_NP.astype(np.float32)
    seconds: dict[tuple[str, int], list[Any]] = {}
    for _ in range(REPEATS):
        times = [*stock_steps(stock, torch.from_numpy(parameters_NP[0]))]
        seconds.setdefault(("stock", 1), []).append(times)
        played = agent.play
        agent.play = clock = Clock(played)
        played_N3 = loop(Play(parameters_NP[:ENVS], tuple(range(ENVS)), 0))
        agent.play = played
        assert (played_N3[:, 1] == STEPS).all(), "an episode ended early"
        seconds.setdefault(("loop", ENVS), []).append(clock.seconds())
        for batch in DREAMS:
            features = agent.features
            agent.features = clock = Clock(features)
            loop(Play(parameters_NP[:batch], tuple(range(batch)), 0, dream=True))
            agent.features = features
            seconds.setdefault(("dream", batch), []).append(clock.seconds())
    speed = {key: key[1] / np.min(runs, axis=0).mean() for key, runs in seconds.items()}
    rows = []
    for (kind, batch), per_second in speed.items():
        gated = kind == "loop" or batch == max(DREAMS)
        rows.append(
            {
                "kind": kind,
                "batch": batch,
                "precision": agent.precision if kind == "loop" else "fp32",
                "steps_per_second": round(per_second),
                "ratio_to_stock": round(per_second / speed["stock", 1], 1),
                "ratio_to_loop": round(per_second / speed["loop", ENVS], 2),
                "gate": GATES[kind] if gated else None,
                "load": load,
            }
        )
    print("".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        print("".join(f"{v!s:>18}" for v in row.values()))
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    column = {"loop": "ratio_to_stock", "dream": "ratio_to_loop"}
    missed = [r for r in rows if r["gate"] and float(r[column[r["kind"]]]) < r["gate"]]
    for row in missed:
        print(f"{row} is below its gate", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
