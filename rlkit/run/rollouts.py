"""Recorded episodes: one compressed file each, pixels as bytes, never all of them in memory.

A file holds T + 1 observations and T actions, rewards and terminations: action t was taken after
seeing observation t, and observation t + 1 came of it.
"""

import io
import lzma
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlkit.options import ConfigError

COMPRESSION = 10
"""Frames of CarRacing shrink forty times; others less."""


class Episode(NamedTuple):
    """T steps.

    Attributes:
        obs: (T + 1, …).
        action: (T, A) float32, or (T,) int64.
        reward: (T,) rates.
        terminated: (T,) bool; a time limit does not count.
    """

    obs: NDArray[np.generic]
    action: NDArray[np.generic]
    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]


def pack(episode: Episode) -> bytes:
    """The content of a file: numpy's archive in xz, a third of its own compression."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in episode._asdict().items():
            info = zipfile.ZipInfo(f"{name}.npy")  # without the time: equal episodes, equal bytes
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(info, data.getbuffer())
    return lzma.compress(buffer.getbuffer(), preset=1)


def unpack(packed: bytes) -> Episode:
    """The inverse of `pack`."""
    with np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False) as data:
        return Episode(*(data[name] for name in Episode._fields))


class EpisodeFolder:
    """`<folder>/00000.npz.xz`, `00001.npz.xz`, …; each is whole or not there.

    Args:
        folder: where they are.
        like: name of an episode's array → shape after the first axis, and letters of its kinds.
    """

    def __init__(self, folder: Path, like: Mapping[str, tuple[tuple[int, ...], str]] | None = None):
        self.folder, self.like = folder, like or {}

    def path(self, index: int) -> Path:
        return self.folder / f"{index:05d}.npz.xz"

    def has(self, index: int) -> bool:
        return self.path(index).exists()

    def write(self, index: int, packed: bytes) -> None:
        """Writes one episode.

        Raises:
            ConfigError: the disk does not take it.
        """
        temporary = self.path(index).with_suffix(".tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(packed)
            os.replace(temporary, self.path(index))
        except OSError as error:
            raise ConfigError(
                f"cannot write {self.path(index)}: {error.strerror} (the episodes before it are"
                " kept: make room, or give other outputs)"
            ) from None

    def read(self, index: int) -> Episode:
        """Reads one episode.

        Raises:
            ConfigError: the file is missing, truncated, or not of this environment.
        """
        path = self.path(index)
        try:
            episode = unpack(path.read_bytes())
        except (OSError, lzma.LZMAError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigError(
                f"{path} is no whole episode ({type(error).__name__}): remove it, and it is"
                " recorded again"
            ) from None
        T = len(episode.action)
        if len(episode.obs) != T + 1 or not len(episode.reward) == len(episode.terminated) == T:
            raise ConfigError(f"{path} has {len(episode.obs)} observations, but {T} actions")
        for name, (shape, kinds) in self.like.items():
            array = getattr(episode, name)
            if array.shape[1:] != shape or array.dtype.kind not in kinds:
                raise ConfigError(
                    f"{path} has {name} of shape {array.shape[1:]} and type {array.dtype}, not of"
                    f" shape {shape} as this environment: remove it, and it is recorded again"
                )
        return episode

    def check_space(self, episodes: int, frame_bytes: int, steps: int) -> None:
        """Refuses to begin what the disk cannot hold.

        Raises:
            ConfigError: then.
        """
        need = episodes * frame_bytes * (steps + 1) / COMPRESSION
        parent = next(p for p in (self.folder, *self.folder.parents) if p.exists())
        free = shutil.disk_usage(parent).free
        if need > free:
            raise ConfigError(
                f"{episodes} episodes of {steps} steps may take {need / 1e9:.1f} GB, but"
                f" {parent} has {free / 1e9:.1f} GB left: lower agent.data_episodes"
            )
