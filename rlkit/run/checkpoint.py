"""Checkpoints: folders of plain data that are either whole or not there.

    <folder>/step_000000012000/agent.pt ... manifest.json       the last `keep`
    <folder>/best/agent.pt ... manifest.json                    replaced as a whole

A checkpoint is written to `<name>.tmp`, file by file and the manifest last, synced, and renamed.
The one it replaces, if any, waits as `<name>.old` until the rename is done, and is read if that
never happened. The manifest holds the SHA-256 of each file and of itself, for torch does not notice
every flipped byte. Files are trees of data, never objects: loading one executes nothing.
"""

import hashlib
import io
import json
import os
import re
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rlkit.options import ConfigError
from rlkit.types import Tree

FORMAT = 1
NUMPY = "__numpy__"  # marks the tensors that were numpy arrays
STEP_FOLDER = re.compile(r"step_(\d{12})(\.old)?")


class DamagedError(Exception):
    """This checkpoint is not what was written; the message names the file."""


def save_checkpoint(
    folder: Path,
    files: Mapping[str, Tree],
    *,
    step: int,
    metadata: Mapping[str, Any],
    keep: int,
) -> Path:
    """Writes `<folder>/step_<12 digits>/` and removes all but the newest `keep`.

    Checkpoints of later steps are removed too: they belong to a future that a resumed run left.

    Args:
        folder: where the checkpoints of the run live; made if missing.
        files: name → tree; each becomes `<name>.pt`.
        step: orders the checkpoints.
        metadata: JSON data for the manifest.
        keep: how many to keep, this one included; at least 1.
    """
    if keep < 1:
        raise ConfigError(f"keep is {keep}, but at least 1 checkpoint must be kept")
    path = folder / f"step_{step:012d}"
    _write_folder(path, files, step, metadata)
    others = {p: s for s, p in _numbered(folder) if p != path}
    earlier = [p for p, s in others.items() if s < step]
    unfinished = set(folder.glob("step_*.tmp"))
    for stale in unfinished | set(others) - set(earlier[: keep - 1]):
        shutil.rmtree(stale)
    return path


def save_best(
    folder: Path, files: Mapping[str, Tree], *, step: int, metadata: Mapping[str, Any]
) -> Path:
    """Writes `<folder>/best/`; at any moment either the old one or the new one can be loaded."""
    return _write_folder(folder / "best", files, step, metadata)


def load_checkpoint(
    folder: Path,
    which: Literal["last", "best"] | int = "last",
    *,
    only: Collection[str] | None = None,
) -> tuple[dict[str, Tree], dict[str, Any]]:
    """Reads the files (tensors on the CPU) and the manifest of one checkpoint.

    Args:
        folder: where the checkpoints of the run live.
        which: `"last"` takes the newest valid one and warns if a newer one is damaged.
        only: names of the files to verify and read; all of them if None.

    Raises:
        ConfigError: no valid checkpoint, or one without a file that `only` names.
    """
    damaged = []
    for path in _candidates(folder, which):
        try:
            files, manifest = _read_folder(path, only)
        except DamagedError as error:
            damaged.append(str(error))
            continue
        if damaged:
            warnings.warn(f"{'; '.join(damaged)}: using {path} instead", stacklevel=2)
        return files, manifest
    wanted = f"step {which}" if isinstance(which, int) else f"'{which}'"
    reason = "; ".join(damaged) or f"there is none for {wanted}"
    raise ConfigError(f"no valid checkpoint in {folder}: {reason}")


# --- trees -----------------------------------------------------------------------------------


