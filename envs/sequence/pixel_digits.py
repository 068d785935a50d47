"""Pixel digits (Le et al. 2015): an image is shown pixel by pixel, and then named.

    procedural   28 × 28, without end: a digit in one of matplotlib's fonts, turned by up to 15°,
                 scaled by 0.8 … 1.2, shifted by up to 3 pixels, blurred, with noise
    sklearn      8 × 8: the 1797 digits that come with scikit-learn (extra `digits`)
    idx          files of the user's in the format of MNIST, packed by gzip or not

`permuted` shows the pixels in one fixed random order. Every fifth font or image is kept for the
split `test`.
"""

import gzip
import importlib
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from envs.sequence.base import Array, SequenceBatch, SequenceTask, starts
from rlkit.options import ConfigError, option

SIZE, MASTER, HEIGHT = 28, 64, 40
"""Pixels: of an image, of the glyphs it is drawn from, and of a digit there."""
BRIGHTEST = {"sklearn": 16, "idx": 255}
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSansMono-BoldOblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("STIXGeneralBolIta", "cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"),
)


@dataclass(frozen=True)
class PixelDigitsOptions:
    source: Literal["procedural", "sklearn", "idx"] = option("where the images come from")
    images: str | None = option("IDX file of images, for env.source=idx")
    labels: str | None = option("IDX file of their classes, for env.source=idx")
    split: Literal["all", "train", "test"] = option(
        "test: every fifth font or image; train: others"
    )
    permuted: bool = option("pixels in a fixed random order")
    permutation_seed: int = option("of that order", low=0)
    noise: float = option("standard deviation added to procedural pixels", low=0, high=1)


class PixelDigits(SequenceTask):
    """The input is a pixel's brightness in [0, 1]; only the last step is scored.

    Memoryless: knows how frequent each class is. The optimum is unknown.
    """

    input_size, target_size = 1, 10
    stream, optimum = False, None
    held_out: ClassVar[Mapping[str, str]] = {"train": "test"}

    def __init__(self, options: PixelDigitsOptions):
        self.options = o = options
        if o.source != "idx" and (o.images or o.labels):
            raise ConfigError(
                f"env.images and env.labels are for env.source=idx, but it is {o.source}"
            )
        if o.source == "procedural":
            self.images, self.labels = glyphs(FONTS), np.tile(np.arange(10), len(FONTS))
            self.steps = SIZE**2
        else:
            self.images, self.labels = _bundled() if o.source == "sklearn" else _given(o)
            self.steps = math.prod(self.images.shape[1:])
        group = 10 if o.source == "procedural" else 1  # a font is left out with all its digits
        is_test = np.arange(len(self.labels)) // group % 5 == 4
        wanted = {"all": np.full(len(is_test), True), "test": is_test, "train": ~is_test}[o.split]
        self.images, self.labels = self.images[wanted], self.labels[wanted]
        if not len(self.labels):
            raise ConfigError(f"env.split={o.split} leaves no images of {len(is_test)}")
        order = np.random.default_rng(o.permutation_seed).permutation(self.steps)
        self.order = order if o.permuted else np.arange(self.steps)
        share = np.bincount(self.labels, minlength=10) / len(self.labels)
        self.memoryless_loss = float(-sum(p * math.log(p) for p in share if p))

    def sequences(self, rng: np.random.Generator, B: int) -> SequenceBatch:
        chosen_B = rng.integers(len(self.labels), size=B)
        if self.options.source == "procedural":
            pixels_BT = drawn(rng, self.images, chosen_B, self.options.noise)
        else:
            pixels_BT = self.images[chosen_B].reshape(B, -1) / np.float32(
                BRIGHTEST[self.options.source]
            )
        x_TB1 = np.ascontiguousarray(pixels_BT.T[self.order, :, None], np.float32)
        target_TB = np.zeros((self.steps, B), np.int64)
        weight_TB = np.zeros((self.steps, B), np.float32)
        target_TB[-1], weight_TB[-1] = self.labels[chosen_B], 1
        return SequenceBatch(x_TB1, target_TB, weight_TB, starts(self.steps, B))


