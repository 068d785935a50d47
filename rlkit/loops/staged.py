"""Learn in stages, each from what the one before made; the last one goes by generations.

A stage is kept under a hash of all it depends on (`rlkit/run/stages.py`): it is left and taken up
at any time, and made once for all runs that need the same.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rlkit.executors.base import Executor
from rlkit.loops import population
from rlkit.loops.recording import Recording
from rlkit.options import ConfigError
from rlkit.run.rollouts import EpisodeFolder
from rlkit.run.stages import StageCache, key_of
from rlkit.types import Metrics, Spaces, Tree

SAVE_SECONDS = 30.0
"""Between the parts of an unfinished stage."""
DREAM_JOBS = 512
"""Handed out together: a dream's step costs little more for many than for few."""

Sources = Sequence[tuple[EpisodeFolder, int]]
"""Folders of episodes, and how many each has."""


class Stage(Protocol):
    """What is made before the last stage.

    Attributes:
        name: of its folder.
        inputs: plain data: all its result depends on.
        progress: 0 … 1; finished at 1.
    """

    name: str
    inputs: dict[str, Any]

    @property
    def progress(self) -> float: ...

    def complete(self, result: Tree) -> bool:
        """Whether a finished stage is still whole."""

    def advance(self) -> dict[str, float]:
        """A piece of work; what is to be noted of it."""

    def get_state(self) -> Tree: ...

    def set_state(self, state: Tree) -> None: ...

    def result(self) -> Tree: ...

    def adopt(self, result: Tree) -> None: ...


class StagedLearner(Protocol):
    """What this loop asks of an agent; `agents/world_models/agent.py` has the shapes."""

    options: Any
    spaces: Spaces
    precision: str

    def recording(self, round_: int) -> dict[str, Any] | None:
        """Inputs of the data this round needs, without those of the configuration, or None."""

    def stages(self, facts: Mapping[str, Any], sources: Sources, after: str) -> Iterator[Stage]:
        """The stages of a round; each is asked for when the one before is finished."""

    def update(self, plan: Any, play: Any) -> dict[str, float]: ...

    def weights(self) -> dict[str, NDArray[Any]]: ...

    def pictures(self, sources: Sources) -> dict[str, NDArray[np.uint8]]: ...


class Plan(NamedTuple):
    """Where in the run a generation is."""

    generation: int
    total: int
    seed: int

    @property
    def final(self) -> bool:
        return self.generation == self.total - 1

    def seeds(self, member: int, rollouts: int, stream: int = 0) -> list[int]:
        """Seeds of a member's episodes."""
        keys = ((self.seed, stream, self.generation, member, i) for i in range(rollouts))
        return [int(np.random.SeedSequence(k).generate_state(1)[0]) >> 1 for k in keys]


