"""Evaluate a saved policy: `python evaluate.py run=<folder> episodes=64 json=true`.

Everything is read from the run folder; by default the best checkpoint plays the episodes of the
training-time evaluation again and gives the same numbers. Of an agent trained by generations it is
the last checkpoint, which holds what was delivered. Exit codes as in train.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

from configs.compose import compose_evaluate, evaluation_config
from configs.help import help_text
from rlkit.options import ConfigError

VIDEO_FPS = 30.0


def main(arguments: list[str]) -> int:
    """Evaluates as the command line says; returns the exit code."""
    if {"-h", "--help"} & set(arguments):
        print(help_text("evaluate", []))
        return 0
    request = compose_evaluate(arguments)
    record = evaluate(request)
    if request["json"]:
        print(json.dumps(record))
    else:
        width = max(map(len, record))
        print("\n".join(f"{k:<{width}}  {v}" for k, v in record.items()))
    return 0


def evaluate(request: dict[str, Any]) -> dict[str, Any]:
    """Plays the episodes; returns one record with the keys of eval.jsonl."""
    folder = Path(request["run"])
    config = evaluation_config(folder, request)

    from configs import build, predict
    from configs.stages import by_generations, predicts
    from rlkit.run.checkpoint import load_checkpoint
    from rlkit.run.evaluation import summary
    from rlkit.run.video import write_video
    from rlkit.seeding import one_thread, seed_everything

    if request["checkpoint"] is None:
        request = request | {"checkpoint": "last" if by_generations(config) else "best"}
    which, video = request["checkpoint"], request["video"]
    counters = ("env_steps", "sim_seconds", "updates", "wall_seconds")
    files, manifest = load_checkpoint(folder / "checkpoints", which, only=["agent"])
    trained = manifest["metadata"].get("dt", config["dt"])
    config["dt"] = trained if request["dt"] is None else request["dt"]
    one_thread()
    seeds = seed_everything(config["seed"])
    settings = config["evaluation"]
    record = {k: manifest["metadata"].get(k) for k in counters} | {"dt": config["dt"]}
    if predicts(config):
        agent = predict.make_predictor(config, predict.make_task(config), seeds["noise"])
        agent.load_state_dict(files["agent"])
        found = predict.make_evaluator(config, agent, learning=False)()
        return _write(folder, request, record | found)
    num_envs = min(settings["num_envs"], settings["episodes"])
    envs = build.make_envs(config, num_envs, render_mode="rgb_array" if video else None)
    policy = build.make_agent(config, envs, seeds["noise"])
    policy.load_state_dict(files["agent"])
    play = build.make_evaluator(
        policy,
        envs,
        settings["episodes"],
        settings["seed"],
        video_fps=VIDEO_FPS if video else None,
        explore=not settings["deterministic"],
    )
    result = play()
    record |= summary(result, envs)
    if video:
        name = f"{which}_seed{settings['seed']}.mp4"
        path = write_video(folder / "videos" / name, result.frames, result.frames_per_second)
        print(f"video: {path}")
    return _write(folder, request, record)


def _write(folder: Path, request: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    with open(folder / "evaluations.jsonl", "a") as file:
        file.write(json.dumps({"request": request, "result": record}) + "\n")
    return record


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ConfigError as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        sys.exit(2)
