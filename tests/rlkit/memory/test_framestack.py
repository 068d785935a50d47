"""Frame stacking: what lies side by side, at a start too."""

import pytest
import torch

from rlkit.memory.framestack import FrameStack
from rlkit.options import ConfigError


def frames(*values: float) -> torch.Tensor:
    """One row of width 1 per step."""
    return torch.tensor(values)[:, None, None]


@pytest.mark.parametrize(
    ("pad", "want"),
    [
        ("zero", [[0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 4], [0, 4, 5]]),
        ("first", [[1, 1, 1], [1, 1, 2], [1, 2, 3], [4, 4, 4], [4, 4, 5]]),
    ],
)
def test_by_hand_oldest_first(pad, want):
    memory = FrameStack(1, k=3, pad=pad)
    x = frames(1.0, 2, 3, 4, 5)
    start = torch.tensor([0, 0, 0, 1, 0], dtype=torch.bool)[:, None]
    y, (state,), _ = memory(x, memory.fresh_state(x[0]), start)
    assert y[:, 0].tolist() == want
    assert state[0, :, 0].tolist() == [4, 5]


def test_one_frame_is_the_input():
    memory = FrameStack(2, k=1)
    x = torch.randn(3, 4, 2)
    assert torch.equal(memory(x, memory.initial_state(4)).y, x)


def test_compressed_frames_share_one_map():
    memory = FrameStack(3, k=4, compress=8)
    assert memory.output_size == 8
    x = torch.randn(4, 2, 3)
    y = memory(x, memory.initial_state(2)).y[-1]
    want = torch.cat([f @ memory.compress.weight.T for f in x], dim=-1)
    torch.testing.assert_close(y, want)
    assert sum(p.numel() for p in memory.parameters()) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k is 0, but must be at least 1"),
        ({"compress": 6}, "compress is 6, but must be a multiple of k = 4"),
        ({"compress": 0}, "compress is 0, but must be a multiple of k = 4"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ConfigError, match=message):
        FrameStack(2, **options)
