"""Work in processes of this machine, begun anew (spawn), one torch thread each."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from rlkit.executors.base import Event, Pool, Worker, explain


class Processes(Pool):
    """One process a worker; a dead one is replaced.

    Args:
        make_worker: picklable.
        workers: how many; None: as many as this process has cores.
        timeout_seconds: see `Pool`.
        drop_stragglers: see `Pool`.
    """

    def __init__(
        self,
        make_worker: Callable[[], Worker],
        workers: int | None = None,
        timeout_seconds: float = 600.0,
        drop_stragglers: float = 0.0,
    ):
        workers = workers or len(os.sched_getaffinity(0))
        super().__init__(workers, timeout_seconds, drop_stragglers)
        self._make, self._shared = make_worker, []  # type: ignore[var-annotated]
        self._informed: set[int] = set()
        """Workers that were sent what is shared."""
        self._context = multiprocessing.get_context("spawn")
        self.processes: dict[int, BaseProcess] = {}
        self._pipes: dict[int, Connection] = {}

    def share(self, value: Any) -> None:
        self._shared, self._informed = [value], set()

    def map(self, units: Any, droppable: bool = False) -> list[Any]:
        for worker in range(min(self.workers, len(units))):
            if worker not in self.processes:
                self._start(worker)
        return super().map(units, droppable)

    def submit(self, worker: int, unit: Any) -> None:
        if worker not in self._informed:  # not earlier: the pipe of a busy one would block
            self._informed.add(worker)
            for value in self._shared:
                self._send(worker, ("share", value))
        self._send(worker, ("unit", unit))

    def _send(self, worker: int, message: tuple[str, Any]) -> None:
        with suppress(OSError):  # it died: the pipe's end is found by `wait`
            self._pipes[worker].send(message)

    def wait(self, seconds: float) -> list[Event]:
        workers = {id(pipe): worker for worker, pipe in self._pipes.items()}
        events = []
        for pipe in wait(list(self._pipes.values()), seconds):
            assert isinstance(pipe, Connection)
            try:
                events.append(Event(workers[id(pipe)], *pipe.recv()))
            except (EOFError, OSError):
                events.append(Event(workers[id(pipe)], "died"))
        return events

    def restart(self, worker: int) -> None:
        self._end(worker)
        self._start(worker)

    def _start(self, worker: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        process.start()
        theirs.close()  # so that its death ends the pipe
        self.processes[worker], self._pipes[worker] = process, ours
        self._starting[worker] = self.clock()

    def _end(self, worker: int) -> None:
        self._idle.discard(worker)
        self._informed.discard(worker)
        self._starting.pop(worker, None)
        self._pipes.pop(worker).close()
        process = self.processes.pop(worker)
        process.kill()
        process.join()

    def close(self) -> None:
        for worker in list(self.processes):
            self._end(worker)


def _serve(pipe: Connection, make_worker: Callable[[], Worker]) -> None:
    from rlkit.seeding import one_thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's affair; its end closes the pipe
    one_thread()
    try:
        worker = make_worker()
        pipe.send(("ready", None))
        while True:
            kind, value = pipe.recv()
            if kind == "share":
                worker.receive(value)
            else:
                pipe.send(("done", worker(value)))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:
        pipe.send(("failed", explain(error)))
