"""Tallec 2019, figures 8.2 and A.4: DAU beside DDPG and DQN on five bodies, over dt.

    python benchmarks/figure_8_2.py [search] [study] [report]        (default: all)

search   one grid of critic rates for every agent on every body, at its coarsest dt, one seed,
         half the seconds
study    the thesis' schedule and laws over dt, two seeds, every agent with its best rate
report   results/figure_8_2.md and .png from the CSV

The thesis' schedule (`preset=paper`: 50 updates after every 10 vector steps, every step stored),
sized for two cores: 64 environments instead of 256, two layers of 64 instead of 256, batches of 64,
returns over 10 s, and the physical seconds of BUDGET.
"""

import sys
from collections.abc import Iterator
from typing import NamedTuple

from runs import RESULTS, Cell, curves, figure, make, table

CSV = RESULTS / "figure_8_2.csv"
RATES = (0.03, 0.1)
SEARCH_SEEDS, SEEDS = (100,), (0, 1)
SIZES = "preset=paper agent.hidden_sizes=[64,64] agent.batch_size=64 num_envs=64"
SIZES += " evaluation.count=4 evaluation.episodes=16 env.time_limit_seconds=10"


class Body(NamedTuple):
    env: str
    agents: tuple[str, str]
    dts: tuple[float, ...]
    words: str
    """thesis, appendix A.2.2: policy rate, τ of the baseline, normalisation"""
    seconds: int
    """BUDGET: physical seconds of each environment"""


BODIES = (
    Body("pendulum", ("dau", "ddpg"), (0.01, 0.002), "", 16),
    Body("cartpole", ("dau", "dqn"), (0.01, 0.002), "", 16),
    Body("bipedal_walker", ("dau", "ddpg"), (0.01, 0.005), "wrappers.normalize=true", 20),
    Body("half_cheetah", ("dau", "ddpg"), (0.02, 0.005), "wrappers.normalize=true", 40),
    Body("ant", ("dau", "ddpg"), (0.02, 0.005), "wrappers.normalize=true", 24),
)
"""Physical seconds are what two cores do in half an hour for all, far less than the thesis took."""


def words(body: Body, agent: str, rate: float, seconds: float) -> str:
    critics = ("value", "advantage") if agent == "dau" else ("q",)
    text = f"agent={agent} {SIZES} {body.words} sim_seconds={seconds:g}"
    text += "".join(f" agent.lr_{c}={rate:g}" for c in critics)
    large = body.env in ("half_cheetah", "ant")
    if agent != "dqn" and body.env != "cartpole":
        text += f" agent.lr_policy={0.03 if large else 0.02:g}"
    if agent != "dau" and "normalize" in body.words:
        text += " agent.tau=0.9"
    return text


def search_cell(body: Body, agent: str, rate: float) -> Cell:
    arm = f"{agent}, rate {rate:g}"
    return Cell(
        "search",
        arm,
        body.env,
        body.dts[0],
        words(body, agent, rate, body.seconds / 2),
        SEARCH_SEEDS,
    )


def search() -> Iterator[Cell]:
    for body in BODIES:
        for agent in body.agents:
            for rate in RATES:
                yield search_cell(body, agent, rate)


def study() -> Iterator[Cell]:
    for body in BODIES:
        for agent in body.agents:
            cells = {search_cell(body, agent, rate): rate for rate in RATES}
            found = curves(CSV, cells)
            if not found:
                sys.exit("run the stage 'search' first")
            rate = cells[max(found, key=lambda c: found[c][0].last3)]
            for dt in body.dts:
                yield Cell(
                    "study", agent, body.env, dt, words(body, agent, rate, body.seconds), SEEDS
                )


STAGES = {f.__name__: f for f in (search, study)}


def report() -> None:
    lines = ["# Figures 8.2 and A.4", ""]
    lines += ["Σ r·dt over 10 s, 16 fixed starts, greedy policy; best of four evaluations.", ""]
    minutes = 0.0
    for name, stage in STAGES.items():
        found = curves(CSV, list(stage()))
        lines += [f"## {name}", "", *table(found), ""]
        minutes += sum(c.wall_seconds for runs in found.values() for c in runs) / 60
        if name == "study":
            figure(found, RESULTS / "figure_8_2.png")
    lines += [f"{minutes:.0f} process-minutes, two at a time."]
    (RESULTS / "figure_8_2.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    for name in sys.argv[1:] or (*STAGES, "report"):
        if name == "report":
            report()
        elif name in STAGES:
            make(CSV, STAGES[name]())
        else:
            sys.exit(f"unknown stage '{name}': {', '.join(STAGES)}, report")
