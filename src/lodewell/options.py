"""Options of a verb: one frozen dataclass, given as an object, as keywords, or both, the same way everywhere.

The dataclass is the one source of names, defaults, checks and documentation: `options_of` puts its fields into the
signature and the docstring of a verb, `lodewell.cli.fields` makes flags of them, `lodewell.config` keys of YAML files.
"""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ParamSpec, TypeVar, get_type_hints

from lodewell.config import convert
from lodewell.errors import BadOption, UnknownOption, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Unsaid:
    """Stands in a field for its default until it is known that nothing else, such as a preset, fills it.

    So what a user said is told from the default even where the two are equal.
    """

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


def unsaid(value: Any) -> Any:
    """Return the default of a field that other options may fill; the class says when, in a method of its own."""
    return Unsaid(value)


_WIDTH = 100  # of docstrings that are put together


def options_of(kind: type) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Let a verb with the parameter `options` take the fields of an options dataclass as keywords too.

    The verb is called with the dataclass filled in. Keywords go before what an object says.
    """

    def decorate(verb: Callable[..., R]) -> Callable[..., R]:
        own = inspect.signature(verb)
        others = _flags(own)
        place = _place(own)

        @functools.wraps(verb)
        def run(*args: Any, **given: Any) -> R:
            keywords = {name: given.pop(name) for name in list(given) if name not in own.parameters}
            before, options, behind = args[:place], args[place : place + 1], args[place + 1 :]
            if options:
                return verb(*before, filled_in(kind, options[0], keywords, others), *behind, **given)
            given["options"] = filled_in(kind, given.get("options"), keywords, others)
            return verb(*args, **given)

        run.__signature__ = _signature(own, kind)  # type: ignore[attr-defined]
        run.__doc__ = _documented(verb.__doc__ or "", kind)
        return run

    return decorate


def keywords_checked(verb: Callable[P, R]) -> Callable[P, R]:
    """Let a verb without an options dataclass refuse a misspelt keyword as the others do."""
    known = tuple(inspect.signature(verb).parameters)

    @functools.wraps(verb)
    def run(*args: P.args, **given: P.kwargs) -> R:
        for name in given:
            if name not in known:
                raise UnknownOption(f"there is no option '{name}'{did_you_mean(name, known)}")
        return verb(*args, **given)

    return run


def filled_in(kind: type[T], options: Any, keywords: Mapping[str, Any], others: tuple[str, ...] = ()) -> T:
    """Return the options that an object, a mapping and keywords make together; `others` are known besides the fields.

    Raises:
        UnknownOption: for a keyword that is no field, with the nearest that is.
        BadOption: for a value of another type, or options of another verb.
    """
    values = dict(keywords)
    if isinstance(options, Mapping):
        options, values = None, {**options, **keywords}
    if options is not None and not isinstance(options, kind):
        raise BadOption(f"options are a {type(options).__name__}, but a {kind.__name__} is wanted")
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            raise UnknownOption(f"there is no option '{name}'{did_you_mean(name, [*known, *others])}")
    hints = _hints(kind) if values else {}  # type: ignore[arg-type]
    values = {name: convert(hints[name], value, name) for name, value in values.items()}
    return kind(**values) if options is None else replace(options, **values)  # type: ignore[type-var]


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)  # a tenth of a millisecond


def explained(options: type) -> dict[str, str]:
    """Return the explanation of each field, from the `Attributes` of the docstrings of the class and its bases."""
    found: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        section = inspect.cleandoc(owner.__dict__.get("__doc__") or "").partition("Attributes:\n")[2]
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


def _flags(own: inspect.Signature) -> tuple[str, ...]:
    return tuple(name for name in own.parameters if name != "options")


def _place(own: inspect.Signature) -> int:
    """Return where `options` may stand without its name, beyond all arguments if nowhere."""
    named = own.parameters["options"].kind is inspect.Parameter.KEYWORD_ONLY
    return len(own.parameters) if named else list(own.parameters).index("options")


class _Annotation(str):
    """Source of a type, shown as it is written rather than in quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(own: inspect.Signature, kind: type) -> inspect.Signature:
    """Return the signature of a verb with the fields as keywords behind its own parameters."""
    shown = []
    for parameter in own.parameters.values():
        hint = parameter.annotation
        said = _Annotation(f"{hint} | None" if parameter.name == "options" else hint) if isinstance(hint, str) else hint
        default = None if parameter.name == "options" else parameter.default
        shown.append(parameter.replace(annotation=said, default=default))
    for item in fields(kind):
        if item.name not in own.parameters:
            default = item.default if item.default is not MISSING else inspect.Parameter.empty
            if item.default_factory is not MISSING:
                default = item.default_factory()
            hint = _Annotation(item.type) if isinstance(item.type, str) else item.type
            keyword = inspect.Parameter.KEYWORD_ONLY
            shown.append(inspect.Parameter(item.name, keyword, default=default, annotation=hint))
    result = own.return_annotation
    return own.replace(parameters=shown, return_annotation=_Annotation(result) if isinstance(result, str) else result)


def _documented(doc: str, kind: type) -> str:
    """Return a docstring in which the fields follow the argument `options`."""
    lines = doc.splitlines()
    at = next((k for k, line in enumerate(lines) if re.match(r"\s+options: ", line)), None)
    if at is None:
        return doc
    indent = re.match(r"\s*", lines[at])[0]  # type: ignore[index]
    end = at + 1
    while end < len(lines) and lines[end].startswith(indent + "    "):
        end += 1
    told = explained(kind)
    more = [
        line
        for item in fields(kind)
        for line in textwrap.wrap(
            f"{item.name}: {told.get(item.name, '')}".strip(), _WIDTH, initial_indent=indent,
            subsequent_indent=indent + "    ", break_long_words=False, break_on_hyphens=False,
        )
    ]  # fmt: skip
    return "\n".join([*lines[:end], *more, *lines[end:]])
