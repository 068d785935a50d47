"""The dt study: what happens to DAU, DDPG and DQN when the time step goes to zero.

    python benchmarks/dt_study.py [search] [study] [long] [report]        (default: all four)

search   the same small grid over learning rates for every agent, at dt = 0.002, on seeds of its own
study    over dt, on fresh seeds: DAU as shipped, the best cell of each baseline, and the
         baselines in the thesis' unscaled setting
long     three times the simulated time at dt = 0.002
report   benchmarks/results/dt_study.md and .png from the CSV

Two processes of one thread each. Every finished run is appended to benchmarks/results/dt_study.csv
(one row per evaluation) and skipped when the script is started again.
"""

import csv
import itertools
import json
import multiprocessing
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results"
CSV = RESULTS / "dt_study.csv"
COLUMNS = ("stage", "agent", "env", "dt", "seed", "overrides", "sim_seconds", "updates")
COLUMNS += ("return_mean", "run_wall_seconds")
DTS = (0.05, 0.02, 0.01, 0.005, 0.002)
SEARCH_SEEDS, STUDY_SEEDS, LONG_SEEDS = (100, 101), (0, 1, 2, 3, 4), (0, 1, 2)
RATES, POLICY_RATES, TAUS = (0.03, 0.1, 0.3), (0.01, 0.02, 0.05), (0.0, 0.9)
STOCK = "agent.scaling=stock agent.schedule=steps agent.store_every_seconds=0"
STOCK += " agent.clamp_bootstrap=false"


def search_cells():
    """(agent, env, overrides): the grid of every agent."""
    for rate, policy in itertools.product(RATES, POLICY_RATES):
        words = f"agent.lr_policy={policy}"
        yield "dau", "pendulum", f"agent.lr_value={rate} agent.lr_advantage={rate} {words}"
        for tau in TAUS:
            yield "ddpg", "pendulum", f"agent.lr_q={rate} {words} agent.tau={tau}"
    for rate in RATES:
        words = f"agent.lr_value={rate} agent.lr_advantage={rate}"
        yield "dau", "pendulum_two_torque", words
        for tau in TAUS:
            yield "dqn", "pendulum_two_torque", f"agent.lr_q={rate} agent.tau={tau}"


def jobs(stage, rows):
    if stage == "search":
        for (agent, env, words), seed in itertools.product(search_cells(), SEARCH_SEEDS):
            yield stage, agent, env, 0.002, seed, words, 16
    best = best_cells(rows)
    for (agent, env), words in best.items():
        words = "" if agent == "dau" else words
        if stage == "study":
            for dt, seed in itertools.product(DTS, STUDY_SEEDS):
                yield stage, agent, env, dt, seed, words, 16
                if agent != "dau":
                    tau = " ".join(w for w in words.split() if "tau" in w)
                    yield stage, f"{agent} unscaled", env, dt, seed, f"{STOCK} {tau}".strip(), 16
        if stage == "long":
            for seed in LONG_SEEDS:
                yield stage, agent, env, 0.002, seed, words, 48


def best_cells(rows):
    """The cell with the highest mean over seeds of the last three evaluations."""
    scores = defaultdict(list)
    for key, curve in curves(rows, "search").items():
        scores[key.agent, key.env, key.overrides].append(last3(curve))
    best = {}
    for (agent, env, words), values in scores.items():
        if (agent, env) not in best or np.mean(values) > best[agent, env][0]:
            best[agent, env] = (np.mean(values), words)
    return {cell: words for cell, (_, words) in best.items()}


def run(job):
    """Trains once; returns the rows of the CSV."""
    import train
    from configs.compose import compose_train

    _, agent, env, dt, seed, words, seconds = job
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as outputs:
        config = compose_train(
            [
                f"agent={agent.split()[0]}",
                f"env={env}",
                f"dt={dt}",
                f"seed={seed}",
                f"sim_seconds={seconds}",
                f"evaluation.count={seconds // 2}",
                "checkpoint.count=0",
                "tensorboard=false",
                "plots=false",
                f"outputs={outputs}",
                *words.split(),
            ]
        )
        lines = (train.train(config) / "eval.jsonl").read_text().splitlines()
    wall = round(time.perf_counter() - started, 2)
    records = [json.loads(line) for line in lines]
    return [
        [*job[:6], r["sim_seconds"], r["updates"], round(r["return_mean"], 4), wall]
        for r in records
    ]


class Key(tuple):
    """(stage, agent, env, dt, seed, overrides) of one run."""

    stage = property(lambda self: self[0])
    agent = property(lambda self: self[1])
    env = property(lambda self: self[2])
    dt = property(lambda self: self[3])
    seed = property(lambda self: self[4])
    overrides = property(lambda self: self[5])


def read_rows():
    if not CSV.exists():
        return []
    with open(CSV, newline="") as file:
        return list(csv.DictReader(file))


