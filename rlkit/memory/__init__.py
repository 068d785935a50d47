"""Recurrent cores: one paper a file, one line here (alphabetical), one YAML of the same name."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlkit.options import ConfigError, Option, check, class_attribute
from rlkit.registry import Registry

if TYPE_CHECKING:
    from rlkit.memory.base import Memory

MEMORIES = Registry(
    "memory",
    {
        "block_diagonal": "rlkit.memory.block_diagonal:BlockDiagonal",
        "elman": "rlkit.memory.elman:Elman",
        "ffm": "rlkit.memory.ffm:FFM",
        "framestack": "rlkit.memory.framestack:FrameStack",
        "gated": "rlkit.memory.gated:Gated",
        "gatel0rd": "rlkit.memory.gatel0rd:GateL0RD",
        "gru": "rlkit.memory.gru:GRU",
        "gtrxl": "rlkit.memory.gtrxl:GTrXL",
        "leaky": "rlkit.memory.leaky:Leaky",
        "linear_attention": "rlkit.memory.linear_attention:LinearAttention",
        "lru": "rlkit.memory.lru:LRU",
        "lstm": "rlkit.memory.lstm:LSTM",
        "mamba": "rlkit.memory.mamba:Mamba",
        "mingru": "rlkit.memory.mingru:MinGRU",
        "minlstm": "rlkit.memory.minlstm:MinLSTM",
        "none": "rlkit.memory.none:NoMemory",
        "rg_lru": "rlkit.memory.rg_lru:RGLRU",
        "rtu": "rlkit.memory.rtu:RTU",
        "s5": "rlkit.memory.s5:S5",
        "vand": "rlkit.memory.vand:VAND",
    },
    group="rlkit.memory",
)
register = MEMORIES.register

GENERIC = {
    "layers": Option("layers", int, "copies, each fed by the one before", low=1, default=1),
    "pre": Option("pre", tuple[int, ...], "widths of tanh layers before it", low=1, default=()),
    "post": Option(
        "post", tuple[int, ...], "widths of layers after it, the last linear", low=1, default=()
    ),
    "timescale": Option(
        "timescale", Mapping | None, "range of time constants, seconds or steps", default=None
    ),
}
"""Options that every memory has; handled here, not by its class."""


def options_of(name: str) -> dict[str, Option]:
    """What a memory accepts from YAML: its constructor's signature and the generic options."""
    signature = MEMORIES.options(name)
    for own in ("input_size", "timescale_steps"):
        signature.pop(own, None)
    generic = {k: v for k, v in GENERIC.items() if name != "none"}
    return signature | generic


def memories_with_traces() -> list[str]:
    """Names of the memories that offer exact real-time gradients, read without importing them."""

    def offers(name: str) -> bool:
        try:
            return bool(class_attribute(MEMORIES.target(name), "has_traces"))
        except AttributeError:
            return False

    return [name for name in MEMORIES.names() if offers(name)]


def check_memory(name: str, options: Mapping[str, Any], dt: float | None = None) -> None:
    """Checks options against the declaration, without importing torch.

    Raises:
        ConfigError: unknown name, unknown or missing option, wrong type, impossible timescale.
    """
    allowed = options_of(name)
    check(options, allowed, "memory", f"configs/memory/{name}.yaml")
    if "timescale_steps" not in MEMORIES.options(name):
        if any(v is not None for v in (options.get("timescale") or {}).values()):
            raise ConfigError(f"memory '{name}' has no time constants to set by memory.timescale")
    else:
        timescale_steps(options.get("timescale"), dt)


def timescale_steps(
    option: Mapping[str, Any] | None, dt: float | None
) -> tuple[float, float] | None:
    """The range of time constants in steps.

    Args:
        option: `{"seconds": (shortest, longest)}` or `{"steps": (shortest, longest)}` or None.
        dt: seconds per step; needed for seconds.

    Raises:
        ConfigError: both or malformed ranges, reversed, shorter than one step, or no dt.
    """
    if dt is not None and not (dt > 0 and math.isfinite(dt)):
        raise ConfigError(f"dt is {dt}, but must be a number above 0 (s)")
    given = {k: v for k, v in (option or {}).items() if v is not None}
    if not given:
        return None
    if len(given) > 1 or not set(given) <= {"seconds", "steps"}:
        raise ConfigError(f"memory.timescale is {given}, but must hold seconds or steps")
    ((unit, bounds),) = given.items()
    pair = isinstance(bounds, list | tuple) and len(bounds) == 2
    if not pair or not all(isinstance(b, int | float) and math.isfinite(b) for b in bounds):
        raise ConfigError(f"memory.timescale.{unit} is {bounds!r}, but must be [shortest, longest]")
    low, high = bounds
    if low > high:
        raise ConfigError(f"memory.timescale.{unit} is [{low}, {high}]: the shortest comes first")
    if unit == "seconds" and dt is None:
        raise ConfigError("memory.timescale.seconds needs dt: give timescale.steps instead")
    step = dt if unit == "seconds" and dt is not None else 1.0
    if low < step:
        raise ConfigError(f"memory.timescale.{unit} starts at {low}, below one step of {step:g}")
    return low / step, high / step


def make_memory(
    name: str,
    input_size: int,
    *,
    layers: int = 1,
    pre: Sequence[int] = (),
    post: Sequence[int] = (),
    timescale: Mapping[str, Any] | None = None,
    dt: float | None = None,
    carries: int | None = None,
    **options: Any,
) -> "Memory":
    """Builds a registered memory.

    Args:
        name: registry name.
        input_size: width of what it is fed.
        layers: copies stacked, each fed by the output of the one before.
        pre: widths of tanh layers before it.
        post: widths of layers after it, the last one linear.
        timescale: `{"seconds": (shortest, longest)}` or `{"steps": …}`; None: the memory's own.
        dt: seconds per step; needed for a timescale in seconds.
        carries: of a memory with a state, interleaved: it ticks every `carries` steps; None: it
            is not wrapped.
        options: keyword arguments of its constructor.

    Raises:
        ConfigError: unknown name or option, impossible timescale.
    """
    from rlkit.memory.around import Around
    from rlkit.memory.interleaved import Interleaved
    from rlkit.memory.stack import Stack

    cls = MEMORIES.load(name)
    allowed = MEMORIES.options(name)
    given = {"layers": layers, "pre": pre, "post": post, "timescale": timescale}
    if name == "none":
        given = {k: v for k, v in given.items() if v not in (1, (), [], None)}
    own = {k: v for k, v in options.items() if k != "timescale_steps"}
    check(given | own, options_of(name), "memory", f"configs/memory/{name}.yaml")
    if input_size < 1:
        raise ConfigError(f"input_size is {input_size}, but must be at least 1")
    steps = timescale_steps(timescale, None if dt is None else dt * (carries or 1))
    if steps is not None:
        if "timescale_steps" not in allowed:
            raise ConfigError(f"memory '{name}' has no time constants to set by timescale")
        options["timescale_steps"] = steps
    cells = [cls(pre[-1] if pre else input_size, **options)]
    for _ in range(layers - 1):
        cells.append(cls(cells[-1].output_size, **options))
    memory = cells[0] if layers == 1 else Stack(cells)
    memory = Around(input_size, memory, pre, post) if pre or post else memory
    return Interleaved(memory, carries) if carries and memory.initial_state(1) else memory
