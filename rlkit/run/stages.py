"""What a stage made, kept under a hash of all it depends on, for all runs that ask for it.

    <root>/<name>-<hash>/inputs.json      all it depends on, stages before it included
                         history.jsonl    its progress
                         parts/           checkpoints of the unfinished stage
                         result/          what it made

A stage may be left at any time; whoever asks for it next goes on from its last part.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rlkit.options import ConfigError
from rlkit.run.checkpoint import load_checkpoint, save_best, save_checkpoint
from rlkit.types import Tree


def key_of(inputs: Mapping[str, Any]) -> str:
    """Twelve digits that stand for the inputs."""
    text = json.dumps(inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class StageCache:
    """The stages under one folder."""

    def __init__(self, root: Path):
        self.root = root

    def place(self, name: str, inputs: Mapping[str, Any]) -> "StagePlace":
        """Where a stage with these inputs lives.

        Raises:
            ConfigError: the folder holds a stage with other inputs, or cannot be made.
        """
        folder = self.root / f"{name}-{key_of(inputs)}"
        file, text = folder / "inputs.json", json.dumps(inputs, indent=1, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                temporary = file.with_suffix(f".{os.getpid()}.tmp")  # no lock: all write the same
                temporary.write_text(text + "\n")
                os.replace(temporary, file)
            found = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot keep stages in {folder}: {error.strerror}") from None
        if found.strip() != text.encode():
            raise ConfigError(
                f"{folder} is of another configuration than its name says (see inputs.json): move"
                " it away"
            )
        return StagePlace(folder)


class StagePlace:
    """The folder of one stage."""

    def __init__(self, folder: Path):
        self.folder = folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other runs out; the system opens the lock of a killed one."""
        with open(self.folder / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def result(self) -> Tree | None:
        """What the stage made, if it is finished."""
        return self._load("result")

    def part(self) -> Tree | None:
        """Where an unfinished stage was left."""
        return self._load("parts")

    def _load(self, name: str) -> Tree | None:
        if all(p.suffix == ".tmp" for p in (self.folder / name).glob("*")):
            return None  # a first save that was never finished counts for nothing
        which: Any = "best" if name == "result" else "last"
        return load_checkpoint(self.folder / name, which)[0]["stage"]

    def save_part(self, state: Tree, number: int) -> None:
        save_checkpoint(self.folder / "parts", {"stage": state}, step=number, metadata={}, keep=1)

    def save_result(self, result: Tree) -> None:
        save_best(self.folder / "result", {"stage": result}, step=0, metadata={})

    def note(self, record: Mapping[str, float]) -> None:
        """Adds a line to the history."""
        with open(self.folder / "history.jsonl", "a") as file:
            file.write(json.dumps(record) + "\n")

    def history(self) -> list[dict[str, float]]:
        """What was noted so far, without lines that were cut while being written."""
        file, records = self.folder / "history.jsonl", []
        for line in file.read_bytes().splitlines() if file.exists() else ():
            with suppress(ValueError):
                records.append(json.loads(line))
        return records