def key_of(row):
    return Key(
        (
            *(row["stage"], row["agent"], row["env"]),
            *(float(row["dt"]), int(row["seed"]), row["overrides"]),
        )
    )


def curves(rows, stage):
    """Key → array of (sim_seconds, return_mean)."""
    found = defaultdict(list)
    for row in rows:
        if row["stage"] == stage:
            found[key_of(row)].append((float(row["sim_seconds"]), float(row["return_mean"])))
    return {key: np.array(points) for key, points in found.items()}


def last3(curve):
    return float(curve[-3:, 1].mean())


def at(curve, seconds):
    return float(np.interp(seconds, curve[:, 0], curve[:, 1]))


def work(stage):
    rows = read_rows()
    finished = {key_of(row) for row in rows}
    todo = [j for j in jobs(stage, rows) if Key(j[:6]) not in finished]
    print(f"{stage}: {len(todo)} runs to do", flush=True)
    new = not CSV.exists()
    with (
        multiprocessing.get_context("spawn").Pool(2) as pool,
        open(CSV, "a", newline="") as file,
    ):
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        for i, done in enumerate(pool.imap_unordered(run, todo, chunksize=1), 1):
            writer.writerows(done)
            file.flush()
            print(f"{stage} {i}/{len(todo)}: {done[0][1:6]} -> {done[-1][8]}", flush=True)


def summarise(values):
    """Median [worst, best]."""
    return f"{np.median(values):.1f} [{min(values):.1f}, {max(values):.1f}]"


def report():
    from rlkit.run.plotting import study_figure
    from rlkit.run.statistics import bootstrap_interval, iqm

    rows = read_rows()
    lines = ["# The dt study", "", "Scaled return; over seeds: median [worst, best].", ""]
    lines += ["## Search at dt = 0.002, 16 s", ""]
    lines += ["| agent | env | setting | mean of the last three, per seed |", "|---|---|---|---|"]
    found = defaultdict(list)
    for key, curve in curves(rows, "search").items():
        found[key.agent, key.env, key.overrides].append(last3(curve))
    best = best_cells(rows)
    for (agent, env, words), values in sorted(found.items()):
        mark = " **chosen**" if best[agent, env] == words else ""
        text = ", ".join(f"{v:.1f}" for v in values)
        lines.append(f"| {agent} | {env} | {words.replace('agent.', '')}{mark} | {text} |")
    lines += ["", "## Study on fresh seeds, 16 s", ""]
    lines += [
        "| agent | env | dt (s) | at 8 s | last three | IQM of last three [95 %] | best |"
        " best ≥ -8 | wall s/run |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    study = curves(rows, "study")
    walls = {key_of(row): float(row["run_wall_seconds"]) for row in rows}
    groups = defaultdict(list)
    for key, curve in study.items():
        groups[key.env, key.agent, -key.dt].append((curve, walls[key]))
    for (env, agent, dt), runs in sorted(groups.items()):
        ends = [last3(c) for c, _ in runs]
        tops = [c[:, 1].max() for c, _ in runs]
        low, high = bootstrap_interval(ends, iqm)
        lines.append(
            f"| {agent} | {env} | {-dt:g} | {summarise([at(c, 8) for c, _ in runs])} |"
            f" {summarise(ends)} | {iqm(ends):.1f} [{low:.1f}, {high:.1f}] | {summarise(tops)} |"
            f" {sum(t >= -8 for t in tops)}/{len(tops)} | {np.median([w for _, w in runs]):.0f} |"
        )
    lines += ["", "## Longer at dt = 0.002", ""]
    lines += [
        "| agent | env | at 16 s | at 32 s | last three before 48 s |",
        "|---|---|---|---|---|",
    ]
    groups = defaultdict(list)
    for key, curve in curves(rows, "long").items():
        groups[key.env, key.agent].append(curve)
    for (env, agent), found_curves in sorted(groups.items()):
        times = [summarise([at(c, t) for c in found_curves]) for t in (16, 32)]
        ends = summarise([last3(c) for c in found_curves])
        lines.append(f"| {agent} | {env} | {times[0]} | {times[1]} | {ends} |")
    minutes = sum(walls.values()) / 60
    lines += ["", f"{len(walls)} runs, {minutes:.0f} process-minutes (two at a time)."]
    (RESULTS / "dt_study.md").write_text("\n".join(lines) + "\n")
    records = [
        {
            "agent": f"{k.agent}, {k.env.replace('_', ' ')}",
            "dt": k.dt,
            "seed": k.seed,
            "sim_seconds": float(t),
            "return_mean": float(r),
        }
        for k, c in sorted(study.items())
        for t, r in c
    ]
    if records:
        study_figure(records, RESULTS / "dt_study.png")
    print("\n".join(lines))


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    for stage in sys.argv[1:] or ("search", "study", "long", "report"):
        if stage == "report":
            report()
        elif stage in ("search", "study", "long"):
            work(stage)
        else:
            sys.exit(f"unknown stage '{stage}': search, study, long, report")
