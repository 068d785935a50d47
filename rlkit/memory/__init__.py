"""Recurrent cores: one paper a file, one line here (alphabetical), one YAML of the same name."""

from typing import TYPE_CHECKING, Any

from rlkit.options import check, declared
from rlkit.registry import Registry

if TYPE_CHECKING:
    from rlkit.memory.base import Memory

MEMORIES = Registry("memory", {"none": "rlkit.memory.none:NoMemory"}, group="rlkit.memory")
register = MEMORIES.register


def check_memory(name: str, options: dict[str, Any]) -> None:
    """Checks options against the constructor's signature, without importing torch.

    Raises:
        ConfigError: unknown name, unknown or missing option, wrong type.
    """
    signature = declared(MEMORIES.target(name))
    signature.pop("input_size", None)
    check(options, signature, "memory", f"configs/memory/{name}.yaml")


def make_memory(name: str, input_size: int, **options: Any) -> "Memory":
    """Builds a registered memory.

    Args:
        name: registry name.
        input_size: width of what it is fed.
        options: keyword arguments of its constructor.

    Raises:
        ConfigError: the name is unknown.
    """
    return MEMORIES.load(name)(input_size, **options)
