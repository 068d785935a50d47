"""One seed → every generator of a run. The only file that touches global random state."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

STREAMS = ("networks", "noise", "replay", "environments")


def seed_everything(seed: int) -> dict[str, int]:
    """Seeds the global generators and derives one independent seed per stream.

    Returns:
        stream name → seed in [0, 2^31): "networks" also seeds torch's global generator, from which
        module constructors draw; the others belong to generators that are passed in.
    """
    draws = np.random.SeedSequence(seed).generate_state(len(STREAMS), np.uint32) >> 1
    seeds = {name: int(draw) for name, draw in zip(STREAMS, draws, strict=True)}
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  third-party environments may still draw from it
    torch.manual_seed(seeds["networks"])
    return seeds


def stage_seed(seed: int, stage: int) -> int:
    """A seed of its own for each stage of a run; the first has the given one."""
    if stage == 0:
        return seed
    return int(np.random.SeedSequence([seed, stage]).generate_state(1, np.uint32)[0] >> 1)


def generator(seed: int) -> torch.Generator:
    """A CPU generator of its own."""
    return torch.Generator().manual_seed(seed)


def one_thread() -> None:
    """One torch thread per process: at these network sizes a second thread only adds waiting."""
    torch.set_num_threads(1)


def get_global_state() -> dict[str, Any]:
    """State of the global generators, which modules with dropout or noise may draw from."""
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "numpy": [name, np.asarray(keys), position, has_gauss, cached],
    }


def set_global_state(state: Mapping[str, Any]) -> None:
    """Restores what `get_global_state` gave."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys, position, has_gauss, cached))  # noqa: NPY002
