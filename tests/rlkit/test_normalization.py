"""Normalisation of inputs and of value targets: moments of what was seen, and of nothing else."""

import numpy as np
import pytest
import torch
from torch import nn

from rlkit.normalization import RunningNormalizer, ValueNormalizer
from rlkit.seeding import generator


def batches() -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    scale = np.array([1.0, 30.0, 1e-3])
    return [rng.normal(size=(n, 3)) * scale + [5.0, -200.0, 0.5] for n in (7, 1, 40, 3)]


def seen() -> RunningNormalizer:
    normalizer = RunningNormalizer((3,))
    for batch in batches():
        normalizer.observe(torch.from_numpy(batch))
    return normalizer


def test_batched_moments_are_the_moments_of_all():
    normalizer, every = seen(), np.concatenate(batches())
    np.testing.assert_allclose(normalizer.mean.numpy(), every.mean(0), rtol=1e-12)
    np.testing.assert_allclose((normalizer.m2 / normalizer.count).numpy(), every.var(0), rtol=1e-11)
    assert normalizer.count == 51


def test_output_is_standard_except_below_the_floor():
    y = seen()(torch.from_numpy(np.concatenate(batches())).float()).numpy()
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(0), [1, 1, y[:, 2].std()], rtol=1e-5)
    every = np.concatenate(batches())[:, 2]
    np.testing.assert_allclose(y[:, 2], (every - every.mean()) / 0.1, atol=1e-6)  # √1e-2


def test_forward_moves_nothing():
    normalizer = seen()
    before = {k: v.clone() for k, v in normalizer.state_dict().items()}
    normalizer(torch.full((9, 3), 1e4))
    for name, value in normalizer.state_dict().items():
        assert torch.equal(value, before[name])


def test_time_and_batch_axes():
    x = torch.from_numpy(np.concatenate(batches())[:10]).view(2, 5, 3)
    normalizer = seen()
    assert torch.equal(normalizer(x).view(10, 3), normalizer(x.view(10, 3)))


def test_state_dict_restores_the_moments():
    other = RunningNormalizer((3,))
    other.load_state_dict(seen().state_dict())
    x = torch.randn(4, 3)
    assert torch.equal(other(x), seen()(x))
    other.observe(x)
    assert other.count == 55


def test_before_any_sample_it_is_the_identity():
    x = torch.ones(2, 3)
    assert torch.equal(RunningNormalizer((3,))(x), x)


# --- value targets ---------------------------------------------------------------------------


def critic(rate: float = 0.1) -> tuple[nn.Linear, ValueNormalizer]:
    torch.manual_seed(0)
    layer = nn.Linear(4, 1)
    return layer, ValueNormalizer(layer, rate)


def targets(n: int = 5) -> list[torch.Tensor]:
    """Batches whose mean and spread wander by orders of magnitude."""
    g = generator(2)
    return [torch.randn(6, 5, generator=g) * 10**i / 100 + 3**i for i in range(n)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
@torch.no_grad()
def test_values_stay_when_the_moments_move(dtype, tolerance):
    """To rounding, of numbers as large as the moments."""
    layer, normalizer = critic()
    layer.to(dtype)
    h = torch.randn(50, 4, generator=generator(1)).to(dtype)
    for target in targets():
        before = normalizer.denormalize(layer(h))
        scale = (normalizer.mean.abs() + 3 * normalizer.std).item()
        normalizer.observe(target)
        scale = max(scale, (normalizer.mean.abs() + 3 * normalizer.std).item())
        after = normalizer.denormalize(layer(h))
        torch.testing.assert_close(after, before, rtol=0, atol=tolerance * scale)
    assert normalizer.std > 10


def test_targets_come_in_units_of_their_spread():
    _, normalizer = critic(rate=1.0)
    for target in targets():
        normalizer.observe(target)
        scaled = normalizer.normalize(target)
        assert scaled.dtype == torch.float32
        assert scaled.mean().item() == pytest.approx(0, abs=1e-5)
        assert scaled.std(unbiased=False).item() == pytest.approx(1, rel=1e-5)


def test_moments_are_plain_means_at_first_and_then_exponential():
    _, normalizer = critic(rate=0.4)
    batches = [torch.tensor([x]) for x in (2.0, 4.0, 9.0, -1.0)]
    # β = 1, 1/2, max(0.4, 1/3), 0.4:  2, 3, 0.6 · 3 + 0.4 · 9 = 5.4, 0.6 · 5.4 - 0.4 = 2.84
    # squares                          4, 10, 0.6 · 10 + 0.4 · 81 = 38.4, 0.6 · 38.4 + 0.4 = 23.44
    for batch, mean, square in zip(batches, (2, 3, 5.4, 2.84), (4, 10, 38.4, 23.44), strict=True):
        normalizer.observe(batch)
        assert normalizer.mean.item() == pytest.approx(mean)
        assert normalizer.square.item() == pytest.approx(square)
    assert normalizer.std.item() == pytest.approx((23.44 - 2.84**2) ** 0.5)


def test_normalise_and_denormalise_are_inverse():
    _, normalizer = critic()
    value = torch.linspace(-50, 50, 11)
    torch.testing.assert_close(normalizer.normalize(value), value)  # the identity at first
    for target in targets():
        normalizer.observe(target)
        there = normalizer.denormalize(normalizer.normalize(value))
        torch.testing.assert_close(there, value, rtol=1e-4, atol=1e-3)


def test_constant_targets_give_a_finite_layer():
    layer, normalizer = critic()
    for _ in range(3):
        normalizer.observe(torch.full((7,), 5.0))
    assert normalizer.std.item() == pytest.approx(1e-3)
    assert all(p.isfinite().all() for p in layer.parameters())
    assert normalizer.normalize(torch.tensor([5.0])).item() == pytest.approx(0, abs=1e-3)


def test_moments_of_values_are_saved_and_the_layer_is_not_saved_twice():
    _, normalizer = critic()
    normalizer.observe(targets()[2])
    assert set(normalizer.state_dict()) == {"mean", "square", "batches"}
    assert list(normalizer.parameters()) == []
    _, other = critic()
    other.load_state_dict(normalizer.state_dict())
    assert torch.equal(other.std, normalizer.std)
    other.observe(targets()[3])
    assert other.batches == 2
