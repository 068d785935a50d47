"""Every registered memory, small, as the contract tests build it."""

import torch
import yaml

from configs.compose import FOLDER
from rlkit.memory import MEMORIES, make_memory

INPUT = 5
SIZES = {"hidden_size": 6, "size": 6, "window": 4, "d_model": 6}
ALONE = [n for n in MEMORIES.names() if n != "none"]


def options_of(name):
    """The YAML's options, with small sizes; no inner noise for the wrapper."""
    file = FOLDER / "memory" / f"{name}.yaml"
    if not file.exists():  # a memory from another package: as its constructor has it
        return {}
    values = yaml.safe_load(file.read_text())
    values.pop("name")
    return values


def small(name, seed=0, dtype=torch.float64, **changes):
    """A memory in double precision, seeded."""
    torch.manual_seed(seed)
    options = options_of(name)
    for key, value in {"hidden_size": 6}.items():
        if key in options:
            options[key] = value
    options.update(changes)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        return make_memory(name, INPUT, **options)
    finally:
        torch.set_default_dtype(before)


def sequence(T, B, seed=1, dtype=torch.float64):
    """Inputs and start flags (each row has a start inside, none need be at t = 0)."""
    g = torch.Generator().manual_seed(seed)
    x_TBI = torch.randn(T, B, INPUT, generator=g, dtype=dtype)
    start_TB = torch.rand(T, B, generator=g) < 0.25
    return x_TBI, start_TB
