"""Memory under dt → 0: what off-policy agents need to learn from positions alone.

    python benchmarks/dt_memory.py [search] [study] [parts] [body] [report]      (default: all)

search   the same small grid over rates for DAU and DDPG with a GRU, at dt = 0.01, on its own seeds
study    masked pendulum over dt, fresh seeds: GRU, stacked frames 0.05 s apart, no memory
parts    what each part of the form is worth at dt = 0.01: carries, span, actions, time constants
body     the same agents on a MuJoCo body without velocities
report   results/dt_memory.md and two figures from the CSV

Every run is 16 simulated seconds of 256 environments. DAU runs as shipped (`preset=memory`); DDPG
with the best cell of the search.
"""

import sys
from collections.abc import Iterator
from itertools import product

import numpy as np
from runs import RESULTS, Cell, Curve, curves, figure, make, table

CSV = RESULTS / "dt_memory.csv"
DTS = (0.05, 0.01, 0.002)
SEARCH_SEEDS, SEEDS, PART_SEEDS, BODY_SEEDS = (100, 101), (0, 1, 2), (0,), (0, 1)
PENDULUM = "sim_seconds=16 evaluation.count=8 wrappers.velocity_mask=true"
GRU = "memory=gru memory.hidden_size=32"
FRAMES = "memory=framestack memory.k=4"
FORM = "preset=memory wrappers.previous_action=true"
RATES = ((0.05, 0.02), (0.1, 0.02), (0.2, 0.02), (0.1, 0.05))


def rates(agent: str, critic: float, policy: float) -> str:
    names = ("value", "advantage") if agent == "dau" else ("q",)
    critics = " ".join(f"agent.lr_{n}={critic:g}" for n in (*names, "memory"))
    return f"{critics} agent.lr_policy={policy:g}"


def search() -> Iterator[Cell]:
    for agent, (critic, policy) in product(("dau", "ddpg"), RATES):
        words = f"agent={agent} {GRU} {FORM} {PENDULUM} {rates(agent, critic, policy)}"
        arm = f"{agent} gru, rates {critic:g} {policy:g}"
        yield Cell("search", arm, "pendulum", 0.01, words, SEARCH_SEEDS)


def ddpg_rates() -> str:
    """Those of the best cell of the search, by the mean over seeds of the last evaluations."""
    cells = [c for c in search() if c.words.startswith("agent=ddpg")]
    found = curves(CSV, cells)
    if not found:
        sys.exit("run the stage 'search' first")
    best = max(found, key=lambda cell: np.mean([c.last3 for c in found[cell]]))
    return rates("ddpg", *RATES[cells.index(best)])


def study() -> Iterator[Cell]:
    tuned = ddpg_rates()
    for dt in DTS:
        for name, memory in (("gru", GRU), ("frames", FRAMES)):
            words = f"{memory} {FORM} {PENDULUM}"
            yield Cell("study", f"dau {name}", "pendulum", dt, f"agent=dau {words}", SEEDS)
            words = f"agent=ddpg {words} {tuned}"
            yield Cell("study", f"ddpg {name}", "pendulum", dt, words, SEEDS)
        for agent in ("dau", "ddpg"):
            words = f"agent={agent} memory=none {PENDULUM}"
            yield Cell("study", f"{agent} none", "pendulum", dt, words, SEEDS)


def parts() -> Iterator[Cell]:
    span, carry = "agent.td_span_seconds=0", "agent.carry_seconds=0"
    seconds = "memory.timescale.seconds=[0.05,0.5]"
    rtu = "memory=rtu memory.hidden_size=16"
    for arm, words in (
        ("one-step residual", f"{GRU} {FORM} {span}"),
        ("GRU at every step", f"{GRU} {FORM} {carry}"),
        ("both", f"{GRU} {FORM} {carry} {span}"),
        ("GRU at every step, time constants in seconds", f"{GRU} {FORM} {carry} {seconds}"),
        ("RTU at every step", f"{rtu} {FORM} {carry}"),
        ("RTU at every step, time constants in seconds", f"{rtu} {FORM} {carry} {seconds}"),
        ("last action, not its mean", f"{GRU} {FORM} wrappers.previous_action_seconds=0"),
        ("no action", f"{GRU} {FORM} wrappers.previous_action=false"),
        ("adjacent frames", f"{FRAMES} {FORM} {carry}"),
    ):
        yield Cell("parts", arm, "pendulum", 0.01, f"agent=dau {words} {PENDULUM}", PART_SEEDS)


def body() -> Iterator[Cell]:
    """Ticks and spans are the stock step, 0.04 s."""
    tuned = ddpg_rates()
    form = f"{GRU} {FORM} wrappers.previous_action_seconds=0.04 agent.window_seconds=0.4"
    form += " agent.carry_seconds=0.04 agent.td_span_seconds=0.04"
    size = "num_envs=64 env.time_limit_seconds=10 evaluation.episodes=32"
    for dt in (0.04, 0.01):
        for arm, words in (
            ("dau gru", f"agent=dau {form}"),
            ("ddpg gru", f"agent=ddpg {form} {tuned}"),
            ("dau none", "agent=dau memory=none"),
        ):
            words = f"{words} {size} {PENDULUM}"
            yield Cell("body", arm, "inverted_pendulum", dt, words, BODY_SEEDS)


STAGES = {f.__name__: f for f in (search, study, parts, body)}


def report() -> None:
    lines = ["# Memory under dt → 0", ""]
    lines += [
        "Without velocities; Σ r·dt over 10 s, fixed starts, greedy; best of eight evaluations.",
        "",
    ]
    minutes = 0.0
    for name, stage in STAGES.items():
        found: dict[Cell, list[Curve]] = curves(CSV, list(stage()))
        if found:
            lines += [f"## {name}", "", *table(found), ""]
            minutes += sum(c.wall_seconds for runs in found.values() for c in runs) / 60
            if name in ("study", "body"):
                figure(found, RESULTS / f"dt_memory_{name}.png")
    lines += [f"{minutes:.0f} process-minutes of training, two at a time."]
    (RESULTS / "dt_memory.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    for name in sys.argv[1:] or (*STAGES, "report"):
        if name == "report":
            report()
        elif name in STAGES:
            make(CSV, STAGES[name]())
        else:
            sys.exit(f"unknown stage '{name}': {', '.join(STAGES)}, report")
