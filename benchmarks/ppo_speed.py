"""Recurrent PPO on velocity-masked CartPole: ours beside two that users have today.

    python benchmarks/ppo_speed.py                    # env steps per CPU-second, writes the table
    python benchmarks/ppo_speed.py --to-450           # CPU-seconds to a mean return of 450
    python benchmarks/ppo_speed.py --contenders rlkit_gru cleanrl_style   # these, writes nothing

Every run is a process of its own with one torch thread; its CPU-seconds are counted after imports,
construction and one thrown-away rollout with its updates. Contenders take turns, so that a busy
moment hits all; ratios are medians over the repeats of the ratio within a repeat.

Equal: the task (position and angle of the stock CartPole, time limit 500 steps), the settings of
`baselines/contract.py` (128-step rollouts, 4 epochs of 4 minibatches, Adam at 1e-3, gamma 0.99 and
lambda 0.95 per step, clip 0.2, entropy weight 0.01, value weight 0.5, gradient norm 0.5), 64 hidden
units, observations normalised by running moments, no clipping of the value, backpropagation through
whole rollouts (except `chunk32`), the number of environment steps, and the criterion: mean return
of the last 50 training episodes, read after each update.

Not equal, as each comes to its users:
  * environments: ours steps all copies at once in NumPy; the others step gymnasium's CartPole-v1
    copy by copy (without its checker, which would slow them further);
  * layers around the memory, all tanh of 64: cleanrl_style has one before it; sb3-contrib its
    default two after it for each head (`sb3_separate` also a second LSTM); ours one before and one
    after it for each head. `rlkit_lstm` is their cell, `rlkit_gru` has a quarter fewer weights;
  * sequences: sb3-contrib cuts minibatches out of the flattened rollout and pads the pieces;
    cleanrl_style and ours take whole columns of environments;
  * scale of the value: the baselines get rewards of 0.02 a step (with 1 a step cleanrl_style
    stays below a return of 50, and sb3-contrib is slower); ours gets 1 a step and normalises its
    value targets;
  * value loss: sb3-contrib's lacks the factor 1/2 of the others; cleanrl_style takes a time limit
    for an end, the others bootstrap there.
Speed depends on how well a policy already does (short episodes mean more starts); it is measured
over the first `--env-steps` of learning.
"""

import argparse
import csv
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

RESULTS = Path(__file__).parent / "results"
BASELINES = ("cleanrl_style", "sb3_shared", "sb3_separate")
CONTENDERS = ("rlkit_gru", "rlkit_gru_chunk32", "rlkit_lstm", *BASELINES)
TARGET = 450.0

Row = dict[str, Any]


def runner(contender: str) -> Callable[..., Any]:
    """The `run` of a contender; imports it alone."""
    if contender.startswith("rlkit"):
        from benchmarks.baselines import ours

        _, memory, *chunk = contender.split("_")
        steps = int(chunk[0].removeprefix("chunk")) if chunk else None
        return partial(ours.run, memory=memory, chunk_steps=steps)
    if contender.startswith("sb3"):
        from benchmarks.baselines import sb3_contrib

        return partial(sb3_contrib.run, topology=contender.removeprefix("sb3_"))
    from benchmarks.baselines import cleanrl_style

    return cleanrl_style.run


def work(job: Row) -> None:
    """One run in this process; the last line printed is its result."""
    import torch

    from benchmarks.baselines.contract import Settings

    torch.set_num_threads(1)
    run, settings, B = runner(job["contender"]), Settings(), job["num_envs"]
    run(B, settings.rollout_steps * B, seed=1000 + job["seed"], settings=settings)  # warm-up
    result = run(B, job["env_steps"], job["seed"], settings, job["until"])
    print(json.dumps(result.as_dict()))


def in_a_process(
    contender: str, num_envs: int, env_steps: int, seed: int, until: float | None
) -> Row:
    """The result of one run, as a dictionary."""
    job = {"contender": contender, "num_envs": num_envs, "env_steps": env_steps}
    words = [sys.executable, __file__, "--worker", json.dumps(job | {"seed": seed, "until": until})]
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        words, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True
    )
    result: Row = json.loads(done.stdout.splitlines()[-1])
    return result


def row_of(contender: str, num_envs: int, seed: int, result: Row) -> Row:
    steps, cpu = result["env_steps"], result["cpu_seconds"]
    return {
        "contender": contender,
        "num_envs": num_envs,
        "seed": seed,
        "env_steps": steps,
        "cpu_seconds": round(cpu, 3),
        "wall_seconds": round(result["wall_seconds"], 3),
        "env_steps_per_cpu_second": round(steps / cpu),
        "return_mean_last_50": round(result["curve"][-1][2], 1),
    }


def measure_speed(arguments: argparse.Namespace) -> list[Row]:
    """Repeats of all contenders, in turn."""
    rows = []
    for repeat in range(arguments.repeats):
        for num_envs in arguments.num_envs:
            for name in arguments.contenders:
                result = in_a_process(name, num_envs, arguments.env_steps, repeat, None)
                rows.append(row_of(name, num_envs, repeat, result))
                report(rows[-1])
    return rows


