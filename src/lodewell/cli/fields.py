"""Flags made from the fields of an options dataclass, whose docstring explains each of them once and for all."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from lodewell.config import convert, make_options
from lodewell.options import Unsaid, explained

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="YAML file of options; what a flag says comes first.", show_default=False
    ),
]


def takes(options: type, config: bool = False, **panel: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the parameter `options` of a command by one flag a field; the command gets the dataclass filled in.

    Mappings become NAME=VALUE flags that may be repeated, tuples lists with commas, `X | None` a flag that may be left
    out. With `config` there is also `--config FILE`, a YAML file whose values give way to flags.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints, help_of = get_type_hints(options), explained(options)
        flags = [_flag(field, hints[field.name], help_of.get(field.name, ""), panel) for field in _own_first(options)]
        names = [flag.name for flag in flags]

        def run(**given: Any) -> Any:
            context: typer.Context = given.pop("context")
            file: Path | None = given.pop("config_file", None)
            mine = {
                name: convert(hints[name], _plain(given[name]), f"--{name.replace('_', '-')}")
                for name in names
                if context.get_parameter_source(name).name != "DEFAULT"  # type: ignore[union-attr]
            }
            others = {name: value for name, value in given.items() if name not in names}
            return command(**others, options=make_options(options, file, mine))

        own_hints = get_type_hints(command, include_extras=True)
        parameters = [_parameter("context", typer.Context, inspect.Parameter.empty)]
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == "options":
                parameters += [_parameter("config_file", ConfigFile, None)] * config + flags
            else:
                own = own_hints[parameter.name]
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _own_first(options: type) -> list[Field[Any]]:
    """Return the fields of the class itself, then those of its bases, each in their order."""
    owners = [owner for owner in options.__mro__ if "__dataclass_fields__" in owner.__dict__]
    place = {field.name: k for k, owner in enumerate(owners) for field in fields(owner)}  # the base has the last word
    return sorted(fields(options), key=lambda field: place[field.name])


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flag(field: Field[Any], hint: Any, text: str, panel: dict[str, Any]) -> inspect.Parameter:
    """Make the parameter that typer turns into the flag of a field."""
    default: Any = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    default = default.value if isinstance(default, Unsaid) else default
    flag = f"--{field.name.replace('_', '-')}"
    extra: dict[str, Any] = {}
    inner = [kind for kind in get_args(hint) if kind is not type(None)]
    optional = get_origin(hint) in (Union, types.UnionType)
    kind = inner[0] if optional and len(inner) == 1 else hint
    origin = get_origin(kind)
    if origin is Literal:
        kind = _choice(field.name, [str(c) for c in get_args(kind)])
        default = None if default is None else kind(str(default))
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        kind, extra = list[str], {"metavar": "NAME=VALUE"}
        default = [f"{name}={value}" for name, value in (default or {}).items()]
    elif origin is tuple:
        kind, extra = str, {"metavar": "A,B,..."}
        default = None if default is None else ",".join(map(str, default))
    elif optional and len(inner) > 1:
        kind = str
    elif kind is bool:
        flag += f"/--no-{field.name.replace('_', '-')}"
    note = typer.Option(
        flag, help=text[:1].upper() + text[1:].rstrip("."), show_default=default not in (None, "", []), **extra | panel
    )
    return _parameter(field.name, Annotated[kind | None if optional else kind, note], default)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _choice(name: str, values: list[str]) -> Any:
    """Return an enumeration, which is what typer makes choices of."""
    make: Any = StrEnum
    return make(name, {value: value for value in values})
