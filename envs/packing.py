"""Packing: what any gymnasium space observes, as one array.

    Box            uint8 with three axes: an image (H, W, C); with two: an image (H, W, 1);
                   everything else: a vector, raveled
    Discrete       one-hot
    MultiDiscrete  one-hots laid end to end
    MultiBinary    zeros and ones
    Dict, Tuple    their parts, nested ones too, raveled and laid end to end

Parts stand in the order of the space (gymnasium sorts the keys of a plain dictionary). A part is
called by its key, in a tuple by its place, inside another by both: `outer.inner`. Images are
uint8, and so is a pack of nothing but images; vectors and all other packs are float32. A part
that is alone keeps its shape.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple

from envs.physics import Array
from rlkit.observations import ObsPart
from rlkit.options import ConfigError, nearest

LARGEST_ONE_HOT = 2**16
"""Entries of a one-hot code, beyond which a space is refused."""

Write = Callable[[Any, Array], None]


class Packer(NamedTuple):
    """How a space becomes one array."""

    space: Box
    """Of the packed array."""
    parts: tuple[ObsPart, ...]
    """What it is made of, in order."""
    pack: Callable[[Any], Array]
    """An observation of the original space → a new array in `space`."""


class _Node(NamedTuple):
    """A space inside the space: what it is called, how to get there, in which parts it lies."""

    space: Space
    name: str = ""
    path: tuple[Any, ...] = ()
    within: frozenset[str] = frozenset()


class _Leaf(NamedTuple):
    """One part: where it is found, its bounds, and how it is written into zeros."""

    part: ObsPart
    path: tuple[Any, ...]
    low: Array
    high: Array
    write: Write


def packer(space: Space, drop_keys: Sequence[str] = ()) -> Packer:
    """The packer of a space.

    Args:
        space: what an environment observes.
        drop_keys: names of parts to leave out; a dictionary goes with all that is in it.

    Raises:
        ConfigError: a part has no numbers, a name is unknown, or nothing would be left.
    """
    nodes = list(_nodes(_Node(space)))
    names = [node.name for node in nodes if node.path]
    for key in drop_keys:
        if key not in names:
            known = ", ".join(names) or "none: it is no dictionary"
            raise ConfigError(
                f"env.drop_keys names '{key}', which is no part of the observation"
                f"{nearest(key, names)} (parts: {known})"
            )
    leaves = [
        _leaf(node)
        for node in nodes
        if not isinstance(node.space, Dict | Tuple) and node.within.isdisjoint(drop_keys)
    ]
    if not leaves:
        raise ConfigError("env.drop_keys leaves nothing to observe")
    packed = _space_of(leaves)
    size, shape, dtype = math.prod(packed.shape), packed.shape, packed.dtype
    ends = np.cumsum([leaf.part.size for leaf in leaves]).tolist()
    jobs = [
        (leaf.path, leaf.write, slice(end - leaf.part.size, end))
        for leaf, end in zip(leaves, ends, strict=True)
    ]

    def pack(obs: Any) -> Array:
        out = np.zeros(size, dtype)
        for path, write, where in jobs:
            value = obs
            for key in path:
                value = value[key]
            write(value, out[where])
        return out.reshape(shape)

    return Packer(packed, tuple(leaf.part for leaf in leaves), pack)


def _space_of(leaves: Sequence[_Leaf]) -> Box:
    if len(leaves) == 1:
        return _box(leaves[0].low, leaves[0].high)
    dtype = np.uint8 if all(leaf.low.dtype == np.uint8 for leaf in leaves) else np.float32
    low, high = (
        np.concatenate([bound.ravel() for bound in bounds]).astype(dtype)
        for bounds in zip(*((leaf.low, leaf.high) for leaf in leaves), strict=True)
    )
    return _box(low, high)


def _box(low: Array, high: Array) -> Box:
    return Box(low, high, dtype=low.dtype.type)


def _nodes(node: _Node) -> Iterator[_Node]:
    """The node and everything inside, containers before their parts."""
    yield node
    space = node.space
    if not isinstance(space, Dict | Tuple):
        return
    inner = space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces)
    for key, part in inner:
        name = f"{node.name}.{key}" if node.path else str(key)
        yield from _nodes(_Node(part, name, (*node.path, key), node.within | {name}))


def _leaf(node: _Node) -> _Leaf:
    space, name = node.space, node.name
    kind: Literal["vector", "image"] = "vector"
    write: Write = _write_numbers
    if isinstance(space, Box):
        kind, low, high = _box_bounds(space)
    elif isinstance(space, MultiBinary):
        low, high = _unit(math.prod(space.shape))
    elif isinstance(space, Discrete | MultiDiscrete):
        choices, first = _choices(space, name)
        low, high = _unit(int(choices.sum()))
        write = _one_hot_writer(choices, first)
    else:
        raise ConfigError(_refusal(space, name))
    return _Leaf(ObsPart(name or "obs", kind, low.shape), node.path, low, high, write)


def _refusal(space: Space, name: str) -> str:
    what = type(space).__name__
    if name:
        return (
            f"observation part '{name}' is {what}, which cannot be turned into numbers: leave it"
            f" out with env.drop_keys=[{name}]"
        )
    return (
        f"observations in {what} are not supported (allowed: Box, Discrete, MultiDiscrete,"
        " MultiBinary, and Dict or Tuple of these)"
    )


def _box_bounds(space: Box) -> tuple[Literal["vector", "image"], Array, Array]:
    low, high = space.low, space.high
    if space.dtype == np.uint8 and low.ndim in (2, 3):
        shape = low.shape if low.ndim == 3 else (*low.shape, 1)
        return "image", low.reshape(shape), high.reshape(shape)
    with np.errstate(over="ignore"):  # a bound beyond float32 is none
        return "vector", low.ravel().astype(np.float32), high.ravel().astype(np.float32)


def _unit(size: int) -> tuple[Array, Array]:
    return np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)


def _choices(space: Discrete | MultiDiscrete, name: str) -> tuple[Array, Array]:
    """How many values each number may take, and the first of them."""
    choices = np.atleast_1d(space.n if isinstance(space, Discrete) else space.nvec).ravel()
    if (total := int(choices.sum())) > LARGEST_ONE_HOT:
        where = f"observation part '{name}'" if name else "the observation"
        raise ConfigError(
            f"{where} is {type(space).__name__} with {total} values, more than the"
            f" {LARGEST_ONE_HOT} that one-hot codes may have"
        )
    return choices.astype(np.int64), np.atleast_1d(space.start).ravel().astype(np.int64)


def _write_numbers(value: Any, out: Array) -> None:
    out[:] = np.asarray(value).ravel()


def _one_hot_writer(choices: Array, first: Array) -> Write:
    offset = np.cumsum(choices) - choices

    def write(value: Any, out: Array) -> None:
        index = np.asarray(value, dtype=np.int64).ravel() - first
        if ((index < 0) | (index >= choices)).any():  # would set the entry of another value
            raise ValueError(f"an observation of {value} lies outside its space")
        out[offset + index] = 1

    return write