def encode(tree: Any, where: str = "tree") -> Any:
    """The same tree with marked tensors for numpy data, as torch loads without unpickling.

    A tree is nested dict, list and tuple of tensors, numpy arrays and scalars, int, float, str,
    bool and None.
    Subclasses of dict and tuple become dict and tuple; parameters become tensors on the CPU.

    Raises:
        TypeError: a leaf that is not plain data; the message says where it sits.
    """
    if isinstance(tree, Mapping):
        for key in tree:
            if type(key) not in (str, int) or key == NUMPY:
                raise TypeError(f"{where} has the key {key!r}, but keys must be str or int")
        return {key: encode(value, f"{where}[{key!r}]") for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        items = [encode(value, f"{where}[{i}]") for i, value in enumerate(tree)]
        return items if isinstance(tree, list) else tuple(items)
    if isinstance(tree, Tensor):
        value = tree.detach().cpu()
        is_view = value.untyped_storage().nbytes() > value.numel() * value.element_size()
        return value.clone() if is_view else value  # torch.save would write the whole storage
    if isinstance(tree, np.ndarray | np.generic) and tree.dtype.kind in "biufc":
        kind = "array" if isinstance(tree, np.ndarray) else "scalar"
        # The copy is writable, contiguous and in native byte order, which torch asks for.
        copy = np.array(tree, dtype=tree.dtype.newbyteorder("="), order="C")
        return {NUMPY: kind, "value": torch.from_numpy(copy)}
    if tree is None or type(tree) in (bool, int, float, str):
        return tree
    raise TypeError(f"{where} is a {type(tree).__name__}, which a checkpoint cannot hold")


def decode(tree: Any) -> Any:
    """The inverse of `encode`."""
    if isinstance(tree, dict):
        if NUMPY in tree:
            array = tree["value"].numpy()
            return array if tree[NUMPY] == "array" else array[()]
        return {key: decode(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(decode(value) for value in tree)
    return tree


# --- folders ---------------------------------------------------------------------------------


def _write_folder(
    path: Path, files: Mapping[str, Tree], step: int, metadata: Mapping[str, Any]
) -> Path:
    temporary, old = path.with_name(f"{path.name}.tmp"), path.with_name(f"{path.name}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    entries = {}
    for name, tree in files.items():
        if not re.fullmatch(r"\w+", name):
            raise ConfigError(f"'{name}' cannot name a checkpoint file: use letters, digits and _")
        buffer = io.BytesIO()
        torch.save(encode(tree, name), buffer)
        data = buffer.getbuffer()
        _write_synced(temporary / f"{name}.pt", data)
        entries[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    body = {"format": FORMAT, "step": step, "metadata": dict(metadata), "files": entries}
    manifest = {**body, "sha256": _body_sha256(body)}
    _write_synced(temporary / "manifest.json", json.dumps(manifest, indent=1).encode())
    _sync_folder(temporary)
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(path, old)
    os.rename(temporary, path)
    _sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)
    return path


def _read_folder(
    path: Path, only: Collection[str] | None
) -> tuple[dict[str, Tree], dict[str, Any]]:
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedError(f"{file} cannot be read") from error
    if not isinstance(manifest, dict) or manifest.pop("sha256", None) != _body_sha256(manifest):
        raise DamagedError(f"{file} does not match its SHA-256")
    if manifest["format"] != FORMAT:
        raise ConfigError(f"{file} has format {manifest['format']}, but this reads {FORMAT}")
    known = manifest["files"]
    if missing := set(only or ()) - set(known):
        raise ConfigError(
            f"{path} has no file {', '.join(sorted(missing))} (it has: {', '.join(known)})"
        )
    names = [name for name in known if only is None or name in only]
    files = {name: _read_file(path / f"{name}.pt", known[name]["sha256"]) for name in names}
    return files, manifest


def _read_file(file: Path, sha256: str) -> Tree:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DamagedError(f"{file} cannot be read") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(f"{file} does not match its SHA-256")
    try:
        return decode(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except Exception as error:  # torch has ten kinds for one refusal; none has executed anything
        raise DamagedError(f"{file} is refused as plain data") from error


def _candidates(folder: Path, which: Literal["last", "best"] | int) -> list[Path]:
    """Folders to try in turn, the preferred one first."""
    if which == "last":
        return [path for _, path in _numbered(folder)]
    name = "best" if which == "best" else f"step_{which:012d}"
    return [path for path in (folder / name, folder / f"{name}.old") if path.is_dir()]


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    """Step and folder of each numbered checkpoint, newest first, a leftover after its successor."""
    found = [(m, p) for p in folder.glob("step_*") if (m := STEP_FOLDER.fullmatch(p.name))]
    found.sort(key=lambda item: (-int(item[0][1]), item[0][2] is not None))
    yield from ((int(match[1]), path) for match, path in found)


def _body_sha256(body: Mapping[str, Any]) -> str:
    """Checksum of the meaning, not of the layout: what JSON gives back, keys sorted."""
    canonical = json.dumps(json.loads(json.dumps(body)), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _write_synced(file: Path, data: bytes | memoryview) -> None:
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
