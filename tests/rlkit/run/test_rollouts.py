"""Recorded episodes on disk: what is written is read, and damage is named."""

import errno
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from rlkit.options import ConfigError
from rlkit.run.rollouts import Episode, EpisodeFolder, pack


def episode(T=7):
    rng = np.random.default_rng(0)
    return Episode(
        rng.integers(256, size=(T + 1, 4, 4, 3), dtype=np.uint8),
        rng.standard_normal((T, 2)).astype(np.float32),
        rng.standard_normal(T).astype(np.float32),
        np.arange(T) == T - 1,
    )


def test_an_episode_comes_back_as_it_was(tmp_path):
    folder, written = EpisodeFolder(tmp_path / "new"), episode()
    assert not folder.has(3)
    folder.write(3, pack(written))
    assert folder.has(3)
    for a, b in zip(folder.read(3), written, strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)
    assert pack(written) == pack(episode())
    assert [p.name for p in folder.folder.iterdir()] == ["00003.npz.xz"]


@pytest.mark.parametrize("keep", [0, 10, 400, -1, -9])
def test_a_truncated_file_is_named(tmp_path, keep):
    folder, packed = EpisodeFolder(tmp_path), pack(episode())
    folder.write(0, packed[:keep])
    with pytest.raises(ConfigError, match=r"00000\.npz\.xz is no whole episode .* recorded again"):
        folder.read(0)


def test_an_episode_has_one_observation_more_than_actions(tmp_path):
    folder, wrong = EpisodeFolder(tmp_path), episode()
    folder.write(0, pack(wrong._replace(obs=wrong.obs[1:])))
    with pytest.raises(ConfigError, match="has 7 observations, but 7 actions"):
        folder.read(0)


def test_an_episode_of_another_environment_is_named(tmp_path):
    like = {"obs": ((4, 4, 3), "u"), "action": ((2,), "f")}
    folder, e = EpisodeFolder(tmp_path, like), episode()
    folder.write(0, pack(e))
    assert np.array_equal(folder.read(0).obs, e.obs)
    for foreign, name in (
        (e._replace(obs=e.obs[:, :3]), "obs"),
        (e._replace(obs=e.obs.astype(np.float32)), "obs"),
        (e._replace(action=e.action[:, :1]), "action"),
        (e._replace(action=np.arange(7)), "action"),
    ):
        folder.write(0, pack(foreign))
        with pytest.raises(ConfigError, match=rf"00000.* has {name} of .* it is recorded again"):
            folder.read(0)


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(ConfigError, match=r"cannot write .*00002.*: No space left on device"):
        EpisodeFolder(tmp_path).write(2, b"")


def test_more_episodes_than_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2e9))
    folder = EpisodeFolder(tmp_path / "not" / "there")
    folder.check_space(1000, 12288, 999)
    with pytest.raises(ConfigError, match=r"may take 2\.5 GB, but .* has 2\.0 GB left"):
        folder.check_space(2000, 12288, 999)
    assert not list(tmp_path.iterdir())
