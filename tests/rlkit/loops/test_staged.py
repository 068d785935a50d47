"""Stages are made once for all runs that need the same."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from rlkit.loops.recording import Recording
from rlkit.loops.staged import StagedLoop
from rlkit.options import ConfigError
from rlkit.run.rollouts import Episode, EpisodeFolder, pack
from rlkit.run.stages import StageCache

EPISODE = pack(
    Episode(
        np.zeros((3, 2), np.float32), np.zeros((2, 1)), np.zeros(2, np.float32), np.zeros(2, bool)
    )
)
INPUTS = {"episodes": 4, "frame_bytes": 2}


class Counting:
    """An executor that counts the episodes it is asked for."""

    def __init__(self):
        self.recorded = 0

    def map(self, units, droppable=False):
        self.recorded += sum(len(unit.seeds) for unit in units)
        return [[EPISODE] * len(unit.seeds) for unit in units]


def loop_of(tmp_path, executor):
    return StagedLoop(SimpleNamespace(), executor, 2, StageCache(tmp_path), {}, 1)


def recording(loop, most_steps=2):
    folder = EpisodeFolder(loop.cache.place("data", INPUTS).folder / "episodes")
    inputs = INPUTS | {"steps": None}
    return Recording(inputs, folder, loop.executor, range(4), None, 2, most_steps)


def test_a_run_that_waited_for_the_data_of_another_records_nothing(tmp_path, monkeypatch):
    first, second = (loop_of(tmp_path, Counting()) for _ in range(2))
    waiting = recording(second)  # before the other has begun
    first.make(recording(first))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    second.make(waiting)
    assert (first.executor.recorded, second.executor.recorded) == (4, 0)
    assert second.notes == {"data/episodes": 4.0}


def test_space_is_asked_for_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1.0))
    loop = loop_of(tmp_path, Counting())
    with pytest.raises(ConfigError, match="4 episodes of 2 steps may take"):
        loop.make(recording(loop))
    assert loop.executor.recorded == 0
    for i in range(3):
        recording(loop).folder.write(i, EPISODE)
    loop.make(recording(loop))  # 2 bytes x 3 / 10 for one
    assert loop.executor.recorded == 1
