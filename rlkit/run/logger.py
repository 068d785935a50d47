"""Log of a run: JSON lines for programs, TensorBoard events for eyes.

`metrics.jsonl` has one object per call of `log`, `eval.jsonl` one per evaluation; each line is one
unbuffered write. The state of the logger, kept in a checkpoint, is the length of both files: a
resumed run cuts off what it will write again, so apart from `wall_seconds` the files of a killed
and resumed run equal those of an uninterrupted one.

Events go through TensorBoard's own writer: torch.utils.tensorboard takes 1.5 s more to import.
"""

import json
import math
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNTERS = ("env_steps", "sim_seconds", "updates", "wall_seconds")


class RunLogger:
    """Appends to the log files of one run folder.

    Args:
        folder: of the run.
        tensorboard: write events too.
        clock: the counter they are placed by.
    """

    def __init__(self, folder: Path, tensorboard: bool, clock: str = "env_steps"):
        folder.mkdir(parents=True, exist_ok=True)
        self._files = {
            name: open(folder / f"{name}.jsonl", "ab", buffering=0)  # noqa: SIM115 (see close)
            for name in ("metrics", "eval")
        }
        self._events = _EventWriter(folder) if tensorboard else None
        self._started = time.monotonic()
        self._clock, self._step = clock, 0

    @property
    def wall_seconds(self) -> float:
        """Time since the run began, without the time between a kill and its resumption."""
        return time.monotonic() - self._started

    def log(
        self, metrics: Mapping[str, float], *, env_steps: int, sim_seconds: float, updates: int
    ) -> None:
        """Writes tagged metrics, e.g. `train/loss_value`."""
        counters = {"env_steps": env_steps, "sim_seconds": sim_seconds, "updates": updates}
        self._write("metrics", {**counters, "wall_seconds": self.wall_seconds, **metrics})

    def log_eval(self, record: Mapping[str, Any]) -> None:
        """Writes an evaluation, e.g. `rlkit.run.evaluation.summary` and the three counters."""
        missing = [name for name in COUNTERS[:3] if name not in record]
        if missing:
            raise ValueError(f"an evaluation record needs {', '.join(missing)}")
        counters = {name: record[name] for name in COUNTERS[:3]}
        self._write("eval", {**counters, "wall_seconds": self.wall_seconds, **record})

    def log_figure(self, tag: str, image: Path | NDArray[np.uint8], step: int) -> None:
        """Shows a PNG file, or an array [height, width, 3], in TensorBoard."""
        if self._events is None:
            return
        if isinstance(image, Path):
            png = image.read_bytes()
        else:
            import imageio.v3 as iio

            png = iio.imwrite("<bytes>", image, extension=".png")
        self._events.add_png(tag, png, step)

    def get_state(self) -> dict[str, int | float]:
        """What a checkpoint keeps; the lines counted in it are on the disk by then."""
        for file in self._files.values():
            os.fsync(file.fileno())
        lengths = {f"{name}_bytes": file.seek(0, 2) for name, file in self._files.items()}
        return {"step": self._step, "wall_seconds": self.wall_seconds, **lengths}

    def set_state(self, state: Mapping[str, int | float]) -> None:
        """Continues from a checkpoint: what was logged after it is cut off."""
        for name, file in self._files.items():
            file.truncate(min(int(state[f"{name}_bytes"]), file.seek(0, 2)))
        self._started = time.monotonic() - state["wall_seconds"]
        self._step = int(state["step"] if "step" in state else state["env_steps"])  # older runs
        if self._events is not None:
            self._events.purge_from(self._step + 1)

    def close(self) -> None:
        """Flushes and closes the files."""
        for file in self._files.values():
            file.close()
        if self._events is not None:
            self._events.close()

    def _write(self, name: str, record: Mapping[str, Any]) -> None:
        self._step = int(record[self._clock])
        values = {key: _json_value(value) for key, value in record.items()}
        self._files[name].write(json.dumps(values).encode() + b"\n")
        if self._events is not None:
            prefix = "eval/" if name == "eval" else ""
            scalars = {
                f"{prefix}{k}": float(v)
                for k, v in record.items()
                if k not in COUNTERS and isinstance(v, int | float | np.number)
            }
            scalars |= {f"time/{k}": float(record[k]) for k in COUNTERS if k != self._clock}
            self._events.add_scalars(scalars, self._step)


class _EventWriter:
    """The three kinds of TensorBoard event a run needs."""

    def __init__(self, folder: Path):
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._event, self._summary = event_pb2, summary_pb2.Summary
        self._writer = EventFileWriter(str(folder), flush_secs=10)
        self.close = self._writer.close

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        self._add(
            [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()],
            step,
        )

    def add_png(self, tag: str, png: bytes, step: int) -> None:
        width, height = struct.unpack(">II", png[16:24])
        image = self._summary.Image(
            width=width, height=height, colorspace=3, encoded_image_string=png
        )
        self._add([self._summary.Value(tag=tag, image=image)], step)

    def purge_from(self, step: int) -> None:
        """Tells TensorBoard to forget what an earlier file of this run holds from `step` on."""
        log = self._event.SessionLog(status=self._event.SessionLog.START)
        event = self._event.Event(wall_time=time.time(), step=step, session_log=log)
        self._writer.add_event(event)

    def _add(self, values: list[Any], step: int) -> None:
        summary = self._summary(value=values)
        event = self._event.Event(wall_time=time.time(), step=step, summary=summary)
        self._writer.add_event(event)


def _json_value(value: Any) -> Any:
    """A plain value; null for NaN and infinity, which are not JSON."""
    if isinstance(value, list):
        return [_json_value(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
