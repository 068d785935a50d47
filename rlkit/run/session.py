"""A session: what happens between blocks of learning: log, evaluate, save, resume, draw."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from rlkit.run import plotting
from rlkit.run.checkpoint import save_best, save_checkpoint
from rlkit.run.evaluation import EvalResult, summary
from rlkit.run.logger import RunLogger
from rlkit.run.progress import Progress
from rlkit.seeding import get_global_state, set_global_state
from rlkit.types import Metrics, Tree

PLANE_POINTS = 61


class Loop(Protocol):
    """What a session asks of a loop."""

    agent: Any
    updates: int

    @property
    def vector_steps(self) -> int: ...

    def pop_metrics(self) -> dict[str, float]: ...

    def get_state(self) -> Tree: ...

    def set_state(self, state: Tree) -> None: ...


class Session:
    """Follows a loop through its budget. All intervals are in vector steps.

    Args:
        folder: the run folder.
        config: the resolved configuration.
        loop: what runs.
        envs: the training environments (for dt and the number of copies).
        eval_envs: environments of the evaluations.
        evaluate: plays the fixed episodes with the greedy policy, or finds losses (a record).
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        loop: Loop,
        envs: Any,
        eval_envs: Any,
        evaluate: Callable[[], EvalResult | dict[str, Any]],
    ):
        self.folder, self.config, self.loop = folder, config, loop
        self.eval_envs, self.evaluate = eval_envs, evaluate
        self.B, self.dt = envs.num_envs, envs.dt
        self.total = config["resolved"]["total_vector_steps"]
        self.intervals: dict[str, int] = config["resolved"]["intervals"]
        self.best = -np.inf
        self.logger = RunLogger(folder, config["tensorboard"])
        self.plane = eval_envs.phase_plane(PLANE_POINTS) if config["plots"] else None

    # ---- driving ----------------------------------------------------------------------------

    def run(self, checkpoint: Mapping[str, Tree] | None = None) -> None:
        """Runs the loop to the end of its budget, from a loaded checkpoint if there is one."""
        if checkpoint is not None:
            self._restore(checkpoint)
        start = self.loop.vector_steps
        self.progress = Progress(self.total * self.B, start_steps=start * self.B)
        self.last = start
        try:
            self.loop.run(lambda loop: loop.vector_steps >= self.total, self._after_block)  # type: ignore[attr-defined]
            self._draw()
        finally:
            self.progress.close()
            self.logger.close()

    def _after_block(self, loop: Loop, metrics: Metrics) -> None:
        now, final = loop.vector_steps, loop.vector_steps >= self.total
        due = {name for name, k in self.intervals.items() if k and now // k > self.last // k}
        self.last = now
        if "log" in due or final:
            values = {name: float(v.mean()) for name, v in metrics.items()}
            self.logger.log(values | loop.pop_metrics(), **self._counters())
        result = (
            self._evaluate()
            if self.intervals["evaluation"] and ("evaluation" in due or final)
            else None
        )
        if self.intervals["checkpoint"] and ("checkpoint" in due or final):
            self._save()
        self.progress.update(
            now * self.B, sim_seconds=self._counters()["sim_seconds"], result=result
        )

    def _counters(self) -> dict[str, Any]:
        steps = self.loop.vector_steps
        return {
            "env_steps": steps * self.B,
            "sim_seconds": round(steps * self.dt, 9),
            "updates": self.loop.updates,
        }

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self) -> str:
        found = self.evaluate()
        found = found if isinstance(found, dict) else summary(found, self.eval_envs)
        record: dict[str, Any] = self._counters() | found
        record["wall_seconds"] = self.logger.wall_seconds
        self.logger.log_eval(record)
        name = "return_mean" if "return_mean" in record else "loss"
        score = record[name] if name == "return_mean" else -record[name]
        if score > self.best:
            self.best = score
            files = {"agent": self.loop.agent.get_state()}
            save_best(self._checkpoints, files, step=record["env_steps"], metadata=record)
        if self.plane is not None:
            value, policy = self.loop.agent.inspect(torch.from_numpy(self.plane.obs))
            n, m = len(self.plane.y), len(self.plane.x)
            snapshot = plotting.Snapshot(
                sim_seconds=record["sim_seconds"],
                value=value.numpy().reshape(n, m),
                policy=policy.numpy().reshape(n, m),
                x=self.plane.x,
                y=self.plane.y,
                x_label=self.plane.x_label,
                y_label=self.plane.y_label,
            )
            plotting.save_snapshot(self.folder, snapshot, record["env_steps"])
        return f"{name.removesuffix('_mean')} {record[name]:.4g}"

    def _draw(self) -> None:
        if not self.config["plots"]:
            return
        lines = (self.folder / "eval.jsonl").read_text().splitlines()
        if not lines:
            return
        plots = self.folder / "plots"
        records = [json.loads(line) for line in lines]
        curve = plotting.loss_curve if "loss" in records[0] else plotting.learning_curve
        curve(records, plots / "learning_curve.png")
        figures = {"plots/learning_curve": plots / "learning_curve.png"}
        if "success_rate" in records[0]:
            plotting.success_curve(records, plots / "success_rate.png")
            figures["plots/success_rate"] = plots / "success_rate.png"
        if self.plane is not None:
            snapshots = plotting.load_snapshots(self.folder)
            plotting.phase_plane_figure(snapshots, plots / "phase_plane.png")
            figures["plots/phase_plane"] = plots / "phase_plane.png"
        for tag, path in figures.items():
            self.logger.log_figure(tag, path, self._counters()["env_steps"])

    # ---- checkpoints ------------------------------------------------------------------------

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def _save(self) -> None:
        training = {
            "loop": self.loop.get_state(),
            "agent": self.loop.agent.get_training_state(),
            "global": get_global_state(),
            "logger": self.logger.get_state(),
            "best": float(self.best),
        }
        save_checkpoint(
            self._checkpoints,
            {"agent": self.loop.agent.get_state(), "training": training},
            step=self.loop.vector_steps * self.B,
            metadata=self._counters() | {"wall_seconds": self.logger.wall_seconds},
            keep=self.config["checkpoint"]["keep"],
        )

    def _restore(self, files: Mapping[str, Tree]) -> None:
        training = files["training"]
        self.loop.agent.load_state_dict(files["agent"])
        self.loop.agent.set_training_state(training["agent"])
        self.loop.set_state(training["loop"])
        set_global_state(training["global"])
        self.logger.set_state(training["logger"])
        self.best = training["best"]
