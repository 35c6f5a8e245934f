"""Flags made from the fields of an options dataclass, whose docstring explains each of them once and for all."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer


def explained(options: type) -> dict[str, str]:
    """Return the explanation of each field, from the `Attributes` of the docstring."""
    found: dict[str, str] = {}
    section = (inspect.getdoc(options) or "").partition("Attributes:\n")[2]
    name = ""
    for line in section.splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif line.startswith(" " * 8) and name:
            found[name] += " " + line.strip()
        elif line.strip():
            break
    return found


def takes(options: type, **panel: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Replace the parameter `options` of a command by one flag a field; the command gets the dataclass filled in."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        hints, help_of = get_type_hints(options), explained(options)
        enums: dict[str, type[StrEnum]] = {}
        flags = []
        for field in fields(options):
            kind, default = hints[field.name], field.default
            if get_origin(kind) is Literal:
                kind = enums[field.name] = _choice(field.name, [str(c) for c in get_args(kind)])
                default = kind(str(default))
            text = help_of.get(field.name, "")
            declared = f"--{field.name.replace('_', '-')}"
            if kind is bool:
                declared += f"/--no-{field.name.replace('_', '-')}"
            note = typer.Option(declared, help=text[:1].upper() + text[1:].rstrip("."), **panel)
            flags.append(
                inspect.Parameter(
                    field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, note]
                )
            )
        names = {field.name for field in fields(options)}

        def run(**given: Any) -> Any:
            mine = {name: str(given[name]) if name in enums else given[name] for name in names}
            others = {name: value for name, value in given.items() if name not in names}
            return command(**others, options=options(**mine))

        own_hints = get_type_hints(command, include_extras=True)
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.name == "options":
                parameters += flags
            else:
                own = own_hints[parameter.name]
                parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _choice(name: str, values: list[str]) -> Any:
    """Return an enumeration, which is what typer makes choices of."""
    make: Any = StrEnum
    return make(name, {value: value for value in values})
