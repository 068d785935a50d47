"""A session: what happens between blocks of learning: log, evaluate, save, resume, draw."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from rlkit.run import plotting
from rlkit.run.checkpoint import save_best, save_checkpoint
from rlkit.run.evaluation import EvalResult, summary
from rlkit.run.logger import RunLogger
from rlkit.run.progress import Progress
from rlkit.schedule import Stage
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


class Part(NamedTuple):
    """What one stage of a run is made of; most runs have one.

    Attributes:
        stage: its place on the clock of the run.
        loop: what runs.
        envs: the training environments.
        eval_envs: environments of the evaluations.
        evaluate: plays the fixed episodes, or finds losses (a record).
    """

    stage: Stage
    loop: Loop
    envs: Any
    eval_envs: Any
    evaluate: Callable[[], EvalResult | dict[str, Any]]

    def close(self) -> None:
        """Closes the environments."""
        self.envs.close()
        self.eval_envs.close()


class Session:
    """Follows loops through their budget. All intervals are in ticks of the run's clock.

    Args:
        folder: the run folder.
        config: the resolved configuration.
        part: the stage to begin with.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], part: Part):
        self.folder, self.config = folder, config
        self.B, self.tick_seconds = part.envs.num_envs, part.envs.dt
        if config["dt_schedule"]:
            self.tick_seconds = config["dt"] * config["wrappers"]["action_repeat"]
        self.total = config["resolved"]["total_vector_steps"]
        self.intervals: dict[str, int] = config["resolved"]["intervals"]
        self.updates_before = 0
        self._enter(part)
        self.clock = "updates" if self.unit else "env_steps"  # a dream takes no environment steps
        self.logger = RunLogger(folder, config["tensorboard"], self.clock)
        self.plane = part.eval_envs.phase_plane(PLANE_POINTS) if config["plots"] else None

    # ---- driving ----------------------------------------------------------------------------

    def run(
        self,
        later: Sequence[Stage] = (),
        make_part: Callable[..., Part] | None = None,
        checkpoint: Mapping[str, Tree] | None = None,
    ) -> None:
        """Runs to the end of the budget, from a loaded checkpoint if there is one.

        Args:
            later: the stages after the present one.
            make_part: (stage, before=loop) → the next part.
            checkpoint: of the present stage.
        """
        if checkpoint is not None:
            self._restore(checkpoint)
        elif self.unit and self.intervals["checkpoint"]:
            self._save()  # the stages before the first generation can then be resumed
        self.last = self._now
        final = later[-1] if later else self.part.stage
        total_steps = (final.steps_before + final.steps) * self.each
        unit = self.unit or "env steps"
        self.progress = Progress(total_steps, unit=unit, start_steps=self._steps * self.each)
        try:
            self._run_stage()
            for stage in later:
                assert make_part is not None
                self.updates_before += self.loop.updates
                self.part.close()
                self._enter(make_part(stage, before=self.loop))
                self._run_stage()
            self._draw()
        finally:
            self.progress.close()
            self.logger.close()

    def _enter(self, part: Part) -> None:
        """Begins a stage; what was best at another dt does not count."""
        self.part, self.loop, self.best = part, part.loop, -np.inf
        self.unit: str | None = getattr(part.loop, "unit", None)
        self.each = 1 if self.unit else self.B  # what progress counts

    def _run_stage(self) -> None:
        end = self.part.stage.end
        self.loop.run(lambda loop: self._now >= end, self._after_block)  # type: ignore[attr-defined]

    @property
    def _steps(self) -> int:
        """Vector steps so far, of all stages."""
        return self.part.stage.steps_before + self.loop.vector_steps

    @property
    def _now(self) -> int:
        """The clock of the run, in ticks."""
        return self.part.stage.start + self.loop.vector_steps * self.part.stage.ticks

    def _after_block(self, loop: Loop, metrics: Metrics) -> None:
        now = self._now
        final = now >= self.total
        due = {name for name, k in self.intervals.items() if k and now // k > self.last // k}
        self.last = now
        if "log" in due or now >= self.part.stage.end:
            values = {name: float(v.mean()) for name, v in metrics.items()}
            counters = self._counters()
            values = {"dt": counters.pop("dt")} | values | loop.pop_metrics()
            self.logger.log(values, **counters)
        result = (
            self._evaluate()
            if self.intervals["evaluation"] and ("evaluation" in due or final)
            else None
        )
        if self.intervals["checkpoint"] and ("checkpoint" in due or final):
            self._save()
        self.progress.update(
            self._steps * self.each,
            sim_seconds=self._counters()["sim_seconds"],
            result=result,
        )

    def _counters(self) -> dict[str, Any]:
        env_steps, ticks = self._steps * self.B, self._now
        if self.unit:
            env_steps = self.loop.env_steps  # type: ignore[attr-defined]
            ticks = env_steps / self.B
        return {
            "env_steps": env_steps,
            "sim_seconds": round(ticks * self.tick_seconds, 9),
            "updates": self.updates_before + self.loop.updates,
            "dt": self.part.stage.dt,
        }

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self) -> str:
        found = self.part.evaluate()
        found = found if isinstance(found, dict) else summary(found, self.part.eval_envs)
        record: dict[str, Any] = self._counters() | found
        record["wall_seconds"] = self.logger.wall_seconds
        self.logger.log_eval(record)
        name = "return_mean" if "return_mean" in record else "loss"
        score = record[name] if name == "return_mean" else -record[name]
        if score > self.best:
            self.best = score
            files = {"agent": self.loop.agent.get_state()}
            save_best(self._checkpoints, files, step=record[self.clock], metadata=record)
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
            plotting.save_snapshot(self.folder, snapshot, record[self.clock])
        return f"{name.removesuffix('_mean')} {record[name]:.4g}"

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
            path = plots / "learning_curve.png"
            if "loss" in records[0]:
                plotting.loss_curve(records, path)
            else:
                plotting.learning_curve(records, path, self.unit)
            figures["plots/learning_curve"] = plots / "learning_curve.png"
        if records and "success_rate" in records[0]:
            plotting.success_curve(records, plots / "success_rate.png", self.unit)
            figures["plots/success_rate"] = plots / "success_rate.png"
        if records and self.plane is not None:
            snapshots = plotting.load_snapshots(self.folder)
            plotting.phase_plane_figure(snapshots, plots / "phase_plane.png")
            figures["plots/phase_plane"] = plots / "phase_plane.png"
        for tag, path in figures.items():
            self.logger.log_figure(tag, path, self._counters()[self.clock])

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
            "stage": self.part.stage.index,
            "updates_before": self.updates_before,
        }
        save_checkpoint(
            self._checkpoints,
            {"agent": self.loop.agent.get_state(), "training": training},
            step=self._counters()[self.clock],
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
        self.updates_before = training.get("updates_before", 0)
