"""Gate biases of the recurrent cells: time constants, chrono initialisation, refusals."""

import pytest
import torch

from rlkit.memory import make_memory
from rlkit.memory.initial import gate_bias, uniform
from rlkit.options import ConfigError

I, H = 3, 5
GATED = [
    ("gated", {"gate": "global"}),
    ("gated", {"gate": "unit"}),
    ("gru", {}),
    ("leaky", {"alpha": "scalar"}),
    ("leaky", {"alpha": "unit"}),
    ("lstm", {}),
    ("mingru", {}),
    ("minlstm", {}),
]
each_gated = pytest.mark.parametrize(("name", "options"), GATED)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "options"), [("elman", {}), *GATED])
def test_hidden_size_must_be_positive(name, options):
    with pytest.raises(ConfigError, match="hidden_size is 0, but must be at least 1"):
        make_memory(name, I, hidden_size=0, **options)


@each_gated
def test_chrono_refusals(name, options):
    with pytest.raises(ConfigError, match="longest dependency > 2, got 2"):
        make_memory(name, I, hidden_size=H, chrono=2.0, **options)
    with pytest.raises(ConfigError, match="give one of them"):
        make_memory(name, I, chrono=9.0, timescale={"steps": [2, 9]}, **options)


def free_decay(memory):
    """The factor per step of a small difference of states, without input and recurrent weights."""
    for key, weight in memory.named_parameters():
        if key in ("weight_h", "weight_hh"):
            weight.data.zero_()
    zero, (first, *_) = torch.zeros(1, I), memory.initial_state(1)
    deep = len(memory.initial_state(1)) - 1  # the LSTM's c
    pair = [memory.recur(memory.project(zero), (first + d,) * (deep + 1)) for d in (0, 1e-3)]
    return (pair[1][deep] - pair[0][deep]) / 1e-3


@each_gated
@pytest.mark.parametrize("dt", [0.05, 0.02, 0.01, 0.005, 0.002])
def test_timescale_in_seconds_is_the_same_decay_at_every_dt(name, options, dt):
    scale = {"seconds": [0.2, 3.0]}
    memory = make_memory(name, I, hidden_size=64, timescale=scale, dt=dt, **options)
    seconds = -dt / free_decay(memory).log()
    assert seconds.min() >= 0.2 - 1e-6
    assert seconds.max() <= 3.0 + 1e-6
    torch.manual_seed(3)
    coarse = make_memory(name, I, hidden_size=64, timescale=scale, dt=0.05, **options)
    per_second = free_decay(memory) ** (1 / dt)
    torch.testing.assert_close(per_second, free_decay(coarse) ** 20, rtol=1e-8, atol=0)


@each_gated
def test_chrono_keeps_between_a_half_and_the_longest(name, options):
    longest = 50.0
    decay = free_decay(make_memory(name, I, hidden_size=256, chrono=longest, **options))
    assert decay.min() >= 0.5 - 1e-9
    assert decay.max() <= 1 - 1 / longest + 1e-9


def test_gate_bias_without_a_wish_is_none():
    assert gate_bias(3, None, None) is None


def test_uniform_is_torchs_range():
    w = uniform(16, 200, 3)
    assert w.shape == (200, 3)
    assert w.min() >= -0.25
    assert w.max() <= 0.25
    assert w.std().item() == pytest.approx(0.5 / 12**0.5, rel=0.1)
