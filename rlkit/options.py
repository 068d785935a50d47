"""Options: how a component declares what it accepts, and how given values are checked.

An agent or environment declares its options in a frozen dataclass without defaults (YAML holds
the values); a memory declares them by the signature of its constructor. `declared` reads either
from the *source text*, so that a wrong configuration is answered before torch is imported.
"""

import ast
import dataclasses
import difflib
import importlib.util
import inspect
import math
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

REQUIRED: Any = object()
"""Stands for "no default"."""

NAMESPACE: dict[str, Any] = {"Literal": Literal, "Any": Any, "Mapping": Mapping}


class ConfigError(ValueError):
    """What was asked for cannot be built; the message is one sentence for the user."""


@dataclass(frozen=True)
class Option:
    """One declared option: its type, a line of documentation, its unit and its legal range."""

    name: str
    type: Any
    doc: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    above: float | None = None
    search: tuple[float, float] | tuple[Any, ...] | None = None
    default: Any = REQUIRED


def option(
    doc: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    search: tuple[Any, ...] | None = None,
) -> Any:
    """A dataclass field that documents itself.

    Args:
        doc: one line for the reader of `--help`.
        unit: physical or counting unit ("s", "1/s", "steps"); empty if dimensionless.
        low: smallest legal value.
        high: largest legal value.
        above: exclusive lower bound.
        search: range (low, high) or choices worth searching.
    """
    return dataclasses.field(
        metadata={
            "doc": doc,
            "unit": unit,
            "low": low,
            "high": high,
            "above": above,
            "search": search,
        }
    )


def nearest(given: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the closest allowed name, or an empty string."""
    close = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def declared(target: str) -> dict[str, Option]:
    """The options of `"module:Class"`, read without importing the module.

    Args:
        target: a dataclass of `option` fields, or any class whose constructor declares them.
    """
    node = _class_node(target)
    if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
        return _dataclass_options(node)
    return _signature_options(node)


def class_attribute(target: str, name: str) -> Any:
    """A literal class attribute of `"module:Class"`, read without importing the module."""
    for node in _class_node(target).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AttributeError(f"{target} sets no literal '{name}'")


def _class_node(target: str) -> ast.ClassDef:
    module, _, name = target.partition(":")
    path = _source(module)
    if path is None:
        raise ConfigError(f"cannot find the module of '{target}'")
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise ConfigError(f"{path.name} declares no class '{name}'")


def _source(module: str) -> Path | None:
    loaded = sys.modules.get(module)
    if loaded is not None and loaded.__spec__ is None:  # the running script
        file = getattr(loaded, "__file__", None)
    else:
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            spec = None
        file = spec.origin if spec is not None else None
    return Path(file) if file is not None else None


def _dataclass_options(node: ast.ClassDef) -> dict[str, Option]:
    scope = {**NAMESPACE, "dataclass": dataclass, "option": option, "__name__": __name__}
    alone = ast.fix_missing_locations(ast.Module([node], type_ignores=[]))
    exec(compile(alone, f"<options of {node.name}>", "exec"), scope)  # our own source, one class
    return {
        f.name: Option(f.name, f.type, **f.metadata) for f in dataclasses.fields(scope[node.name])
    }


def _signature_options(node: ast.ClassDef) -> dict[str, Option]:
    init = next(
        (n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None
    )
    if init is None:
        return {}
    positional = init.args.args[1:]
    first_default = len(positional) - len(init.args.defaults)
    pairs = [
        (arg, init.args.defaults[i - first_default] if i >= first_default else None)
        for i, arg in enumerate(positional)
    ]
    pairs += list(zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True))
    options = {}
    for arg, default in pairs:
        kind: Any = Any
        if arg.annotation is not None:
            try:
                kind = eval(ast.unparse(arg.annotation), dict(NAMESPACE))  # our own source
            except NameError:  # a type that needs an import (a Module, a Tensor): not from YAML
                kind = Any
        value = REQUIRED if default is None else ast.literal_eval(default)
        options[arg.arg] = Option(arg.arg, kind, default=value)
    return options


def signature_of(cls: type) -> dict[str, Option]:
    """The options of a class that is loaded already, whose source may not be a file."""
    empty = inspect.Parameter.empty
    return {
        name: Option(
            name,
            Any if p.annotation is empty or isinstance(p.annotation, str) else p.annotation,
            default=REQUIRED if p.default is empty else p.default,
        )
        for name, p in inspect.signature(cls).parameters.items()
    }


def check(values: Mapping[str, Any], options: Mapping[str, Option], where: str, file: str) -> None:
    """Compares given values with the declaration.

    Args:
        values: what was composed.
        options: what is declared.
        where: prefix of the keys as the user writes them, e.g. `"agent"`.
        file: the YAML that holds the defaults, for the message.

    Raises:
        ConfigError: unknown or missing key, wrong type, value out of range.
    """
    prefix = f"{where}." if where else ""
    for name in values:
        if name not in options:
            raise ConfigError(
                f"unknown key {prefix}{name}{nearest(name, options)}"
                f" (allowed: {', '.join(prefix + o for o in options)}; file {file})"
            )
    for name, declaration in options.items():
        if name not in values:
            if declaration.default is REQUIRED:
                raise ConfigError(f"{prefix}{name} is missing from {file}")
            continue
        _check_value(values[name], declaration, f"{prefix}{name}")


def _check_value(value: Any, o: Option, key: str) -> None:
    if not _fits(value, o.type):
        raise ConfigError(f"{key} is {value!r}, but must be {describe(o)}")
    for number in value if isinstance(value, list | tuple) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        below = o.low is not None and not number >= o.low
        at_or_below = o.above is not None and not number > o.above
        beyond = o.high is not None and not number <= o.high
        if below or at_or_below or beyond:
            raise ConfigError(f"{key} is {value!r}, but must be {describe(o)}")


def _fits(value: Any, kind: Any) -> bool:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if kind is None or kind is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, a) for a in args)
    if origin is Literal:
        return any(value == a and type(value) is type(a) for a in args)
    if origin in (tuple, list):
        inner = args[0] if args else Any
        return isinstance(value, list | tuple) and all(_fits(v, inner) for v in value)
    if origin is not None or kind is Mapping:
        return isinstance(value, Mapping)
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return inspect.isclass(kind) and isinstance(value, kind)


def describe(o: Option) -> str:
    """The legal values of an option in words, e.g. `a number in (0, 1]`."""
    text = _type_words(o.type)
    low = f"({o.above:g}" if o.above is not None else f"[{o.low:g}" if o.low is not None else None
    if low and o.high is not None:
        text += f" in {low}, {o.high:g}]"
    elif o.above is not None:
        text += f" above {o.above:g}"
    elif o.low is not None:
        text += f" of at least {o.low:g}"
    elif o.high is not None:
        text += f" of at most {o.high:g}"
    return f"{text} ({o.unit})" if o.unit else text


def _type_words(kind: Any) -> str:
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}
    words |= {type(None): "null", Any: "anything"}
    if kind in words:
        return words[kind]
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(str(a) for a in args)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_words(a) for a in args)
    if origin in (tuple, list):
        return "a list of " + _type_words(args[0]).removeprefix("a ") + "s"
    return "a mapping"
