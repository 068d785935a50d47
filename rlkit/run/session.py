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
        evaluate: plays the fixed episodes with the greedy policy.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        loop: Loop,
        envs: Any,
        eval_envs: Any,
        evaluate: Callable[[], EvalResult],
    ):
        self.folder, self.config, self.loop = folder, config, loop
        self.eval_envs, self.evaluate = eval_envs, evaluate
        self.B, self.dt = envs.num_envs, envs.dt
        self.total = config["resolved"]["total_vector_steps"]
        self.intervals: dict[str, int] = config["resolved"]["intervals"]
        self.unit: str | None = getattr(loop, "unit", None)
        self.best = -np.inf
        self.logger = RunLogger(folder, config["tensorboard"])
        self.plane = eval_envs.phase_plane(PLANE_POINTS) if config["plots"] else None

    # ---- driving ----------------------------------------------------------------------------

    def run(self, checkpoint: Mapping[str, Tree] | None = None) -> None:
        """Runs the loop to the end of its budget, from a loaded checkpoint if there is one."""
        if checkpoint is not None:
            self._restore(checkpoint)
        elif self.unit and self.intervals["checkpoint"]:
            self._save()  # the stages before the first generation can then be resumed
        start = self.last = self.loop.vector_steps
        each, unit = (1, self.unit) if self.unit else (self.B, "env steps")
        self.progress = Progress(self.total * each, unit=unit, start_steps=start * each)
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
        return_mean = (
            self._evaluate()
            if self.intervals["evaluation"] and ("evaluation" in due or final)
            else None
        )
        if self.intervals["checkpoint"] and ("checkpoint" in due or final):
            self._save()
        self.progress.update(
            now * (1 if self.unit else self.B),
            sim_seconds=self._counters()["sim_seconds"],
            return_mean=return_mean,
        )

    def _counters(self) -> dict[str, Any]:
        env_steps = getattr(self.loop, "env_steps", self.loop.vector_steps * self.B)
        return {
            "env_steps": env_steps,
            "sim_seconds": round(env_steps / self.B * self.dt, 9),
            "updates": self.loop.updates,
        }

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self) -> float:
        record = self._counters() | summary(self.evaluate(), self.eval_envs)
        record["wall_seconds"] = self.logger.wall_seconds
        self.logger.log_eval(record)
        if record["return_mean"] > self.best:
            self.best = record["return_mean"]
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
        return float(record["return_mean"])

    def _draw(self) -> None:
        if not self.config["plots"]:
            return
        plots, figures = self.folder / "plots", {}
        for name, frame in self.loop.pictures().items() if self.unit else ():  # type: ignore[attr-defined]
            figures[f"plots/{name}"] = plotting.picture(frame, plots / f"{name}.png")
        if self.unit:
            records = self._records("metrics")
            path = plotting.population_curve(records, plots / "population.png")
            figures["plots/population"] = path
        records = self._records("eval")
        if records:
            plotting.learning_curve(records, plots / "learning_curve.png")
            figures["plots/learning_curve"] = plots / "learning_curve.png"
        if records and "success_rate" in records[0]:
            plotting.success_curve(records, plots / "success_rate.png")
            figures["plots/success_rate"] = plots / "success_rate.png"
        if records and self.plane is not None:
            snapshots = plotting.load_snapshots(self.folder)
            plotting.phase_plane_figure(snapshots, plots / "phase_plane.png")
            figures["plots/phase_plane"] = plots / "phase_plane.png"
        for tag, path in figures.items():
            self.logger.log_figure(tag, path, self._counters()["env_steps"])

    def _records(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(x) for x in (self.folder / f"{name}.jsonl").read_text().splitlines()]

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
            step=self._counters()["env_steps"],
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
