"""A resumed log equals the uninterrupted one, and TensorBoard reads the events."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from rlkit.run.logger import RunLogger


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_wall_seconds(records):
    return [{k: v for k, v in record.items() if k != "wall_seconds"} for record in records]


def play(logger, steps):
    for step in steps:
        counters = {"env_steps": step, "sim_seconds": step * 0.5, "updates": step // 10}
        logger.log({"train/loss_value": 1 / step, "rollout/nan": float("nan")}, **counters)
        logger.log_eval({**counters, "episodes": 2, "return_mean": np.float64(step)})


def test_lines(tmp_path):
    logger = RunLogger(tmp_path, tensorboard=False)
    play(logger, [10])
    logger.close()
    (metrics,), (record,) = lines(tmp_path / "metrics.jsonl"), lines(tmp_path / "eval.jsonl")
    counters = ["env_steps", "sim_seconds", "updates", "wall_seconds"]
    assert list(metrics) == [*counters, "train/loss_value", "rollout/nan"]
    assert (metrics["train/loss_value"], metrics["rollout/nan"]) == (0.1, None)
    assert list(record) == [*counters, "episodes", "return_mean"]
    assert record["return_mean"] == 10.0


def test_an_evaluation_without_counters_is_refused(tmp_path):
    logger = RunLogger(tmp_path, tensorboard=False)
    with pytest.raises(ValueError, match="needs sim_seconds, updates"):
        logger.log_eval({"env_steps": 1})
    logger.close()


def test_a_resumed_log_equals_the_uninterrupted_one(tmp_path):
    whole = RunLogger(tmp_path / "whole", tensorboard=False)
    play(whole, [10, 20, 30, 40])
    whole.close()

    killed = RunLogger(tmp_path / "killed", tensorboard=False)
    play(killed, [10, 20])
    state = killed.get_state()
    state["wall_seconds"] = 1000.0
    play(killed, [30])
    killed.close()
    with open(tmp_path / "killed" / "metrics.jsonl", "a") as file:
        file.write('{"env_steps": 3')  # killed while writing
    resumed = RunLogger(tmp_path / "killed", tensorboard=False)
    resumed.set_state(state)
    play(resumed, [30, 40])
    resumed.close()
    for name in ("metrics.jsonl", "eval.jsonl"):
        a, b = lines(tmp_path / "whole" / name), lines(tmp_path / "killed" / name)
        assert without_wall_seconds(a) == without_wall_seconds(b)
        assert b[1]["wall_seconds"] < 1000 <= b[2]["wall_seconds"] <= b[3]["wall_seconds"]


def test_resuming_into_an_empty_folder_starts_empty_files(tmp_path):
    first = RunLogger(tmp_path / "a", tensorboard=False)
    play(first, [10])
    state = first.get_state()
    first.close()
    second = RunLogger(tmp_path / "b", tensorboard=False)
    second.set_state(state)
    play(second, [20])
    second.close()
    assert [r["env_steps"] for r in lines(tmp_path / "b" / "metrics.jsonl")] == [20]


def test_tensorboard_reads_the_events_of_a_resumed_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = RunLogger(tmp_path, tensorboard=True)
    play(logger, [10, 20])
    state = logger.get_state()
    play(logger, [25])
    logger.close()
    logger = RunLogger(tmp_path, tensorboard=True)
    logger.set_state(state)
    play(logger, [30])
    image = np.zeros((4, 6, 3), np.uint8)
    Figure(figsize=(1, 1)).savefig(tmp_path / "figure.png")
    logger.log_figure("plots/array", image, 30)
    logger.log_figure("plots/file", tmp_path / "figure.png", 30)
    logger.close()

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for tag, value in (
        ("train/loss_value", 1 / 30),
        ("eval/return_mean", 30.0),
        ("time/sim_seconds", 15.0),
    ):
        scalars = events.Scalars(tag)
        assert sorted({e.step for e in scalars}) == [10, 20, 30]
        assert scalars[-1].value == pytest.approx(value)
    (array,) = events.Images("plots/array")
    assert (array.width, array.height, array.step) == (6, 4, 30)
    assert events.Images("plots/file")[0].width == 100
