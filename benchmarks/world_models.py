"""World Models on CarRacing: the rows of table 7.2, other memories, the dream; one budget for all.

    python benchmarks/world_models.py [demo | two_core] [rows] [seeds=0,1] [outputs=…]
    python benchmarks/world_models.py report

Rows: those of the table unless named (`ROWS`). Each is one run of train.py, alone on the machine
because it takes all of its cores. Runs of a seed share their stages through the cache of `outputs`;
a row's minutes of a stage are those it took when it was made, whoever made it. A run that is in
benchmarks/results/world_models.csv is not made again.

What is judged is the mean of CMA-ES at the end, on fresh tracks, drawn by the fast renderer and by
gymnasium's own; beside it the controller that was delivered (the mean, or a member that did better
on other tracks), and the mean's return in its own dream. Returns are in the units of gymnasium.
"""

import json
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from runs import append, read

from configs import build
from configs.compose import choices
from rlkit.executors import make_executor
from rlkit.loops.population import Play
from rlkit.run.checkpoint import load_checkpoint
from rlkit.run.folder import read_config
from rlkit.run.stages import StagePlace
from rlkit.seeding import one_thread

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CSV, REPORT = RESULTS / "world_models.csv", RESULTS / "world_models.md"
TABLE, DREAM = "tallec2019_table_7_2", "ha2018_dream"
RESERVOIR = "agent.train_dynamics=false"
ROWS = {
    "trained": (TABLE, ""),
    "untrained_memory": (TABLE, RESERVOIR),
    "both_untrained": (TABLE, f"agent.train_vision=false {RESERVOIR}"),
    "z_alone": (TABLE, f"agent.inputs=z {RESERVOIR}"),
    "gru": (TABLE, "memory=gru"),
    "gru_reservoir": (TABLE, f"memory=gru {RESERVOIR}"),
    "gatel0rd": (TABLE, "memory=gatel0rd"),
    "gatel0rd_reservoir": (TABLE, f"memory=gatel0rd {RESERVOIR}"),
    "rtu": (TABLE, "memory=rtu memory.hidden_size=128"),
    "rtu_reservoir": (TABLE, f"memory=rtu memory.hidden_size=128 {RESERVOIR}"),
    "dream": (DREAM, ""),
}
FIRST = ("trained", "untrained_memory", "both_untrained", "z_alone")
STAGES = ("data", "vision", "dynamics")
TRACKS, FIRST_TRACK = 32, 1_000_000
FEW_TRACKS = 2
"""With preset=smoke."""
UNIT_JOBS = 8
"""Handed out together: with gymnasium's renderer a minute or two."""


