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

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from rlkit.memory import make_memory

RESULTS = Path(__file__).parent / "results" / "chrono_adding.csv"
T, B, H, UPDATES, WINDOW, MEMORYLESS = 200, 20, 64, 4500, 250, 1 / 6
INITS = {"standard": None, "chrono": float(T)}


def adding(g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (T, B, 2): a value and a mark, one mark in each half; targets (B,)."""
    x_TB2 = torch.zeros(T, B, 2)
    x_TB2[..., 0] = torch.rand(T, B, generator=g)
    rows = torch.arange(B)
    marks = [torch.randint(T // 2, (B,), generator=g) + half for half in (0, T // 2)]
    for mark in marks:
        x_TB2[mark, rows, 1] = 1.0
    return x_TB2, sum(x_TB2[mark, rows, 0] for mark in marks)


def run(job: tuple[str, int]) -> list[list[object]]:
    init, seed = job
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    memory = make_memory("lstm", 2, hidden_size=H, chrono=INITS[init])
    head = nn.Linear(H, 1)
    optimizer = torch.optim.RMSprop([*memory.parameters(), *head.parameters()], 1e-3, alpha=0.9)
    g = torch.Generator().manual_seed(1000 + seed)
    rows, losses, started = [], [], time.perf_counter()
    for update in range(1, UPDATES + 1):
        x_TB2, target_B = adding(g)
        h_BH = memory(x_TB2, memory.initial_state(B)).y[-1]
        loss = (head(h_BH).squeeze(-1) - target_B).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        if update % WINDOW == 0:
            relative = torch.stack(losses).mean().item() / MEMORYLESS
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
