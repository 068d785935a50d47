"""Chrono initialisation on the adding task (Tallec & Ollivier, 2018; thesis chapter 5.4).

    python benchmarks/chrono_adding.py

Two numbers are marked in a sequence of T = 200; their sum is asked at the end. Without memory the
best is 1, with mean squared error 1/6. LSTM of 64 units, batches of 20 fresh sequences, RMSprop
(1e-3, 0.9), 4500 updates; forget bias 1 against chrono with T_max = T; three seeds, two processes
of one thread. Writes benchmarks/results/chrono_adding.csv.
"""

import csv
import itertools
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from envs import make_task
from rlkit.memory import make_memory

RESULTS = Path(__file__).parent / "results" / "chrono_adding.csv"
T, B, H, UPDATES, WINDOW = 200, 20, 64, 4500, 250
INITS = {"standard": None, "chrono": float(T)}


def run(job: tuple[str, int]) -> list[list[object]]:
    init, seed = job
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    memory = make_memory("lstm", 2, hidden_size=H, chrono=INITS[init])
    head = nn.Linear(H, 1)
    optimizer = torch.optim.RMSprop([*memory.parameters(), *head.parameters()], 1e-3, alpha=0.9)
    task, rng = make_task("adding", {"steps": T}), np.random.default_rng(1000 + seed)
    rows, losses, started = [], [], time.perf_counter()
    for update in range(1, UPDATES + 1):
        x_TB2, target_TB1, _, _ = task.sample(rng, None, B)
        h_BH = memory(torch.from_numpy(x_TB2), memory.initial_state(B)).y[-1]
        loss = (head(h_BH) - torch.from_numpy(target_TB1[-1])).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if update % WINDOW == 0:
            relative = torch.stack(losses).mean().item() / task.memoryless_loss
            wall = round(time.perf_counter() - started, 1)
            rows.append([init, seed, update, round(relative, 4), wall])
            losses = []
    return rows


if __name__ == "__main__":
    jobs = list(itertools.product(INITS, (0, 1, 2)))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = list(itertools.chain.from_iterable(pool.map(run, jobs, chunksize=1)))
    with open(RESULTS, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["init", "seed", "updates", "loss_over_memoryless", "wall_seconds"])
        writer.writerows(found)
    for init, seed, update, relative, wall in found:
        if update == UPDATES:
            print(f"{init:<9} seed {seed}: loss {relative:.3f} of memoryless, {wall:.0f} s")
