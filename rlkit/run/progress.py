"""Progress of a run on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    """Shows env steps, simulated seconds, the last result, speed and time left.

    Args:
        total_steps: of the whole run.
        unit: what is counted.
        start_steps: what a resumed run begins with.
        interval_seconds: plain lines, besides those with a new result, are this far apart.
        stream: where to write; standard output belongs to results.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        unit: str = "env steps",
        start_steps: int = 0,
        interval_seconds: float = 10.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._stream = stream or sys.stderr
        self._total_steps, self._start_steps = total_steps, start_steps
        self._unit = unit
        self._interval_seconds, self._clock = interval_seconds, clock
        self._start_seconds = self._last_line_seconds = clock()
        self._result = ""
        self._bar = None
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total_steps,
                initial=start_steps,
                unit=f" {unit}",
                unit_scale=True,
                dynamic_ncols=True,
                file=self._stream,
            )

    def update(self, env_steps: int, *, sim_seconds: float, result: str | None = None) -> None:
        """Reports where the run is; give `result` right after an evaluation."""
        if result is not None:
            self._result = f", {result}"
        text = f"{sim_seconds:,.6g} s simulated{self._result}"
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(env_steps - self._bar.n)
            return
        now = self._clock()
        if result is None and now - self._last_line_seconds < self._interval_seconds:
            return
        self._last_line_seconds = now
        speed = (env_steps - self._start_steps) / max(now - self._start_seconds, 1e-9)
        left = (self._total_steps - env_steps) / speed if speed > 0 else float("nan")
        print(
            f"{env_steps:,} of {self._total_steps:,} {self._unit}, {text},"
            f" {speed:,.0f} {self._unit.split()[-1]}/s, {left:,.0f} s left",
            file=self._stream,
            flush=True,
        )

    def close(self) -> None:
        """Leaves the bar as it is and ends its line."""
        if self._bar is not None:
            self._bar.close()
