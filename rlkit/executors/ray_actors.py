"""Work on a Ray cluster (optional: `pip install ray`): one actor a core, one torch thread each.

What all units need is put into the object store once. An actor that died is set aside until it
answers a ping: units handed to it before are lost again.
"""

import socket
from collections.abc import Callable
from typing import Any

from rlkit.executors.base import Event, Pool, Worker, explain
from rlkit.options import ConfigError

KNOCK_SECONDS = 10.0


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "executor=ray needs a package that is not installed: pip install 'rlkit-memory[ray]'"
            " (allowed without it: processes, serial)"
        ) from None
    return ray


class RayActors(Pool):
    """One actor a worker, restarted by Ray wherever there is room.

    Args:
        make_worker: picklable.
        address: of a cluster, "auto", or None for one of this process' own.
        workers: how many; None: one per core of the cluster.
        timeout_seconds: see `Pool`.
        drop_stragglers: see `Pool`.

    Raises:
        ConfigError: no cluster at the address.
    """

    def __init__(
        self,
        make_worker: Callable[[], Worker],
        address: str | None = None,
        workers: int | None = None,
        timeout_seconds: float = 600.0,
        drop_stragglers: float = 0.0,
    ):
        ray = self.ray = _ray()
        self._ours = not ray.is_initialized()
        if self._ours:
            local = {"num_cpus": workers} if address is None else {}
            try:
                _knock(address)
                where = address or "local"  # None would be the cluster of RAY_ADDRESS
                ray.init(where, log_to_driver=False, include_dashboard=False, **local)
            except (OSError, RuntimeError, ValueError) as error:
                raise ConfigError(
                    f"no Ray cluster answers at executor.address={address}: start one with"
                    f" `ray start --head`, or leave the address out ({type(error).__name__})"
                ) from None
        super().__init__(
            workers or int(ray.cluster_resources()["CPU"]), timeout_seconds, drop_stragglers
        )
        self._make, self._shared, self._version = make_worker, ray.put((0, None)), 0
        self.actors: dict[int, Any] = {}
        self._pending: dict[Any, tuple[int, bool]] = {}
        """Object to come → worker, and whether it is a ping."""

    def share(self, value: Any) -> None:
        self._version += 1
        self._shared = self.ray.put((self._version, value))  # the store keeps what we refer to

    def map(self, units: Any, droppable: bool = False) -> list[Any]:
        for worker in range(min(self.workers, len(units))):
            if worker not in self.actors:
                self._start(worker)
        return super().map(units, droppable)

    def _start(self, worker: int) -> None:
        self.actors[worker] = self.ray.remote(num_cpus=1)(_Actor).remote(self._make)
        self._pending[self.actors[worker].ping.remote()] = worker, True
        self._starting[worker] = self.clock()

    def submit(self, worker: int, unit: Any) -> None:
        self._pending[self.actors[worker].run.remote(self._shared, unit)] = worker, False

    def wait(self, seconds: float) -> list[Event]:
        if not self._pending:
            return []
        self.ray.wait(list(self._pending), num_returns=1, timeout=seconds)
        ready, _ = self.ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        events = []
        for reference in ready:
            worker, ping = self._pending.pop(reference)
            try:
                kind, value = self.ray.get(reference)
                events.append(Event(worker, "ready" if ping and kind == "done" else kind, value))
            except self.ray.exceptions.RayError:
                events.append(Event(worker, "died"))
        return events

    def restart(self, worker: int) -> None:
        self._idle.discard(worker)
        self._pending = {r: w for r, w in self._pending.items() if w[0] != worker}
        self.ray.kill(self.actors[worker])
        self._start(worker)

    def close(self) -> None:
        for actor in self.actors.values():
            self.ray.kill(actor)
        self.actors, self._pending = {}, {}
        self._idle.clear()
        self._starting.clear()
        if self._ours:
            self.ray.shutdown()


def _knock(address: str | None) -> None:
    """Whether somebody is at host:port at all: Ray itself asks for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


class _Actor:
    def __init__(self, make_worker: Callable[[], Worker]):
        self.make, self.version = make_worker, 0

    def ping(self) -> tuple[str, Any]:
        from rlkit.seeding import one_thread

        one_thread()
        try:
            self.worker = self.make()
        except Exception as error:
            return "failed", explain(error)
        return "done", None

    def run(self, shared: tuple[int, Any], unit: Any) -> tuple[str, Any]:
        version, value = shared
        try:
            if version != self.version:
                self.worker.receive(value)
                self.version = version
            return "done", self.worker(unit)
        except Exception as error:
            return "failed", explain(error)
