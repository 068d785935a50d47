"""Units of two numbers: draws, refusals, and the fast path of everything built from them."""

import math

import pytest
import torch

from rlkit.memory import pairs
from rlkit.memory.base import Memory
from rlkit.memory.block_diagonal import BlockDiagonal
from rlkit.memory.lru import LRU
from rlkit.memory.rtu import RTU
from rlkit.options import ConfigError

T, B, I, H = 24, 3, 4, 5
KINDS = [{"kind": k, "f": f} for k in ("linear", "nonlinear") for f in ("relu", "tanh")]
TRACED = [(LRU, {}), *((c, k) for c in (RTU, BlockDiagonal) for k in KINDS)]


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


def loss(y: torch.Tensor) -> torch.Tensor:
    weight = torch.linspace(-1, 1, y.shape[-1])
    return 0.5 * ((y * weight).sum(-1) - 0.3).square().sum()


@pytest.mark.parametrize(("cls", "options"), TRACED)
def test_the_fast_path_is_the_loop(cls, options):
    memory, start = cls(I, H, **options), torch.rand(T, B) < 0.2
    x, carry = torch.randn(T, B, I), tuple(torch.randn(B, H) for _ in range(2))
    fast, slow = memory(x, carry, start), Memory.forward(memory, x, carry, start)
    torch.testing.assert_close(fast.y, slow.y)
    torch.testing.assert_close(fast.state, slow.state)
    both = (torch.autograd.grad(loss(out.y), list(memory.parameters())) for out in (fast, slow))
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b)


def test_eigenvalues_are_uniform_on_the_ring():
    nu_log, theta_log = pairs.draw_ring(20_000, 0.5, 0.9, 3.0, None)
    lam = pairs.eigenvalues(nu_log, theta_log)
    area = (lam.abs() ** 2 - 0.25) / (0.81 - 0.25)
    assert (area > 0).all()
    assert (area < 1).all()
    assert area.mean().item() == pytest.approx(0.5, abs=0.01)
    assert theta_log.exp().max() < 3
    assert theta_log.exp().mean().item() == pytest.approx(1.5, abs=0.02)


def test_one_seed_is_one_physical_memory_at_every_dt():
    physical = []
    for dt in (0.05, 0.02, 0.01, 0.005, 0.002):
        torch.manual_seed(1)
        nu_log, theta_log = pairs.draw_ring(50, 0, 1, 6.28, (0.5 / dt, 3 / dt))
        physical.append(torch.stack((nu_log.exp(), theta_log.exp())) / dt)
    for other in physical[1:]:
        torch.testing.assert_close(other, physical[0])
    assert (1 / physical[0][0]).min() >= 0.5
    assert (1 / physical[0][0]).max() <= 3
    assert physical[0][1].max() <= 2 * math.pi / 0.5


def test_phases_stay_below_half_a_turn_per_step():
    _, theta_log = pairs.draw_ring(500, 0, 1, 6.28, (1.0, 9.0))
    assert theta_log.exp().max() < math.pi


@pytest.mark.parametrize("cls", [LRU, RTU, BlockDiagonal])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"r_min": 0.9, "r_max": 0.5}, "r_min, r_max are 0.9, 0.5"),
        ({"r_max": 1.1}, "r_min, r_max are 0.0, 1.1"),
        ({"r_min": 1.0}, "r_min, r_max are 1.0, 1.0"),
        ({"max_phase": 0.0}, "max_phase is 0.0"),
    ],
)
def test_impossible_units_are_refused(cls, options, message):
    with pytest.raises(ConfigError, match=message):
        cls(3, **options)


@pytest.mark.parametrize("cls", [RTU, BlockDiagonal])
def test_unknown_kinds_are_refused(cls):
    with pytest.raises(ConfigError, match="kind is 'both', but must be linear or nonlinear"):
        cls(3, kind="both")
    with pytest.raises(ConfigError, match="f is 'gelu', but must be relu or tanh"):
        cls(3, f="gelu")