def glyphs(fonts: tuple[str, ...]) -> Array:
    """Every digit of every font, in the middle of a large image; (fonts · 10, 64, 64) float32."""
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    images = np.zeros((len(fonts), 10, MASTER, MASTER), np.float32)
    for images_10, name in zip(images, fonts, strict=True):
        font = FT2Font(str(Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"))
        for digit, image in enumerate(images_10):
            font.set_size(HEIGHT / 0.7, 72)  # digits are about 0.7 of a font's size
            font.set_text(str(digit), 0.0)
            font.draw_glyphs_to_bitmap(antialiased=True)
            inked = np.asarray(font.get_image()) / 255
            rows, columns = np.nonzero(inked)
            inked = inked[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            top, left = ((MASTER - n) // 2 for n in inked.shape)
            image[top : top + inked.shape[0], left : left + inked.shape[1]] = inked
    return blurred(images.reshape(-1, MASTER, MASTER))


def blurred(images_NYX: Array) -> Array:
    """Each pixel and its eight neighbours, weighed (1, 2, 1) ⊗ (1, 2, 1) / 16; dark outside."""
    for axis in (1, 2):
        padding = [(1, 1) if a == axis else (0, 0) for a in range(3)]
        wide = np.pad(images_NYX, padding)
        n = images_NYX.shape[axis]
        below, here, above = (wide.take(range(i, i + n), axis) for i in range(3))
        images_NYX = (below + 2 * here + above) / 4
    return images_NYX


def drawn(rng: np.random.Generator, glyphs_GYX: Array, chosen_B: Array, noise: float) -> Array:
    """Glyphs after random affine maps, bilinear, blur and noise; (B, 784) float32."""
    B = len(chosen_B)
    angle_B1 = np.radians(rng.uniform(-15, 15, (B, 1))).astype(np.float32)
    zoom_B1 = np.float32(2) / rng.uniform(0.8, 1.2, (B, 1)).astype(np.float32)
    shift_2B1 = rng.uniform(-3, 3, (2, B, 1)).astype(np.float32)
    blur_B11 = rng.random((B, 1, 1), dtype=np.float32)
    middle = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    y_BT = np.repeat(middle, SIZE) - shift_2B1[0]
    x_BT = np.tile(middle, SIZE) - shift_2B1[1]
    cos_B1, sin_B1 = zoom_B1 * np.cos(angle_B1), zoom_B1 * np.sin(angle_B1)
    centre, highest = (MASTER - 1) / 2, np.float32(MASTER - 1.001)
    row_BT = (centre + cos_B1 * y_BT - sin_B1 * x_BT).clip(0, highest)
    column_BT = (centre + sin_B1 * y_BT + cos_B1 * x_BT).clip(0, highest)
    r_BT, c_BT = row_BT.astype(np.int32), column_BT.astype(np.int32)
    dr_BT, dc_BT = row_BT - r_BT, column_BT - c_BT
    flat, at_BT = glyphs_GYX.reshape(-1), (chosen_B[:, None] * MASTER + r_BT) * MASTER + c_BT
    upper_BT = flat[at_BT] * (1 - dc_BT) + flat[at_BT + 1] * dc_BT
    lower_BT = flat[at_BT + MASTER] * (1 - dc_BT) + flat[at_BT + MASTER + 1] * dc_BT
    sharp_BYX = (upper_BT * (1 - dr_BT) + lower_BT * dr_BT).reshape(B, SIZE, SIZE)
    mixed_BYX = sharp_BYX + blur_B11 * (blurred(sharp_BYX) - sharp_BYX)
    noise_BT = np.float32(noise) * rng.standard_normal((B, SIZE**2), np.float32)
    return (mixed_BYX.reshape(B, -1) + noise_BT).clip(0, 1)


def _bundled() -> tuple[Array, Array]:
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError:
        raise ConfigError(
            "env.source=sklearn needs scikit-learn: pip install 'rlkit-memory[digits]'"
        ) from None
    digits = datasets.load_digits()
    return digits.images.astype(np.uint8), digits.target.astype(np.int64)


def _given(o: PixelDigitsOptions) -> tuple[Array, Array]:
    if o.images is None or o.labels is None:
        raise ConfigError("env.source=idx needs two files: env.images and env.labels")
    images, labels = read_idx(o.images, "images", 3), read_idx(o.labels, "labels", 1)
    if len(images) != len(labels):
        raise ConfigError(
            f"env.images holds {len(images)} images, but env.labels {len(labels)} classes"
        )
    if not images.size:
        raise ConfigError(f"env.images={o.images} holds no pixels: its sizes are {images.shape}")
    if labels.max() > 9:
        raise ConfigError(f"env.labels holds the class {labels.max()}, but digits end at 9")
    return images, labels.astype(np.int64)


def read_idx(file: str, key: str, dimensions: int) -> Array:
    """The bytes of an IDX file (two zeros, type 8, the number of dimensions, each of them).

    Raises:
        ConfigError: it cannot be read, or is not such a file.
    """
    try:
        data = Path(file).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot read env.{key}={file}: {why}") from None
    head = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) < head:
        raise ConfigError(f"env.{key}={file} is no IDX file of bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", data[4:head])
    if math.prod(shape) != len(data) - head:
        raise ConfigError(f"env.{key}={file} does not hold the {shape} bytes that it announces")
    return np.frombuffer(data, np.uint8, offset=head).reshape(shape)
