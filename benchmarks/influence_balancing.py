"""Influence balancing (Tallec 2019, figures 3.2a and 4.3): short-term influence has the wrong sign.

    s' = A s + θ (1, …, 1, -1, …, -1),   A_ii = A_i,i+1 = 1/2,   loss ½ (s_1 - 1)²

p = 10 units are pushed up, n = 13 down; unit 1 feels unit k after k steps. The optimum is
θ = -1/6; it starts at 1/2. The gradient of a disjoint segment of L ≥ 60 steps is proportional to
658 - 6 L: shorter truncations than 110 go the wrong way.

    python benchmarks/influence_balancing.py                 # what is missing, then the figure
    python benchmarks/influence_balancing.py uoro artbp      # only these

All UORO seeds are one batch of agents. Truncation without chance is one run. Rows are appended to
the CSV when a batch is done; what is there is not run again. Every run is 2·10⁵ steps of SGD with
step sizes η/(1 + √t) (UORO) or η/√(1 + t) (the others), η = 3e-4, as in the thesis.
"""

import csv
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from rlkit.gradients.base import Estimator, make_gradient
from rlkit.gradients.cell import Cell
from rlkit.memory.base import Memory, Step
from rlkit.types import State

P_UP, N_DOWN, THETA, RATE = 10, 13, 0.5, 3e-4
STEPS, SEEDS, POINTS = 200_000, 10, 60
RESULTS = Path(__file__).parent / "results" / "influence_balancing.csv"
FIELDS = ["method", "seed", "step", "loss", "theta", "cpu_us_per_step"]
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "uoro": ("uoro", {"rank": 1, "memory_steps": 1, "tangent": "exact"}),
    "artbp 16": ("artbp", {"mean_length": 16.0, "alpha": 6.0}),
    **{f"tbptt {L}": ("tbptt", {"length": L, "window": "disjoint"}) for L in (10, 100, 120, 200)},
}


class InfluenceBalancing(Memory):
    """A linear system with one parameter; y is its state."""

    A: Tensor
    push: Tensor

    def __init__(self, up: int = P_UP, down: int = N_DOWN, theta: float = THETA):
        super().__init__()
        self.input_size, self.output_size = 1, up + down
        half = torch.full((up + down,), 0.5)
        self.register_buffer("A", torch.diag(half) + torch.diag(half[1:], 1))
        self.register_buffer("push", torch.cat((torch.ones(up), -torch.ones(down))))
        self.theta = nn.Parameter(torch.tensor([theta]))

    def initial_state(self, B: int) -> State:
        return (self.A.new_zeros(B, self.output_size),)

    def step(self, x_BI: Tensor, state: State) -> Step:
        s_BH = state[0] @ self.A.T + self.theta * self.push
        return Step(s_BH, (s_BH,))


def loss_of(params: Any, y_TNBH: Tensor, penalty: Tensor | None) -> Tensor:
    """Summed over the steps."""
    return 0.5 * (y_TNBH[..., 0] - 1).square().sum((0, 2))


def follow(estimator: Estimator, N: int, steps: int) -> list[dict[str, Any]]:
    """Mean loss and θ of every agent, at points spread evenly over the logarithm of time."""
    theta = torch.full((N, 1), THETA)
    carry, t, since, mark = estimator.begin({"memory": theta}, 1), 0, 0, torch.zeros(N)
    points = iter(np.unique(np.geomspace(100, steps, POINTS).astype(int)))
    point, rows = next(points), []
    x, start = torch.zeros(1, N, 1, 1), torch.zeros(1, N, 1, dtype=torch.bool)
    online = estimator.chunk_steps(carry) == 1
    began = time.process_time()
    while t < steps and theta.isfinite().any():
        T = estimator.chunk_steps(carry)
        assert T is not None
        estimate = estimator.observe(
            {"memory": theta}, carry, x.expand(T, -1, -1, -1), start.expand(T, -1, -1), loss_of
        )
        carry, t = estimate.carry, t + T
        rate = RATE / (1 + math.sqrt(t)) if online else RATE / math.sqrt(1 + t)
        theta = theta - rate * estimate.grads["memory"]
        mark, since = mark + estimate.loss_N, since + T
        if t >= point:
            us = 1e6 * (time.process_time() - began) / t / N
            for i, (loss, value) in enumerate(zip(mark / since, theta[:, 0], strict=True)):
                row = [i, t, f"{loss.item():.6g}", f"{value.item():.6g}", f"{us:.1f}"]
                rows.append(dict(zip(FIELDS[1:], row, strict=True)))
            point = next((p for p in points if p > t), steps)
            mark, since = torch.zeros(N), 0
    return rows


def run(method: str, steps: int = STEPS, seeds: int = SEEDS) -> list[dict[str, Any]]:
    """All seeds of a method; those of ARTBP one after the other, for their truncations differ."""
    name, options = METHODS[method]
    cell = Cell(InfluenceBalancing())
    alone = {"uoro": [0], "artbp": list(range(seeds)), "tbptt": [0]}[name]
    rows = []
    for seed in alone:
        estimator = make_gradient(name, cell, torch.Generator().manual_seed(seed), options)
        found = follow(estimator, seeds if name == "uoro" else 1, steps)
        rows += [{"method": method, **row, "seed": row["seed"] + seed} for row in found]
    return rows


def read() -> list[dict[str, str]]:
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def draw(rows: list[dict[str, str]]) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot(
        xlabel="steps", ylabel="mean loss since the point before", xscale="log", yscale="log"
    )
    axes.set_ylim(1e-8, 1e4)
    for i, method in enumerate(METHODS):
        for j, seed in enumerate(sorted({r["seed"] for r in rows if r["method"] == method})):
            own = [r for r in rows if (r["method"], r["seed"]) == (method, seed)]
            step, loss = (np.array([float(r[k]) for r in own]) for k in ("step", "loss"))
            axes.plot(step, loss, f"C{i}", alpha=0.7, label=None if j else method)
    axes.legend()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=150)


def main(chosen: list[str]) -> None:
    torch.set_num_threads(1)
    for method in METHODS:
        done = {r["method"] for r in read()}
        if method in done or (chosen and method.split()[0] not in chosen and method not in chosen):
            continue
        rows, fresh = run(method), not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerows(rows)
    rows = read()
    for method in METHODS:
        last = {r["seed"]: float(r["loss"]) for r in rows if r["method"] == method}
        good = sum(loss < 1e-2 for loss in last.values())
        if last:
            worst = max(last.values())
            print(f"{method}: {good} of {len(last)} below 1e-2 at the end, worst {worst:.3g}")
    draw(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
