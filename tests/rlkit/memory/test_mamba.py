"""Mamba: the paper's algorithm written out with torch's own convolution."""

import math

import pytest
import torch
from torch.nn.functional import conv1d, linear, pad, silu, softplus

from rlkit.memory.mamba import Mamba
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(6)
    yield
    torch.set_default_dtype(torch.float32)


def test_the_papers_algorithm():
    T, I, D, N, R = 9, 3, 4, 5, 2
    memory, x = Mamba(I, D, state_size=N, rank=R), torch.randn(T, I)
    memory.conv_bias.data = torch.randn(8)
    memory.D.data = torch.randn(8)
    u, z = linear(x, memory.W_in.weight).chunk(2, -1)
    u = silu(conv1d(pad(u.T, (3, 0)), memory.conv.T[:, None], memory.conv_bias, groups=8).T)
    h, expected = torch.zeros(8, N), []
    for t in range(T):
        s = memory.W_s.weight @ u[t]
        delta, B, C = s[:R], s[R : R + N], s[R + N :]
        step = softplus(memory.W_step.weight @ delta + memory.W_step.bias)
        for e in range(8):
            for n in range(N):
                A = -math.exp(memory.A_log[e, n].item())
                new = torch.exp(step[e] * A) * h[e, n] + step[e] * B[n] * u[t, e]
                h = h.clone()
                h[e, n] = new
        y = (h @ C + memory.D * u[t]) * silu(z[t])
        expected.append(memory.W_out.weight @ y)
    got = memory(x[:, None], memory.initial_state(1)).y[:, 0]
    torch.testing.assert_close(got, torch.stack(expected))


def test_initial_values():
    memory = Mamba(3, 40, step_min=0.002, step_max=0.2)
    torch.testing.assert_close(memory.A_log.exp(), torch.arange(1.0, 17).expand(80, 16))
    step = softplus(memory.W_step.bias)
    assert step.min() >= 0.002
    assert step.max() <= 0.2
    assert memory.W_step.weight.abs().max() <= 3**-0.5
    assert memory.W_s.weight.shape == (3 + 32, 80)


def test_sizes():
    memory = Mamba(3, 4, state_size=5, conv_width=2)
    E, N, R = 8, 5, 1
    inside = E * (R + 2 * N) + E * (R + 1) + E * N + E
    assert sum(p.numel() for p in memory.parameters()) == 3 * 2 * E + E * 2 + E + inside + E * 4
    assert [s.shape for s in memory.initial_state(2)] == [(2, E, N), (2, 1, E)]
    assert memory.output_size == 4


def test_time_constants_of_the_modes_at_zero_input():
    memory = Mamba(3, 4, state_size=3, timescale_steps=(8.0, 8.0))
    h, past = memory.initial_state(1)
    _, (last, _), _ = memory(torch.zeros(8, 1, 3), (h + 1, past))
    expected = torch.exp(-torch.arange(1.0, 4)).expand(1, 8, 3)
    torch.testing.assert_close(last, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"rank": 0}, "rank is 0, but must be at least 1"),
        ({"conv_width": 0}, "conv_width is 0, but must be at least 1"),
        ({"step_max": 1e-4}, "step_min, step_max are 0.001, 0.0001, but must be 0 < min <= max"),
    ],
)
def test_impossible_values_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Mamba(3, **options)
