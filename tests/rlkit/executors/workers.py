"""Workers with faults, for the tests of the executors; importable where they run."""

import os
import time
from functools import partial
from pathlib import Path

from rlkit.options import ConfigError


class Faulty:
    """Squares numbers and adds what is shared; some numbers do harm, the first time."""

    def __init__(self, folder):
        self.folder, self.shared = Path(folder), 0

    def receive(self, shared):
        self.shared = shared

    def first_time(self, name):
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def __call__(self, unit):
        if unit == "die" and self.first_time("died"):
            os._exit(1)
        if unit == "hang" and self.first_time("hung"):
            time.sleep(1000)
        if unit == "slow":
            time.sleep(1000)
        if unit == "always dies":
            os._exit(1)
        if unit == "wrong":
            raise ConfigError("that cannot be")
        if unit == "fails":
            raise KeyError("x")
        return (self.shared, unit, unit * 2)


def faulty(folder):
    return partial(Faulty, str(folder))


def meeting(folder, others):
    """A worker that stands ready once so many are being built."""
    return partial(_meet, str(folder), others)


def _meet(folder, others):
    (Path(folder) / str(os.getpid())).touch()
    until = time.monotonic() + 30
    while len(list(Path(folder).iterdir())) < others:
        if time.monotonic() > until:
            raise ConfigError("nobody came")
        time.sleep(0.01)
    return Faulty(folder)


def stillborn():
    raise ConfigError("no such environment")


def dies_at_birth():
    os._exit(1)
