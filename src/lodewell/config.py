"""Options from a YAML file: the fields of an options dataclass are its keys, and nothing else is.

What a flag says comes first, then the file, then the default.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from lodewell.errors import BadFile, BadOption, did_you_mean
from lodewell.yaml_file import read_yaml

T = TypeVar("T")


def make_options(options: type[T], config: str | Path | None = None, given: Mapping[str, Any] | None = None) -> T:
    """Make the options from what is given, the YAML file, and the defaults, in this order.

    Raises `BadFile` if the file cannot be read, `BadOption` for a key or a value that does not fit.
    """
    values = read_config(config, options) if config is not None else {}
    return options(**values | dict(given or {}))


def read_config(path: str | Path, options: type) -> dict[str, Any]:
    """Read the values that a YAML file gives to the fields of an options dataclass.

    Raises `BadFile` if it cannot be read or holds no keys and values, `BadOption` for a key that is no field (with the
    nearest that is), a key that comes twice, and a value of another type; each with the line.
    """
    content, tree = read_yaml(path)
    if tree is None:
        return {}
    if not isinstance(content, Mapping):
        raise BadFile(f"{path}: keys and values are wanted, one a line, such as `seed: 1`")
    hints = get_type_hints(options)
    known = [item.name for item in fields(options)]
    values: dict[str, Any] = {}
    for (key, value), (node, _) in zip(_in_order(content, tree), tree.value, strict=True):
        where, name = f"{path}, line {node.start_mark.line + 1}", str(key).replace("-", "_")
        if name not in known:
            raise BadOption(f"{where}: there is no option '{key}'{did_you_mean(name, known)}; {_some(known)}")
        if name in values:
            raise BadOption(f"{where}: '{key}' is given twice; keep one")
        try:
            values[name] = convert(hints[name], value, name)
        except BadOption as err:
            raise BadOption(f"{where}: {err}") from err
    return values


def _in_order(content: Mapping[Any, Any], tree: Any) -> list[tuple[Any, Any]]:
    """Return key and value for each line, twice for a key that comes twice (of which YAML keeps the last)."""
    by_text = {str(key): (key, value) for key, value in content.items()}
    return [by_text.get(node.value, (node.value, None)) for node, _ in tree.value]


def _some(known: list[str]) -> str:
    return f"known are {', '.join(known)}"


def convert(hint: Any, value: Any, name: str) -> Any:  # noqa: PLR0911 one return a type
    """Turn what a person wrote, in YAML or behind a flag, into the type of a field.

    Numbers may be text ("1e-3" is none to YAML), mappings "Si=1,O=2" or a list of such, tuples "1,2,3".
    Raises `BadOption` that names the option, the value and what is wanted.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _one_of_several(inner, value, name)
    if origin is Literal:
        return _choice(inner, value, name)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(inner[1], value, name)
    if origin is tuple:
        return _tuple(inner, value, name)
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise _unfit(name, value, "true or false")
    if hint is int:
        return int(_number(value, name, "a whole number", whole=True))
    if hint is float:
        return _number(value, name, "a number")
    if hint is Path:
        return value if isinstance(value, Path) else Path(convert(str, value, name))
    if hint is str:
        if isinstance(value, str):
            return value
        raise _unfit(name, value, "text (put it in quotes)")
    raise TypeError(f"the option {name} has the type {hint}, which cannot be written in YAML")


def _unfit(name: str, value: Any, wanted: str) -> BadOption:
    return BadOption(f"{name} is {value!r}, but {wanted} is wanted")


def _number(value: Any, name: str, wanted: str, whole: bool = False) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if whole and number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise _unfit(name, value, wanted) from None
    return number


def _one_of_several(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    for kind in rest[:-1]:
        try:
            return convert(kind, value, name)
        except BadOption:
            continue
    return convert(rest[-1], value, name)


def _choice(choices: tuple[Any, ...], value: Any, name: str) -> Any:
    for choice in choices:
        if value == choice and isinstance(value, bool) == isinstance(choice, bool):
            return choice
    words = [str(choice) for choice in choices]
    hint = did_you_mean(str(value), words)
    raise BadOption(f"{name} is {value!r}{hint}, but it must be {', '.join(words[:-1])} or {words[-1]}")


def _mapping(kind: Any, value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): convert(kind, item, f"{name} of {key}") for key, item in value.items()}
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise _unfit(name, value, "NAME=VALUE")
    found: dict[str, Any] = {}
    for text in (part.strip() for item in texts for part in str(item).split(",") if part.strip()):
        key, equals, item = text.rpartition("=")
        if not (equals and key.strip()):
            raise _unfit(name, text, "NAME=VALUE")
        found[key.strip()] = convert(kind, item.strip(), f"{name} of {key.strip()}")
    return found


def _tuple(kinds: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        items = [items]
    if kinds[-1] is Ellipsis:
        return tuple(convert(kinds[0], item, name) for item in items)
    if len(items) != len(kinds):
        raise _unfit(name, value, f"a list of {len(kinds)}")
    return tuple(convert(kind, item, name) for kind, item in zip(kinds, items, strict=True))
