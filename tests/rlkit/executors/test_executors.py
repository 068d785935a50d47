"""Executors: the same results everywhere, whoever dies, hangs or is slow."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from rlkit.executors import make_executor
from rlkit.executors.base import Event, Pool
from rlkit.executors.processes import Processes
from rlkit.executors.ray_actors import RayActors
from rlkit.executors.serial import Serial
from rlkit.options import ConfigError
from tests.rlkit.executors.workers import dies_at_birth, faulty, meeting, stillborn

UNITS = [1, 2, "die", 3, 4]
EXPECTED = [(7, u, u * 2) for u in UNITS]


@pytest.fixture
def processes():
    made = []

    def make(make_worker, **options):
        made.append(Processes(make_worker, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


def test_serial(tmp_path):
    executor = make_executor({"name": "serial", "unit_jobs": 3}, faulty(tmp_path))
    assert isinstance(executor, Serial)
    executor.share(6)
    executor.share(7)
    units = [u for u in UNITS if u != "die"]
    assert executor.map(units) == [e for e in EXPECTED if e[1] != "die"]
    executor.share(8)
    assert executor.map([5]) == [(8, 5, 10)]


def test_processes_answer_as_serial_does_and_survive_a_death(tmp_path, processes):
    executor = processes(faulty(tmp_path), workers=2)
    executor.share(7)
    assert executor.map(UNITS) == EXPECTED
    assert executor.deaths == 1
    executor.processes[0].kill()  # between two calls
    executor.processes[0].join()
    executor.share(8)
    assert executor.map([1, 2, 3]) == [(8, 1, 2), (8, 2, 4), (8, 3, 6)]
    assert executor.deaths == 2
    with pytest.raises(ConfigError, match="that cannot be"):
        executor.map([1, "wrong"])


def test_workers_start_side_by_side_whatever_is_shared(tmp_path, processes):
    executor = processes(meeting(tmp_path, 2), workers=2)
    value = "x" * 2**20  # more than a pipe holds
    executor.share(value)
    assert executor.map([1, 2]) == [(value, 1, 2), (value, 2, 4)]


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(tmp_path, processes):
    executor = processes(faulty(tmp_path), workers=1, timeout_seconds=3)
    executor.share(7)
    assert executor.map(["hang", 2]) == [(7, "hang", "hanghang"), (7, 2, 4)]
    assert executor.deaths == 1


@pytest.mark.slow
def test_errors_of_workers(tmp_path, processes):
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        processes(faulty(tmp_path), workers=1).map(["fails"])
    with pytest.raises(RuntimeError, match="unit 0 was given up"):
        processes(faulty(tmp_path), workers=1).map(["always dies"])
    with pytest.raises(ConfigError, match="no such environment"):
        processes(stillborn, workers=1).map([1])
    with pytest.raises(RuntimeError, match="died or hung one after the other at the start"):
        processes(dies_at_birth, workers=1).map([1])


class Scripted(Pool):
    """Workers of a script: each unit takes as many seconds as it says, on a clock of its own."""

    def __init__(self, workers, **options):
        self.now = 0.0
        super().__init__(workers, **options, clock=lambda: self.now)
        self._idle = set(range(workers))
        self.busy, self.restarted = {}, []

    def share(self, value):
        raise AssertionError

    def submit(self, worker, unit):
        assert worker not in self.busy
        self.busy[worker] = self.now + unit, unit

    def wait(self, seconds):
        self.now += seconds
        over = [w for w, (end, _) in self.busy.items() if end <= self.now]
        return [Event(w, "done", self.busy.pop(w)[1]) for w in over]

    def restart(self, worker):
        self._idle.discard(worker)
        self.busy.pop(worker)
        self.restarted.append(worker)


def test_stragglers_are_dropped_up_to_a_share():
    units = [3.0] * 18 + [500.0, 3.0]
    pool = Scripted(20, timeout_seconds=1000, drop_stragglers=0.1)
    results = pool.map(units, droppable=True)
    assert results == [3.0] * 18 + [None, 3.0]
    assert (pool.dropped, pool.restarted) == (1, [18])
    assert pool.now == 7  # twice the median, and the next look
    pool = Scripted(20, timeout_seconds=1000, drop_stragglers=0.1)
    assert pool.map(units) == units  # these may not be dropped
    pool = Scripted(20, timeout_seconds=1000, drop_stragglers=0.1)
    slow = [3.0] * 17 + [500.0, 600.0, 700.0]
    assert pool.map(slow, droppable=True) == [*slow[:18], None, None]  # three are too many


class Late(Scripted):
    """Worker 1 hangs at its first start."""

    def __init__(self):
        super().__init__(2, timeout_seconds=1000)
        self._idle, self._starting = {0}, {1: 0.0}

    def restart(self, worker):
        self.restarted.append(worker)
        self._starting[worker] = self.now

    def wait(self, seconds):
        ready = [Event(1, "ready")] if self.restarted and 1 in self._starting else []
        return super().wait(seconds) + ready


def test_a_start_that_hangs_is_begun_anew(capsys):
    pool = Late()
    assert pool.map([400.0, 5.0]) == [400.0, 5.0]
    assert (pool.restarted, pool.deaths, pool.now) == ([1], 1, 400)
    assert capsys.readouterr().err == "worker 1 died or hung: begun anew\n"


def test_a_unit_is_not_tried_for_ever(capsys):
    pool = Scripted(3, timeout_seconds=10)
    with pytest.raises(RuntimeError, match="unit 1 was given up: it ended or outlasted 3 workers"):
        pool.map([1.0, 50.0])
    assert capsys.readouterr().err.splitlines() == [
        f"worker {worker} died or hung at unit 1: begun anew" for worker in pool.restarted
    ]
    assert len(pool.restarted) == 2


def test_ray_is_optional(tmp_path):
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from rlkit.executors import make_executor\n"
        "try: make_executor({'name': 'ray', 'unit_jobs': 1}, None)\n"
        "except ValueError as e: print(type(e).__name__, e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("ConfigError executor=ray needs a package that is not installed")


def test_ray_starts_a_cluster_of_its_own_without_an_address(monkeypatch):
    """Whatever RAY_ADDRESS says."""
    began = []
    ray = SimpleNamespace(
        is_initialized=lambda: False,
        init=lambda address=None, **options: began.append((address, options["num_cpus"])),
        cluster_resources=lambda: {"CPU": 3.0},
        put=lambda value: value,
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    assert RayActors(stillborn).workers == 3
    assert began == [("local", None)]


def test_ray_answers_as_serial_does_and_survives_a_death(tmp_path):
    """Runs where Ray is installed: `pip install 'rlkit-memory[ray]'`."""
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match=r"no Ray cluster answers at executor.address=127.0.0.1"):
        RayActors(faulty(tmp_path), address="127.0.0.1:1")
    executor = RayActors(faulty(tmp_path), workers=2)
    try:
        executor.share(7)
        assert executor.map(UNITS) == EXPECTED
        assert executor.deaths == 1
        executor.share(8)
        assert executor.map([5]) == [(8, 5, 10)]
        with pytest.raises(ConfigError, match="that cannot be"):
            executor.map(["wrong"])
    finally:
        executor.close()


def test_interrupts_are_the_parents_affair(tmp_path, processes):
    """Ctrl-C reaches the whole group: workers go on until their pipe is closed."""
    executor = processes(faulty(tmp_path), workers=1)
    executor.share(0)
    executor.map([1])
    process = executor.processes[0]

    os.kill(process.pid, signal.SIGINT)
    assert executor.map([2]) == [(0, 2, 4)]
    assert executor.deaths == 0
    executor.close()
    assert not process.is_alive()
