"""What runs units of work, and how a pool of workers is kept going that may die or hang.

A worker is built where it runs and answers units one after the other; `receive` gives it what all
units need. A unit's result must be a pure function of the unit and of what was received: then it
does not matter who answers it, in which order, and how often it had to be tried.
"""

import math
import statistics
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from rlkit.options import ConfigError

ATTEMPTS = 3
"""A unit, or a start, that killed so many workers is at fault itself."""
POLL_SECONDS = 1.0
START_SECONDS = 300.0
"""A worker that is not ready by then counts as dead; Ray may find no room for one."""
PATIENCE = 2.0
"""A straggler has taken so many times the median unit's time."""


class Worker(Protocol):
    """What `make_worker` builds."""

    def receive(self, shared: Any) -> None: ...

    def __call__(self, unit: Any) -> Any: ...


class Executor(Protocol):
    """The interface of all executors."""

    dropped: int
    """Units that were not waited for, so far."""

    def share(self, value: Any) -> None:
        """Gives every worker, also those to come, what all later units need."""

    def map(self, units: Sequence[Any], droppable: bool = False) -> list[Any]:
        """The results in the order of the units; None where a straggler was dropped.

        Raises:
            ConfigError: as a worker raised it.
            RuntimeError: any other error of a worker, or a unit that kills its workers.
        """

    def close(self) -> None:
        """Ends the workers."""


class Event(NamedTuple):
    """What a worker did: it stands ready, answered, raised an error, or died."""

    worker: int
    kind: Literal["ready", "done", "failed", "died"]
    value: Any = None


def explain(error: Exception) -> tuple[bool, str]:
    """An error as plain data: whether it is the user's, and its text."""
    if isinstance(error, ConfigError):
        return True, str(error)
    return False, f"{type(error).__name__}: {error}"


class Pool(ABC):
    """Hands units to workers; those of a dead or silent worker again, to another.

    Args:
        workers: how many.
        timeout_seconds: a unit that takes longer counts as dead.
        drop_stragglers: share of the units that are not waited for, if `map` may drop them.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        workers: int,
        timeout_seconds: float,
        drop_stragglers: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.workers, self.timeout_seconds = workers, timeout_seconds
        self.drop_stragglers, self.clock = drop_stragglers, clock
        self.dropped = self.deaths = 0
        self._idle: set[int] = set()
        self._starting: dict[int, float] = {}
        """Worker → since when it is begun."""
        self._failed_starts = 0

    @abstractmethod
    def share(self, value: Any) -> None:
        """See `Executor`."""

    @abstractmethod
    def submit(self, worker: int, unit: Any) -> None:
        """Hands a unit to a worker that stands ready."""

    @abstractmethod
    def wait(self, seconds: float) -> list[Event]:
        """What happened, at the latest after so many seconds."""

    @abstractmethod
    def restart(self, worker: int) -> None:
        """Ends a worker, however it fares, and begins another in its place."""

    def map(self, units: Sequence[Any], droppable: bool = False) -> list[Any]:
        results: list[Any] = [None] * len(units)
        waiting, attempts = deque(range(len(units))), [0] * len(units)
        running: dict[int, tuple[int, float]] = {}
        took: list[float] = []
        spare = math.floor(self.drop_stragglers * len(units)) if droppable else 0
        while waiting or running:
            for worker in sorted(self._idle)[: len(waiting)]:
                unit = waiting.popleft()
                attempts[unit] += 1
                running[worker] = unit, self.clock()
                self._idle.discard(worker)
                self.submit(worker, units[unit])
            for event in self.wait(POLL_SECONDS):
                unit, since = running.pop(event.worker, (-1, 0.0))
                self._starting.pop(event.worker, None)
                if event.kind in ("ready", "done"):
                    self._idle.add(event.worker)
                    self._failed_starts = 0
                if event.kind == "done" and unit >= 0:  # else: asked for by a call that failed
                    results[unit] = event.value
                    took.append(self.clock() - since)
                elif event.kind == "failed":
                    self._raise(event.value)
                elif event.kind == "died":
                    self._lost(event.worker, unit, attempts, waiting)
            now = self.clock()
            if not waiting and 0 < len(running) <= spare:
                patience = PATIENCE * statistics.median(took)
                for worker in [w for w, (_, since) in running.items() if now - since > patience]:
                    del running[worker]
                    self.dropped += 1
                    self.restart(worker)
            for worker in [w for w, (_, s) in running.items() if now - s > self.timeout_seconds]:
                self._lost(worker, running.pop(worker)[0], attempts, waiting)
            for worker in [w for w, s in self._starting.items() if now - s > START_SECONDS]:
                self._lost(worker, -1, attempts, waiting)
        return results

    def _lost(self, worker: int, unit: int, attempts: list[int], waiting: deque[int]) -> None:
        self.deaths += 1
        if unit < 0:
            self._idle.discard(worker)
            self._failed_starts += 1
        elif attempts[unit] >= ATTEMPTS:
            raise RuntimeError(
                f"unit {unit} was given up: it ended or outlasted {ATTEMPTS} workers"
            )
        else:
            waiting.appendleft(unit)
        if self._failed_starts >= ATTEMPTS * self.workers:
            raise RuntimeError(
                f"{self._failed_starts} workers died or hung one after the other at the start"
            )
        at = f" at unit {unit}" if unit >= 0 else ""
        print(f"worker {worker} died or hung{at}: begun anew", file=sys.stderr, flush=True)
        self.restart(worker)

    @staticmethod
    def _raise(value: tuple[bool, str]) -> None:
        is_config, text = value
        if is_config:
            raise ConfigError(text)
        raise RuntimeError(f"a worker failed: {text}")