class StagedLoop:
    """Blocks are generations; the stages before them are made by the first block of a round.

    Args:
        agent: learns.
        executor: plays many controllers; its workers know environment and agent.
        unit_jobs: jobs handed out together.
        cache: where stages are kept.
        facts: plain data of the configuration: env, wrappers, dt, memory, optimizer, seed.
        total_generations: of the run.
    """

    unit = "generations"

    def __init__(
        self,
        agent: StagedLearner,
        executor: Executor,
        unit_jobs: int,
        cache: StageCache,
        facts: dict[str, Any],
        total_generations: int,
    ):
        self.agent, self.executor, self.unit_jobs = agent, executor, unit_jobs
        self.cache, self.facts, self.total = cache, facts, total_generations
        self.vector_steps = self.updates = self.env_steps = self.rounds = 0
        self.sources: list[tuple[EpisodeFolder, int]] = []
        self.notes: dict[str, float] = {}
        self.shared = False

    def run(
        self,
        stop: Callable[["StagedLoop"], bool],
        after_block: Callable[["StagedLoop", Metrics], None],
    ) -> None:
        """Runs until `stop`, asked after every block; `after_block` logs, evaluates, saves."""
        workers = getattr(self.executor, "workers", 1)
        print(f"{self.agent.precision} on {workers} worker(s)", file=sys.stderr, flush=True)
        try:
            while not stop(self):
                metrics = self.block()
                after_block(self, metrics)
        finally:
            self.executor.close()

    def block(self) -> Metrics:
        """One generation, after the stages of its round."""
        round_ = self.vector_steps * self.agent.options.rounds // self.total
        while self.rounds <= round_:
            self.prepare()
        if not self.shared:
            self.executor.share(self.agent.weights())
            self.shared = True
        plan = Plan(self.vector_steps, self.total, self.facts["seed"])
        metrics = self.agent.update(plan, self.play)
        self.vector_steps = self.updates = self.vector_steps + 1
        metrics["controller/generation"] = float(self.vector_steps)
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in metrics.items()}

    # ---- the stages before ------------------------------------------------------------------

    def prepare(self) -> None:
        """Data, and what the agent makes of it, for the next round."""
        after, own = "", self.agent.recording(self.rounds)
        if own is not None:
            known = ("env", "wrappers", "dt", "seed")
            inputs = {k: self.facts[k] for k in known} | own | {"round": self.rounds}
            parameters_P = inputs.pop("parameters", None)
            if parameters_P is not None:
                inputs["controller"] = key_of({"parameters": parameters_P.tolist()})
                self.executor.share(self.agent.weights())
            keys = [(self.facts["seed"], 1, self.rounds, i) for i in range(inputs["episodes"])]
            seeds = [int(np.random.SeedSequence(k).generate_state(1)[0]) >> 1 for k in keys]
            folder = self._episodes(self.cache.place("data", inputs).folder)
            most = min(n for n in (inputs["steps"], self.agent.spaces.limit_steps) if n)
            how = self.executor, seeds, parameters_P, self.unit_jobs, most
            self.make(Recording(inputs, folder, *how))
            self.sources.append((folder, inputs["episodes"]))
            after = key_of(inputs)
        for stage in self.agent.stages(self.facts, self.sources, after):
            self.make(stage)
        self.rounds += 1
        self.shared = False

    def _episodes(self, place: Path) -> EpisodeFolder:
        s = self.agent.spaces
        like = {
            "obs": (s.obs_shape, "u" if len(s.obs_shape) == 3 else "iuf"),
            "action": ((), "i") if s.discrete else ((s.action_size,), "f"),
        }
        return EpisodeFolder(place / "episodes", like)

    def make(self, stage: Stage) -> None:
        """Takes a stage from the cache, or works until it is finished."""
        place, saved = self.cache.place(stage.name, stage.inputs), time.monotonic()
        with place.lock():
            result = place.result()
            if result is None or not stage.complete(result):
                part = place.part()
                if part is not None:
                    stage.set_state(part)
                while stage.progress < 1:
                    began = time.monotonic()
                    record = stage.advance()
                    self._check(stage, record)
                    place.note(record | {"seconds": round(time.monotonic() - began, 3)})
                    self._say(stage, record)
                    if time.monotonic() - saved > SAVE_SECONDS:
                        place.save_part(stage.get_state(), round(stage.progress * 1e6))
                        saved = time.monotonic()
                result = stage.result()
                place.save_result(result)
                print(f"{stage.name}: kept in {place.folder}", file=sys.stderr, flush=True)
            else:
                print(f"{stage.name}: taken from {place.folder}", file=sys.stderr, flush=True)
        stage.adopt(result)
        last = (place.history() or [{}])[-1]
        self.notes |= {name: value for name, value in last.items() if name != "seconds"}

    @staticmethod
    def _check(stage: Stage, record: dict[str, float]) -> None:
        """Refuses a stage that diverged, before it is kept."""
        for name, value in record.items():
            if "validation" in name and not math.isfinite(value):
                raise ConfigError(
                    f"stage {stage.name} diverged: {name} is {value}; give a smaller"
                    f" agent.{stage.name}_lr"
                )

    @staticmethod
    def _say(stage: Stage, record: dict[str, float]) -> None:
        values = ", ".join(f"{k.split('/')[-1]} {v:.4g}" for k, v in record.items())
        print(f"{stage.name} {stage.progress:.0%}: {values}", file=sys.stderr, flush=True)

    # ---- the last stage ---------------------------------------------------------------------

    def play(
        self,
        members_MP: NDArray[np.float64],
        seeds: Sequence[Sequence[int]],
        stall_steps: int,
        dream: bool,
        droppable: bool,
    ) -> NDArray[np.float64]:
        """Plays each member on its seeds: (M, rollouts, 3), NaN where it was not waited for."""
        rollouts, parameters_MP = len(seeds[0]), members_MP.astype(np.float32)
        jobs = [(m, seed) for m, own in enumerate(seeds) for seed in own]
        size, units = (DREAM_JOBS if dream else self.unit_jobs), []
        size = min(size, -(-len(jobs) // getattr(self.executor, "workers", 1)))
        for i in range(0, len(jobs), size):
            members, own = zip(*jobs[i : i + size], strict=True)
            units.append(population.Play(parameters_MP[list(members)], own, stall_steps, dream))
        results = self.executor.map(units, droppable)
        if not all(np.isfinite(result).all() for result in results if result is not None):
            where = "dream" if dream else "environment"
            raise ConfigError(f"a member's return in the {where} is not a finite number")
        answered = [
            np.full((len(unit.seeds), 3), np.nan) if result is None else result
            for unit, result in zip(units, results, strict=True)
        ]
        played = np.concatenate(answered)
        self.env_steps += int(np.nansum(played[:, 2]))
        return played.reshape(len(seeds), rollouts, 3)

    def pop_metrics(self) -> dict[str, float]:
        """What the stages noted last, once."""
        notes, self.notes = self.notes, {}
        return notes

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        """What the agent can show of its stages."""
        return self.agent.pictures(self.sources)

    def get_state(self) -> Tree:
        return {
            "vector_steps": self.vector_steps,
            "env_steps": self.env_steps,
            "rounds": self.rounds,
            "sources": [[folder.folder.parent.name, count] for folder, count in self.sources],
            "notes": self.notes,
        }

    def set_state(self, state: Tree) -> None:
        self.vector_steps = self.updates = state["vector_steps"]
        self.env_steps = state["env_steps"]
        self.rounds, self.notes = state["rounds"], state["notes"]
        places = [(self.cache.root / name, count) for name, count in state["sources"]]
        self.sources = [(self._episodes(place), count) for place, count in places]
        self.shared = False