def main(words: list[str]) -> None:
    presets, options = choices("preset/world_models"), {"seeds": "0", "outputs": "outputs/study"}
    preset, rows = "demo", []
    for word in words:
        key, is_option, value = word.partition("=")
        if is_option and key in options:
            options[key] = value
        elif word in presets:
            preset = word
        elif word in ROWS:
            rows.append(word)
        elif word != "report":
            sys.exit(f"'{word}' is none of: {', '.join([*presets, *ROWS, *options, 'report'])}")
    if "report" not in words:
        one_thread()
        made = {(r["preset"], r["row"], int(r["seed"])) for r in read(CSV)}
        for seed in map(int, options["seeds"].split(",")):
            for row in rows or FIRST:
                if (preset, row, seed) not in made:
                    append(CSV, [study(preset, row, seed, ROOT / options["outputs"])])
    lines = report(read(CSV))
    REPORT.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def study(preset: str, row: str, seed: int, outputs: Path) -> dict[str, Any]:
    """One run and its evaluations, as a row of the CSV."""
    experiment, words = ROWS[row]
    command = [f"experiment={experiment}", f"preset={preset}", *words.split(), f"seed={seed}"]
    outputs.mkdir(parents=True, exist_ok=True)
    log, began = outputs / f"{preset}-{row}-{seed}.log", time.monotonic()
    print(f"train.py {' '.join(command)}   ({log})", flush=True)
    with open(log, "w") as errors:
        done = subprocess.run(
            [sys.executable, str(ROOT / "train.py"), *command, f"outputs={outputs}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)}: see {log}")
    folder = Path(done.stdout.splitlines()[-1].removeprefix("run: "))
    seconds, inside = stage_seconds(log.read_text())
    record: dict[str, Any] = {"preset": preset, "row": row, "seed": seed}
    record["words"] = f"experiment={experiment} {words}".strip()
    record |= {f"{stage}_minutes": minutes(seconds[stage]) for stage in STAGES}
    record["controller_minutes"] = minutes(wall - inside)
    record["total_minutes"] = minutes(wall - inside + sum(seconds.values()))
    record |= last_notes(folder)
    return record | returns(folder, FEW_TRACKS if preset == "smoke" else TRACKS)


def minutes(seconds: float) -> float:
    return round(seconds / 60, 2)


def stage_seconds(log: str) -> tuple[dict[str, float], float]:
    """Seconds that the stages of a run took when they were made, and those spent in this run."""
    seconds, inside = dict.fromkeys(STAGES, 0.0), 0.0
    for stage, how, folder in re.findall(r"^(\w+): (taken from|kept in) (.+)$", log, re.M):
        took = sum(r["seconds"] for r in StagePlace(Path(folder)).history())
        seconds[stage] += took
        inside += took * (how == "kept in")
    return seconds, inside


def last_notes(folder: Path) -> dict[str, Any]:
    """Losses of the last vision and dynamics, and how many generations there were."""
    notes: dict[str, Any] = {}
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        notes |= json.loads(line)
    kept = {
        "squared_error": "vision/validation_squared_error",
        "dynamics_loss": "dynamics/validation_loss",
        "persistence_loss": "dynamics/persistence_loss",
        "chosen": "controller/chosen",
        "generations": "controller/generation",
    }
    return {k: round(notes[name], 4) if name in notes else "" for k, name in kept.items()}


def returns(folder: Path, tracks: int) -> dict[str, Any]:
    """Of the mean, drawn by both renderers; of what was delivered; and of the mean's dreams."""
    config = read_config(folder)
    files, _ = load_checkpoint(folder / "checkpoints", "last")
    environments = build.make_envs(config, 1)
    agent: Any = build.make_agent(config, environments, noise_seed=0)
    agent.load_state_dict(files["agent"])
    mean_P = files["training"]["agent"]["strategy"]["mean"].astype(np.float32)
    delivered_P = files["agent"]["controller.parameters_P"].numpy()
    record: dict[str, Any] = {"tracks": tracks}

    def play(renderer: str, parameters_P: Any, dream: bool = False) -> Any:
        own = {**config, "env": {**config["env"], "renderer": renderer}}
        executor = make_executor(config["executor"], partial(build.make_worker, own))
        seeds = range(FIRST_TRACK, FIRST_TRACK + tracks)
        parts = [tuple(seeds[i : i + UNIT_JOBS]) for i in range(0, tracks, UNIT_JOBS)]
        units = [Play(np.tile(parameters_P, (len(s), 1)), s, 0, dream) for s in parts]
        executor.share(agent.weights())
        try:
            played_N3 = np.concatenate(executor.map(units))
        finally:
            executor.close()
        return played_N3[:, 0] / environments.stock_dt

    fast_N, official_N = play("fast", mean_P), play("official", mean_P)
    same = np.array_equal(mean_P, delivered_P)
    delivered_N = fast_N if same else play("fast", delivered_P)
    record |= spread("mean", fast_N) | spread("official", official_N)
    record |= spread("difference", official_N - fast_N) | spread("delivered", delivered_N)
    dreamt_N = play("fast", mean_P, dream=True) if config["agent"]["train_dynamics"] else None
    return record | {"dream_return": "" if dreamt_N is None else round(float(dreamt_N.mean()), 1)}


def spread(name: str, return_N: Any) -> dict[str, float]:
    """Mean and standard deviation over tracks."""
    found = {"return": return_N.mean(), "std": return_N.std(ddof=1)}
    return {f"{name}_{k}": round(float(v), 1) for k, v in found.items()}


def report(records: list[dict[str, str]]) -> list[str]:
    """A table of all runs, preset by preset."""
    lines = []
    for preset in dict.fromkeys(r["preset"] for r in records):
        chosen = [r for r in records if r["preset"] == preset]
        tracks = chosen[0]["tracks"]
        lines += [
            "",
            f"preset={preset}, {tracks} fresh tracks, mean ± standard deviation over them:",
        ]
        lines += [
            "",
            "| row | seed | CMA mean | official renderer | difference ± s.e. | delivered |",
        ]
        lines[-1] += " dream | squared error | dynamics loss (next z = z) | minutes: data, vision,"
        lines[-1] += " dynamics, controller | total |"
        lines += ["|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
        lines += [line_of(r) for r in chosen]
    return lines[1:]


def line_of(r: dict[str, str]) -> str:
    error = float(r["difference_std"]) / float(r["tracks"]) ** 0.5
    loss = f"{r['dynamics_loss']} ({r['persistence_loss']})" if r["dynamics_loss"] else ""
    spent = ", ".join(r[f"{stage}_minutes"] for stage in (*STAGES, "controller"))
    cells = [
        *(r["row"].replace("_", " "), r["seed"], f"{r['mean_return']} ± {r['mean_std']}"),
        f"{r['official_return']} ± {r['official_std']}",
        f"{r['difference_return']} ± {error:.1f}",
        *(r["delivered_return"], r["dream_return"], r["squared_error"], loss),
        *(spent, r["total_minutes"]),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    RESULTS.mkdir(exist_ok=True)
    main(sys.argv[1:])
