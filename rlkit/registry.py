"""Registry: a name in YAML or on the command line → a class, imported only when asked for."""

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, TypeVar

from rlkit.options import ConfigError, Option, declared, nearest, signature_of

T = TypeVar("T")


class Registry:
    """Names of one kind of plug.

    Args:
        kind: what is registered, for messages ("agent", "memory", …).
        entries: name → `"module:Class"`; the module is imported by `load`, not before.
        group: entry-point group under which other installed packages add names.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], group: str | None = None):
        self.kind = kind
        self._targets = dict(entries)
        self._loaded: dict[str, Any] = {}
        if group is not None:
            for point in entry_points(group=group):
                self._claim(point.name)
                self._targets[point.name] = point.value

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds a class defined in the running program."""

        def add(item: T) -> T:
            self._claim(name)
            self._targets[name] = f"{item.__module__}:{item.__name__}"  # type: ignore[attr-defined]
            self._loaded[name] = item
            return item

        return add

    def _claim(self, name: str) -> None:
        if name in self._targets:
            raise ValueError(f"{self.kind} '{name}' is already registered")

    def names(self) -> list[str]:
        return sorted(self._targets)

    def target(self, name: str) -> str:
        """`"module:Class"` of a name.

        Raises:
            ConfigError: the name is unknown; lists the known ones and the nearest.
        """
        if name not in self._targets:
            raise ConfigError(
                f"unknown {self.kind} '{name}'{nearest(str(name), self._targets)}"
                f" (allowed: {', '.join(self.names())})"
            )
        return self._targets[name]

    def options(self, name: str) -> dict[str, Option]:
        """What the constructor of a name declares, without importing its module."""
        target = self.target(name)
        if name in self._loaded:
            return signature_of(self._loaded[name])
        return declared(target)

    def load(self, name: str) -> Any:
        """The class behind a name, imported now if it was not before."""
        target = self.target(name)
        if name not in self._loaded:
            module, _, attribute = target.partition(":")
            self._loaded[name] = getattr(importlib.import_module(module), attribute)
        return self._loaded[name]
