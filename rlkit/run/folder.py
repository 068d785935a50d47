"""The run folder: `config.json`, `manifest.json`, logs, checkpoints, plots, videos."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlkit.options import ConfigError

PACKAGES = ("torch", "numpy", "gymnasium", "hydra-core", "scipy")


def new_folder(config: Mapping[str, Any]) -> Path:
    """Makes `<outputs>/<env>/<agent>-<memory>/<date>_<time>_s<seed>`, numbered if taken."""
    parent = Path(config["outputs"]) / config["env"]["name"]
    parent /= f"{config['agent']['name']}-{config['memory']['name']}"
    stem = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_s{config['seed']}"
    for suffix in ["", *(f"_{i}" for i in range(2, 1000))]:
        try:
            (folder := parent / f"{stem}{suffix}").mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"cannot make a run folder in {parent}: {error.strerror}") from None
    raise ConfigError(f"cannot make a new run folder in {parent}: {stem} is taken")


def write_description(folder: Path, config: Mapping[str, Any], command: list[str]) -> None:
    """`config.json` and `manifest.json` (versions, command, commit, start).

    A resumed run keeps the manifests of the sessions before it under `earlier`.
    """
    try:
        before = json.loads((folder / "manifest.json").read_text())
        earlier = [*before.pop("earlier", []), before]
    except (OSError, ValueError):
        earlier = []
    manifest = {
        "earlier": earlier,
        "command": command,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
    }
    for name, content in (("config", config), ("manifest", manifest)):
        file = folder / f"{name}.json"
        file.with_suffix(".tmp").write_text(json.dumps(content, indent=2) + "\n")
        os.replace(file.with_suffix(".tmp"), file)  # a resumed run must not lose the old one


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration of a run.

    Raises:
        ConfigError: the folder is no run folder.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        missing = [k for k in ("agent", "env", "memory", "dt", "resolved") if k not in config]
        if not isinstance(config, dict) or missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return {"dt_schedule": None} | config  # older runs have none
    except OSError:
        raise ConfigError(f"{folder} is no run folder: it has no readable config.json") from None
    except ValueError as error:
        raise ConfigError(f"{folder / 'config.json'} is damaged: {error}") from None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    here = Path(sys.argv[0]).resolve().parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
