"""Running normalisation: moments of all that was seen, and of nothing else."""

import numpy as np
import torch

from rlkit.normalization import RunningNormalizer


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
    y = seen()(torch.from_numpy(np.concatenate(batches()))).numpy()
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
