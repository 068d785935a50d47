"""Digits: images can be told apart, order and splits are as said, files are read or refused."""

import gzip
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from envs import make_task
from envs.sequence.pixel_digits import FONTS, blurred, drawn, glyphs
from rlkit.options import ConfigError


def images_of(task, seed, B):
    batch = task.sample(np.random.default_rng(seed), None, B)
    return batch.x_TBI[..., 0].T, batch.target_TB[-1]


def nearest(seen_BT, label_B, asked_BT):
    distance = (seen_BT**2).sum(axis=1) - 2 * asked_BT @ seen_BT.T
    return label_B[distance.argmin(axis=1)]


@pytest.mark.parametrize("permuted", [False, True])
def test_the_whole_sequence_tells_the_digit_and_its_end_does_not(permuted):
    task = make_task("pixel_digits", {"permuted": permuted})
    seen_BT, label_B = images_of(task, 0, 3000)
    asked_BT, truth_B = images_of(task, 1, 300)
    assert task.steps == 784
    assert (nearest(seen_BT, label_B, asked_BT) == truth_B).mean() > 0.9
    if not permuted:
        last = nearest(seen_BT[:, -1:], label_B, asked_BT[:, -1:])
        assert (last == truth_B).mean() < 0.2
    counts = np.bincount(label_B, minlength=10)
    assert np.abs(counts - 300).max() < 5 * np.sqrt(270)
    assert 0 <= seen_BT.min() <= seen_BT.max() <= 1
    assert seen_BT.max() > 0.9


def test_only_the_last_step_is_asked():
    batch = make_task("pixel_digits").sample(np.random.default_rng(0), None, 3)
    assert (batch.weight_TB[:-1] == 0).all()
    assert (batch.weight_TB[-1] == 1).all()


def test_the_order_is_one_permutation():
    plain = make_task("pixel_digits")
    mixed, same, other = (
        make_task("pixel_digits", {"permuted": True, "permutation_seed": s}) for s in (0, 0, 1)
    )
    x_BT, x_mixed_BT = images_of(plain, 5, 4)[0], images_of(mixed, 5, 4)[0]
    np.testing.assert_array_equal(x_BT[:, mixed.order], x_mixed_BT)
    np.testing.assert_array_equal(np.sort(mixed.order), np.arange(784))
    np.testing.assert_array_equal(mixed.order, same.order)
    assert (mixed.order != other.order).any()


def test_fonts_of_test_are_not_those_of_training():
    train, test = (make_task("pixel_digits", {"split": s}) for s in ("train", "test"))
    assert (len(train.images), len(test.images)) == (170, 40)
    whole = make_task("pixel_digits", {"split": "all"}).images
    np.testing.assert_array_equal(
        test.images, whole.reshape(21, 10, 64, 64)[4::5].reshape(-1, 64, 64)
    )
    assert (np.bincount(train.labels) == 17).all()


def test_glyphs_are_distinct_and_in_the_middle():
    images = glyphs(FONTS)
    assert len(np.unique(images.reshape(210, -1), axis=0)) == 210
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]])
    assert not border.any()
    for image in images:
        rows, columns = np.nonzero(image)
        assert abs(rows.min() + rows.max() - 63) <= 1
        assert abs(columns.min() + columns.max() - 63) <= 1


class Middle:
    """A generator whose uniform numbers are the middles of their intervals."""

    def uniform(self, low, high, size):
        return np.full(size, (low + high) / 2)

    def random(self, size, dtype):
        return np.zeros(size, dtype)

    def standard_normal(self, size, dtype):
        return np.zeros(size, dtype)


def test_without_turn_shift_and_noise_a_glyph_is_halved():
    """Each pixel is the mean of four of the glyph, whose middle is at 31.5."""
    glyph = np.zeros((1, 64, 64), np.float32)
    glyph[0, 4:60, 4:60] = np.random.default_rng(0).random((56, 56))
    image = drawn(Middle(), glyph, np.array([0]), 0.0).reshape(28, 28)
    means = glyph[0, 4:60, 4:60].reshape(28, 2, 28, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(image, means, atol=1e-5)


def test_blur():
    point = np.zeros((1, 5, 5), np.float32)
    point[0, 1, 4] = 16
    expected = np.zeros((5, 5))
    expected[:3, 3:] = np.outer([1, 2, 1], [1, 2])
    np.testing.assert_array_equal(blurred(point)[0], expected)


def idx(path, array, kind=8, pack=lambda data: data):
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(pack(head + array.astype(np.uint8).tobytes()))
    return str(path)


@pytest.fixture
def given(tmp_path):
    """Options for ten images of 2 × 3 pixels."""
    images, labels = np.arange(60).reshape(10, 2, 3), np.arange(10)
    return {
        "source": "idx",
        "images": idx(tmp_path / "images", images),
        "labels": idx(tmp_path / "labels.gz", labels, pack=gzip.compress),
    }


def test_idx_files(given):
    task = make_task("pixel_digits", given | {"split": "all"})
    assert task.steps == 6
    x_BT, label_B = images_of(task, 0, 100)
    expected = (6 * label_B[:, None] + np.arange(6)) / np.float32(255)
    np.testing.assert_array_equal(x_BT, expected.astype(np.float32))
    assert set(label_B) == set(range(10))
    assert set(make_task("pixel_digits", given | {"split": "test"}).labels) == {4, 9}


def test_idx_files_that_are_refused(given, tmp_path):
    def refused(message, **changes):
        with pytest.raises(ConfigError, match=message):
            make_task("pixel_digits", given | changes)

    images, labels = np.zeros((10, 2, 3)), np.arange(10)
    refused("cannot read env.images=/nowhere", images="/nowhere")
    refused("is no IDX file of bytes in 3 dim", images=given["labels"])
    refused("is no IDX file of bytes", images=idx(tmp_path / "a", images, kind=13))
    refused("holds 10 images, but env.labels 9 c", labels=idx(tmp_path / "b", labels[:9]))
    refused("holds the class 12", labels=idx(tmp_path / "c", labels + 3))
    for shape in ((10, 0, 3), (0, 2, 3)):
        empty = idx(tmp_path / "empty", np.zeros(shape))
        none = idx(tmp_path / "none", labels[: shape[0]])
        refused(r"holds no pixels: its sizes are \(", images=empty, labels=none)
    refused("leaves no images of 2", images=idx(tmp_path / "d", images[:2]), split="test",
            labels=idx(tmp_path / "e", labels[:2]))  # fmt: skip
    cut = tmp_path / "cut"
    cut.write_bytes((tmp_path / "images").read_bytes()[:-1])
    refused(r"does not hold the \(10, 2, 3\) bytes", images=str(cut))
    (tmp_path / "bad.gz").write_bytes((tmp_path / "labels.gz").read_bytes()[:-9])
    refused("cannot read env.labels=", labels=str(tmp_path / "bad.gz"))


def test_the_digits_of_sklearn(monkeypatch):
    datasets = ModuleType("sklearn.datasets")
    images, target = np.arange(640.0).reshape(10, 8, 8) % 17, np.arange(10)
    datasets.load_digits = lambda: SimpleNamespace(images=images, target=target)
    monkeypatch.setitem(sys.modules, "sklearn", ModuleType("sklearn"))
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)
    task = make_task("pixel_digits", {"source": "sklearn"})
    assert task.steps == 64
    x_BT, label_B = images_of(task, 0, 30)
    np.testing.assert_array_equal(x_BT, images[label_B].reshape(30, -1) / 16)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ConfigError, match="needs scikit-learn: pip install"):
        make_task("pixel_digits", {"source": "sklearn"})
