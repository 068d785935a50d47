"""What an observation is made of, and which encoders take it."""

import subprocess
import sys

import numpy as np
import pytest
from gymnasium.spaces import Box

from rlkit.observations import FITTING, ObsPart, check_encoder, parts_of
from rlkit.options import ConfigError

PARTS = {
    "vector": ObsPart("obs", "vector", (4,)),
    "image": ObsPart("obs", "image", (64, 48, 3)),
    "grid": ObsPart("image", "grid", (7, 7, 3)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_one_axis_is_a_vector(dtype):
    assert parts_of(Box(0, 1, (4,), dtype)) == (PARTS["vector"],)


def test_three_axes_of_bytes_are_an_image():
    assert parts_of(Box(0, 255, (64, 48, 3), np.uint8)) == (PARTS["image"],)


@pytest.mark.parametrize(
    ("space", "stated"),
    [
        (Box(0, 1, (64, 48, 3), np.float32), r"\(64, 48, 3\) and type float32"),
        (Box(0, 255, (64, 48), np.uint8), r"\(64, 48\) and type uint8"),
        (Box(0, 1, (), np.float32), r"\(\) and type float32"),
    ],
)
def test_other_shapes_are_refused_in_one_sentence(space, stated):
    with pytest.raises(ConfigError, match=f"{stated} are neither vectors nor images") as error:
        parts_of(space)
    assert "allowed: one axis of numbers; height, width, channels of uint8" in str(error.value)


def test_size():
    assert [p.size for p in PARTS.values()] == [4, 64 * 48 * 3, 147]


@pytest.mark.parametrize("kind", PARTS)
def test_auto_and_the_fitting_encoders_take_a_part(kind):
    for encoder in ("auto", *FITTING[kind]):
        check_encoder(encoder, (PARTS[kind],))


@pytest.mark.parametrize(
    ("encoder", "kind", "message"),
    [
        (
            "mlp",
            "grid",
            "agent.encoder is mlp, but the observation is of kind grid (7 x 7 x 3)"
            " (encoders that take it: auto, grid, grid_conv)",
        ),
        (
            "grid",
            "image",
            "agent.encoder is grid, but the observation is of kind image (64 x 48 x 3)"
            " (encoders that take it: auto, cnn)",
        ),
    ],
)
def test_pixels_in_the_wrong_encoder_are_refused_in_one_sentence(encoder, kind, message):
    with pytest.raises(ConfigError) as error:
        check_encoder(encoder, (PARTS["vector"], PARTS[kind]))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("encoder", "pixels"), [("cnn", "image"), ("grid", "grid"), ("grid_conv", "grid")]
)
def test_vectors_stand_beside_pixels_in_any_encoder(encoder, pixels):
    check_encoder(encoder, (PARTS["vector"], PARTS[pixels]))


def test_it_is_read_without_torch():
    program = "import sys, rlkit.observations; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