def measure_to_target(arguments: argparse.Namespace) -> list[Row]:
    """Seeds of all contenders, in turn; a run ends at the target or at the cap of steps."""
    rows = []
    for seed in range(arguments.seeds):
        for num_envs in arguments.num_envs:
            for name in arguments.contenders:
                result = in_a_process(name, num_envs, arguments.cap_steps, seed, TARGET)
                row = row_of(name, num_envs, seed, result)
                best = max(mean for _, _, mean in result["curve"])
                rows.append(row | {"best_mean": round(best, 1), "reached": result["reached"]})
                report(rows[-1])
    return rows


def report(row: Row) -> None:
    print("  ".join(f"{k}={v}" for k, v in row.items()), file=sys.stderr, flush=True)


def median_ratio(rows: list[Row], of: str, to: str, num_envs: int, key: str) -> float | None:
    """Median over the seeds of the ratio of `key`; None where a contender has no value."""
    value = {(r["contender"], r["seed"]): r[key] for r in rows if r["num_envs"] == num_envs}
    ratios = [v / value[to, seed] for (name, seed), v in value.items() if name == of]
    return statistics.median(ratios) if ratios else None


def print_speed(rows: list[Row], names: list[str]) -> None:
    """Env steps per CPU-second, and how many times those of each baseline."""
    baselines = [b for b in BASELINES if b in names]
    print(f"{'contender':<19}{'envs':>5}{'steps/CPU-s':>13}{'least':>8}{'most':>8}", end="")
    print("".join(f"{'/ ' + b:>16}" for b in baselines))
    for num_envs in dict.fromkeys(r["num_envs"] for r in rows):
        for name in names:
            own = [r for r in rows if (r["contender"], r["num_envs"]) == (name, num_envs)]
            speeds = [r["env_steps_per_cpu_second"] for r in own]
            middle = round(statistics.median(speeds))
            print(f"{name:<19}{num_envs:>5}{middle:>13,}{min(speeds):>8,}{max(speeds):>8,}", end="")
            key = "env_steps_per_cpu_second"
            ratios = [median_ratio(rows, name, b, num_envs, key) for b in baselines]
            print("".join(f"{r:>16.2f}" for r in ratios))


def print_to_target(rows: list[Row], names: list[str]) -> None:
    """Medians over the seeds that reached the target; CPU-seconds of a baseline over one's own."""
    baselines = [b for b in BASELINES if b in names]
    print(f"{'contender':<19}{'envs':>5}{'reached':>9}{'env steps':>11}{'CPU-s':>8}", end="")
    print(f"{'best mean':>11}" + "".join(f"{b + ' /':>17}" for b in baselines))
    for num_envs in dict.fromkeys(r["num_envs"] for r in rows):
        own = {
            n: [r for r in rows if (r["contender"], r["num_envs"]) == (n, num_envs)] for n in names
        }
        there = {name: [r for r in own[name] if r["reached"]] for name in names}
        cpu = {n: statistics.median(r["cpu_seconds"] for r in there[n]) for n in names if there[n]}
        for name in names:
            print(f"{name:<19}{num_envs:>5}{f'{len(there[name])} of {len(own[name])}':>9}", end="")
            steps = statistics.median(r["env_steps"] for r in there[name]) if name in cpu else 0
            print(
                f"{steps:>11,.0f}{cpu[name]:>8.1f}" if name in cpu else f"{'-':>11}{'-':>8}", end=""
            )
            best = statistics.median(r["best_mean"] for r in own[name])
            ratios = [
                f"{cpu[b] / cpu[name]:.1f}" if {b, name} <= set(cpu) else "-" for b in baselines
            ]
            print(f"{best:>11.1f}" + "".join(f"{r:>17}" for r in ratios))


def write(rows: list[Row], path: Path) -> None:
    RESULTS.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"wrote {path.name}")


def main(words: list[str]) -> int:
    if words[:1] == ["--worker"]:
        work(json.loads(words[1]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to-450", action="store_true", help="CPU-seconds to a return of 450")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--num-envs", nargs="+", type=int, help="default: 16 64, or 16 to 450")
    parser.add_argument("--env-steps", type=int, default=32_768, help="of a speed run")
    parser.add_argument("--repeats", type=int, default=3, help="of the speed runs")
    parser.add_argument("--seeds", type=int, default=3, help="of the runs to 450")
    parser.add_argument("--cap-steps", type=int, default=200_000, help="of a run to 450")
    arguments = parser.parse_args(words)
    arguments.num_envs = arguments.num_envs or ([16] if arguments.to_450 else [16, 64])
    names = arguments.contenders
    if any(n.startswith("sb3") for n in names) and not importlib.util.find_spec("sb3_contrib"):
        print(
            "sb3-contrib is not installed: python -m pip install -e '.[benchmarks]', or name other"
            " --contenders",
            file=sys.stderr,
        )
        return 2
    if arguments.to_450:
        rows, file = measure_to_target(arguments), RESULTS / "ppo_to_450.csv"
        print_to_target(rows, names)
    else:
        rows, file = measure_speed(arguments), RESULTS / "ppo_speed.csv"
        print_speed(rows, names)
    if set(names) == set(CONTENDERS):
        write(rows, file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
