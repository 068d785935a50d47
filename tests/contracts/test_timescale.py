"""One timescale in seconds is the same physical memory at every dt."""

import pytest
import torch

from rlkit.memory import MEMORIES, make_memory

WITH = [n for n in MEMORIES.names() if "timescale_steps" in MEMORIES.options(n)]
SECONDS = 0.4


def left_after(name, dt):
    """How far apart two small states still are after 0.4 s of no input.

    Matrices are set to zero: what is left is each unit's own forgetting.
    """
    torch.manual_seed(0)
    options = {"mode": "vanilla"} if name == "vand" else {}
    memory = make_memory(name, 3, timescale={"seconds": (0.2, 2.0)}, dt=dt, **options)
    memory = memory.eval().double()
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    with torch.no_grad():
        for parameter in memory.parameters():
            if parameter.dim() >= 2:
                parameter.zero_()
        g = torch.Generator().manual_seed(1)
        fresh = tuple(s.double() for s in memory.initial_state(1))
        moved = tuple(s + 1e-4 * torch.rand(s.shape, generator=g).double() for s in fresh)
        for _ in range(round(SECONDS / dt)):
            fresh, moved = (memory.step(nothing, s).state for s in (fresh, moved))
        return torch.stack([(a - b).norm() for a, b in zip(moved, fresh, strict=True)])


@pytest.mark.parametrize("name", WITH)
def test_free_decay_per_second_is_the_same_at_five_dt(name):
    left = [left_after(name, dt) for dt in (0.05, 0.02, 0.01, 0.005, 0.002)]
    assert left[0].max() > 1e-6
    assert left[0].max() < 1e-2
    for other in left[:-1]:
        torch.testing.assert_close(other, left[-1], rtol=0.02, atol=1e-9)


def test_all_but_four_have_time_constants():
    assert set(MEMORIES.names()) - set(WITH) == {"elman", "framestack", "gtrxl", "none"}
