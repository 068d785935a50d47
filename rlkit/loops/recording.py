"""Stage: records episodes of a policy, one file each, farmed out in units."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlkit.executors.base import Executor
from rlkit.loops.population import Record
from rlkit.run.rollouts import EpisodeFolder
from rlkit.types import Tree


class Recording:
    """An episode that is missing, for whatever reason, is recorded again.

    Args:
        inputs: all its result depends on: `episodes`, `steps` and what only names it.
        folder: where the files go.
        executor: plays.
        seeds: one per episode.
        parameters_P: of the controller that is recorded; None: the random policy.
        unit_jobs: episodes handed out together.
        most_steps: that an episode may have.
    """

    name = "data"

    def __init__(
        self,
        inputs: dict[str, Any],
        folder: EpisodeFolder,
        executor: Executor,
        seeds: Sequence[int],
        parameters_P: NDArray[np.float32] | None,
        unit_jobs: int,
        most_steps: int,
    ):
        self.inputs, self.folder, self.executor, self.seeds = inputs, folder, executor, seeds
        self.parameters_P, self.unit_jobs = parameters_P, unit_jobs
        self.most_steps = most_steps

    @property
    def missing(self) -> list[int]:
        """What no run, this one or another, has recorded yet."""
        return [i for i in range(len(self.seeds)) if not self.folder.has(i)]

    @property
    def progress(self) -> float:
        return 1 - len(self.missing) / len(self.seeds)

    def complete(self, result: Tree) -> bool:
        return not self.missing

    def advance(self) -> dict[str, float]:
        """One unit for each worker."""
        missing, workers = self.missing, getattr(self.executor, "workers", 1)
        self.folder.check_space(len(missing), self.inputs["frame_bytes"], self.most_steps)
        n = min(self.unit_jobs, -(-len(missing) // workers))
        now = missing[: workers * n]
        parts = [now[i : i + n] for i in range(0, len(now), n)]
        seeds = [tuple(self.seeds[i] for i in part) for part in parts]
        units = [Record(s, self.inputs["steps"], self.parameters_P) for s in seeds]
        for part, packed in zip(parts, self.executor.map(units), strict=True):
            for index, episode in zip(part, packed, strict=True):
                self.folder.write(index, episode)
        return {"data/episodes": float(len(self.seeds) - len(self.missing))}

    def get_state(self) -> Tree:
        """The files are the state."""
        return {}

    def set_state(self, state: Tree) -> None:
        pass

    def result(self) -> Tree:
        return {"episodes": len(self.seeds)}

    def adopt(self, result: Tree) -> None:
        pass
