"""Where farmed-out work runs: here, in processes, or on a Ray cluster. Torch-free itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlkit.options import option
from rlkit.registry import Registry

EXECUTORS = Registry(
    "executor",
    {
        "processes": "rlkit.executors:ProcessesOptions",
        "ray": "rlkit.executors:RayOptions",
        "serial": "rlkit.executors:SerialOptions",
    },
)
"""Names and what they accept; `make_executor` builds them."""


@dataclass(frozen=True)
class SerialOptions:
    unit_jobs: int = option("jobs handed out together", low=1)


@dataclass(frozen=True)
class ProcessesOptions:
    workers: int | None = option("processes; null: one per core", low=1)
    unit_jobs: int = option("jobs handed out together", low=1)
    timeout_seconds: float = option(
        "a unit that takes longer is given to another", unit="s", above=0
    )
    drop_stragglers: float = option(
        "share of the units not waited for once the others are done", low=0, high=0.1
    )


@dataclass(frozen=True)
class RayOptions:
    address: str | None = option("of a running cluster, or auto; null: start one here")
    workers: int | None = option("actors; null: one per core of the cluster", low=1)
    unit_jobs: int = option("jobs handed out together", low=1)
    timeout_seconds: float = option(
        "a unit that takes longer is given to another", unit="s", above=0
    )
    drop_stragglers: float = option(
        "share of the units not waited for once the others are done", low=0, high=0.1
    )


def make_executor(options: Mapping[str, Any], make_worker: Callable[[], Any]) -> Any:
    """An `rlkit.executors.base.Executor`.

    Args:
        options: `name` and what `configs/executor/<name>.yaml` holds.
        make_worker: builds a worker where it is to run; picklable.

    Raises:
        ConfigError: the name is unknown, Ray is not installed, or no cluster answers.
    """
    EXECUTORS.target(options["name"])
    own = {k: v for k, v in options.items() if k not in ("name", "unit_jobs")}
    if options["name"] == "processes":
        from rlkit.executors.processes import Processes

        return Processes(make_worker, **own)
    if options["name"] == "ray":
        from rlkit.executors.ray_actors import RayActors

        return RayActors(make_worker, **own)
    from rlkit.executors.serial import Serial

    return Serial(make_worker)
