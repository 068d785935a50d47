"""All work here, one unit after the other: the default, and what the others are compared with."""

from collections.abc import Callable, Sequence
from typing import Any

from rlkit.executors.base import Worker


class Serial:
    """One worker in this process, built when it is needed."""

    def __init__(self, make_worker: Callable[[], Worker]):
        self._make = make_worker
        self._worker: Worker | None = None
        self._shared: list[Any] = []
        self.dropped = self.deaths = 0

    def share(self, value: Any) -> None:
        self._shared = [value]
        if self._worker is not None:
            self._worker.receive(value)

    def map(self, units: Sequence[Any], droppable: bool = False) -> list[Any]:
        if self._worker is None:
            self._worker = self._make()
            for value in self._shared:
                self._worker.receive(value)
        worker = self._worker
        return [worker(unit) for unit in units]

    def close(self) -> None:
        self._worker = None
