"""Variance of UORO's estimates over time and over sizes (Tallec 2019, figures 3.1a and 3.1b).

    python benchmarks/uoro_variance.py        # writes the CSV and the figure

Relative variance E‖g - E g‖² / ‖E g‖² over 100 runs on the same data with the same parameters;
‖E g‖² is ‖ḡ‖² less the share of the noise in it. Over time: a GRU of 64 units, trained before by
UORO on 30 000 characters of the text that Python ships, then run over 3000 more without being
changed, at 30 of its steps. Over sizes: untrained GRUs after 10 characters, five draws of the
weights. The thesis trains on 10⁷ characters of Shakespeare and looks at 10 000.
"""

import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent.parent))

from configs import predict
from configs.compose import compose_train
from rlkit.seeding import seed_everything

RESULTS = Path(__file__).parent / "results" / "uoro_variance.csv"
FIELDS = ["figure", "units", "draw", "step", "relative_variance", "cpu_seconds"]
RUNS, LANES = 100, 20
"""Runs, and how many of them are one batch of agents."""
TRAINED, LOOKED = 30_000, 3_000
SIZES, DRAWS, AT = (4, 8, 16, 32, 64, 128, 256, 512), 5, 10


def learner(units: int, seed: int) -> tuple[Any, Any]:
    words = [
        *("agent=predictor", "env=characters", "memory=gru", "gradient=uoro"),
        *(f"memory.hidden_size={units}", "agent.lr_decay=0.03"),
    ]
    return predict.make_parts(compose_train(words), seed_everything(seed))


class Spread:
    """Sums over runs of a gradient and of its square length."""

    def __init__(self) -> None:
        self.total, self.squares = torch.zeros(1, dtype=torch.float64), 0.0

    def add(self, g_LP: Tensor) -> None:
        g_LP = g_LP.double()
        self.total, self.squares = (
            self.total + g_LP.sum(0),
            self.squares + float(g_LP.square().sum()),
        )

    def relative(self) -> float:
        mean_square = float(self.total.div(RUNS).square().sum())
        variance = (self.squares / RUNS - mean_square) * RUNS / (RUNS - 1)
        return variance / (mean_square - variance / RUNS)


def look(agent: Any, loop: Any, points: np.ndarray) -> dict[int, float]:
    """The relative variance of the memory's gradient at these steps of what comes next."""
    batch, found = loop._next(int(points[-1])), {int(p): Spread() for p in points}
    for _ in range(RUNS // LANES):
        params = {name: p.expand(LANES, -1).contiguous() for name, p in agent.params.items()}
        carry = agent.gradient.begin(params, 1)
        for t in range(len(batch.x_TNBI)):
            part = batch.part(t, t + 1)
            x = part.x_TNBI.expand(-1, LANES, -1, -1)

            def loss_of(p: Any, y: Tensor, penalty: Tensor | None, part: Any = part) -> Tensor:
                out = agent.readout(p["readout"], y)
                return agent.loss(out, part.target_TNB.expand(-1, LANES, -1)).sum((0, 2))

            start = part.start_TNB.expand(-1, LANES, -1)
            _, grads, carry = agent.gradient.observe(params, carry, x, start, loss_of)
            if t + 1 in found:
                found[t + 1].add(grads["memory"])
    return {t: spread.relative() for t, spread in found.items()}


def draw(rows: list[list[Any]]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    time_, size = ([r for r in rows if r[0] == name] for name in ("3.1a", "3.1b"))
    left.plot([r[3] for r in time_], [r[4] for r in time_], "o-")
    left.set(xscale="log", xlabel="step", ylabel="relative variance", ylim=(0, None))
    right.plot([r[1] for r in size], [r[4] for r in size], "o", alpha=0.5)
    means = [np.mean([r[4] for r in size if r[1] == n]) for n in SIZES]
    right.plot(SIZES, means, "C0")
    right.set(xscale="log", yscale="log", xlabel="units")
    figure.savefig(RESULTS.with_suffix(".png"), dpi=130)


def main() -> None:
    torch.set_num_threads(1)
    rows: list[list[Any]] = []
    for n in SIZES:
        for seed in range(DRAWS):
            began = time.process_time()
            (found,) = look(*learner(n, seed), np.array([AT])).values()
            rows.append(["3.1b", n, seed, AT, found, time.process_time() - began])
            print(*rows[-1], flush=True)
    began = time.process_time()
    agent, loop = learner(64, 0)
    while agent.steps < TRAINED:
        loop.block()
    points = np.unique(np.geomspace(1, LOOKED, 30).astype(int))
    for t, relative in look(agent, loop, points).items():
        rows.append(["3.1a", 64, 0, t, relative, time.process_time() - began])
        print(*rows[-1], flush=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        writer.writerows([*r[:4], f"{r[4]:.4g}", f"{r[5]:.1f}"] for r in rows)
    draw(rows)


if __name__ == "__main__":
    main()
