"""What an observation is made of. Torch-free: environments declare it, encoders read it.

An observation crosses every border as one array. A dictionary is packed: its parts, in order,
raveled and laid end to end.
"""

import math
from typing import Literal, NamedTuple

from gymnasium.spaces import Box

from rlkit.options import ConfigError


class ObsPart(NamedTuple):
    """One part of an observation.

    Attributes:
        name: key in the dictionary it came from; "obs" if it is the whole.
        kind: vector (any numbers), image (H, W, C of uint8 pixels), grid (MiniGrid's view: cells
            of type, colour, state).
        shape: of this part alone.
    """

    name: str
    kind: Literal["vector", "image", "grid"]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def parts_of(space: Box) -> tuple[ObsPart, ...]:
    """The part that a plain space is: a vector, or an image of uint8 pixels.

    Raises:
        ConfigError: it is neither.
    """
    if len(space.shape) == 1:
        return (ObsPart("obs", "vector", space.shape),)
    if len(space.shape) == 3 and space.dtype == "uint8":
        return (ObsPart("obs", "image", space.shape),)
    raise ConfigError(
        f"observations of shape {space.shape} and type {space.dtype} are neither vectors nor images"
        " (allowed: one axis of numbers; height, width, channels of uint8)"
    )


FITTING = {"vector": ("mlp",), "image": ("cnn",), "grid": ("grid", "grid_conv")}
"""The encoders of each kind of part; `auto` takes the first, and vectors may stand beside any."""


def check_encoder(encoder: str, parts: tuple[ObsPart, ...]) -> None:
    """Compares an encoder with what it is to encode.

    Args:
        encoder: auto, mlp, cnn, grid or grid_conv.
        parts: of the observation.

    Raises:
        ConfigError: it cannot take a part.
    """
    kinds = {part.kind for part in parts}
    main = sorted(kinds - {"vector"}) or ["vector"]
    wrong = next((k for k in main if encoder not in ("auto", *FITTING[k])), None)
    if wrong is not None:
        part = next(p for p in parts if p.kind == wrong)
        raise ConfigError(
            f"agent.encoder is {encoder}, but the observation is of kind {wrong}"
            f" ({' x '.join(map(str, part.shape))})"
            f" (encoders that take it: auto, {', '.join(FITTING[wrong])})"
        )


def check_codes(parts: tuple[ObsPart, ...]) -> None:
    """Refuses what a world model has no code for.

    Raises:
        ConfigError: neither one vector nor one image of 64 x 64.
    """
    ok = len(parts) == 1 and (parts[0].kind == "vector" or parts[0].shape[:2] == (64, 64))
    if not ok:
        found = ", ".join(f"{p.kind} of {' x '.join(map(str, p.shape))}" for p in parts)
        raise ConfigError(
            f"agent world_models cannot encode observations made of {found} (allowed: one vector,"
            " or one image of 64 x 64)"
        )
