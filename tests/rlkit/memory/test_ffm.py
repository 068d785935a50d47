"""FFM: the complex recurrence, its readout, its rates and frequencies."""

import math

import pytest
import torch

from rlkit.memory.ffm import FFM
from rlkit.options import ConfigError


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


def test_it_is_the_papers_complex_sum():
    memory = FFM(3, 5, memory_size=4, context_size=2, max_period=30.0)
    x = torch.randn(7, 2, 3)
    gamma = torch.exp(-memory.alpha.abs()[:, None] - 1j * memory.omega)
    written = memory.write(x) * torch.sigmoid(memory.write_gate(x))
    S = sum(gamma ** (6 - t) * written[t].unsqueeze(-1) for t in range(7))
    y, (re, im), _ = memory(x, memory.initial_state(2))
    torch.testing.assert_close(torch.complex(re, im), S)
    z = memory.mix(torch.cat((S.real, S.imag), -1).flatten(1))
    z = (z - z.mean(-1, keepdim=True)) / (z.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    g = torch.sigmoid(memory.gate(x[-1]))
    torch.testing.assert_close(y[-1], z * g + memory.skip(x[-1]) * (1 - g))


def test_own_rates_and_periods():
    memory = FFM(3, memory_size=3, context_size=2, max_period=101.0)
    torch.testing.assert_close(memory.alpha.detach(), torch.tensor([1e-6, 0.2500005, 0.5]))
    torch.testing.assert_close(2 * math.pi / memory.omega.detach(), torch.tensor([1.0, 101.0]))


def test_the_same_seconds_are_the_same_memory_at_every_dt():
    rates = []
    for dt in (0.05, 0.01, 0.002):
        torch.manual_seed(3)
        memory = FFM(3, timescale_steps=(0.2 / dt, 5 / dt))
        rates.append((memory.alpha.detach() / dt, memory.omega.detach() / dt))
        assert (memory.omega > 0).all()
    for other in rates[1:]:
        torch.testing.assert_close(other, rates[0])
    assert rates[0][0].max() <= 5
    assert rates[0][1].max() <= 2 * math.pi / 0.2


def test_frequencies_stay_below_half_a_turn_per_step():
    assert FFM(3, context_size=100, timescale_steps=(1.0, 2.0)).omega.max() < math.pi


def test_a_zero_input_writes_nothing():
    memory = FFM(3, timescale_steps=(10.0, 10.0))
    re, im = torch.randn(1, 32, 4), torch.randn(1, 32, 4)
    after = memory(torch.zeros(10, 1, 3), (re, im)).state
    size = torch.complex(*after).abs() / torch.complex(re, im).abs()
    torch.testing.assert_close(size, torch.full_like(size, math.exp(-1)))


@pytest.mark.parametrize("option", ["hidden_size", "memory_size", "context_size", "max_period"])
def test_refusals(option):
    with pytest.raises(ConfigError, match=f"{option} is 0, but must be at least 1"):
        FFM(3, **{option: 0})
