"""Short causal convolution: torch's own, and what an episode's start hides."""

import torch
from torch.nn.functional import conv1d, pad

from rlkit.memory.conv import causal_conv

T, B, H, K = 9, 3, 2, 4


def arrays():
    torch.manual_seed(0)
    return [torch.randn(*s, dtype=torch.float64) for s in ((T, B, H), (B, K - 1, H), (K, H), (H,))]


def test_it_is_torchs_depthwise_convolution():
    u, _, w, bias = arrays()
    y, past = causal_conv(u, torch.zeros(B, K - 1, H, dtype=u.dtype), None, w, bias)
    expected = conv1d(pad(u.permute(1, 2, 0), (K - 1, 0)), w.T[:, None], bias, groups=H)
    torch.testing.assert_close(y, expected.permute(2, 0, 1))
    assert torch.equal(past, u[-3:].transpose(0, 1))


def test_a_sequence_in_pieces_is_the_sequence():
    u, past, w, bias = arrays()
    start = torch.rand(T, B) < 0.3
    whole, last = causal_conv(u, past, start, w, bias)
    pieces = []
    for t in range(T):
        y, past = causal_conv(u[t : t + 1], past, start[t : t + 1], w, bias)
        pieces.append(y)
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(past, last)


def test_a_start_is_a_fresh_sequence():
    u, past, w, bias = arrays()
    start = torch.zeros(T, B, dtype=torch.bool)
    start[5, 1] = start[T - 1, 2] = True
    past[0] = float("nan")
    start[0, 0] = True
    u[4, 1] = float("nan")
    y, last = causal_conv(u, past, start, w, bias)
    fresh, _ = causal_conv(u[5:, 1:2], torch.zeros_like(past[:1]), None, w, bias)
    assert torch.equal(y[5:, 1:2], fresh)
    assert y[:, 0].isfinite().all()
    assert torch.equal(last[2, :2], torch.zeros(2, H))
    assert torch.equal(last[2, 2], u[-1, 2])


def test_a_window_of_one_remembers_nothing():
    u, past, w, bias = arrays()
    y, last = causal_conv(u, past[:, :0], torch.ones(T, B, dtype=torch.bool), w[:1], bias)
    assert torch.equal(y, bias + w[0] * u)
    assert last.shape == (B, 0, H)
