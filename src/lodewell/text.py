r"""Text from files and paths, which may hold anything, made fit for a screen, a figure and other files.

Python keeps the bytes of a file name that is not UTF-8 as lone surrogates (`caf\udce9`), and the file can be opened by
that name. No encoding takes them, so where such a name is written it is spelt out, as JSON and Python do.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from typing import Any

SPELT_OUT = "backslashreplace"  # how files in UTF-8 take what is not Unicode, for `open` and `str.encode`

_DECODER = json.JSONDecoder()
_SURROGATES = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN = {
    "…": "...", "–": "-", "—": "-", "−": "-", "±": "+/-", "×": "x", "·": ".", "°": " deg", "→": "->", "≤": "<=",
    "≥": ">=", "≈": "~", "√": "sqrt", "Δ": "d", "α": "alpha", "β": "beta", "γ": "gamma", "θ": "theta", "λ": "lambda",
    "μ": "u", "µ": "u", "π": "pi", "ρ": "rho", "σ": "sigma", "φ": "phi", "χ": "chi", "ω": "omega", "‘": "'", "’": "'",
    "“": '"', "”": '"', "⁻": "-", "₋": "-", "⁺": "+",
}  # fmt: skip


def printable(text: str) -> str:
    """Spell out control characters (a terminal obeys them), changes of direction, and bytes that are not UTF-8."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON that is valid UTF-8 and that every parser reads: lone surrogates escaped, NaN and infinity null."""
    try:
        spelt = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        spelt = json.dumps(finite(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", spelt)


def parsed_json(text: str | bytes) -> Any:
    """Return what a text means as JSON.

    Raises `ValueError` for anything else, also for lists in lists in lists, of which Python's own stack would run out.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("lists or objects within each other, too deep") from error


def parsed_part(text: str, at: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `at`, and where it ends; raises `ValueError` as `parsed_json`."""
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError as error:
        raise ValueError("lists or objects within each other, too deep") from error


def finite(value: Any) -> Any:
    """Return a JSON-like value with None for every number that is not finite: JSON knows no NaN."""
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value


def plain_fallback(error: UnicodeError) -> tuple[str, int]:
    """Stand in for characters that a stream cannot show: `...` for …, `A` for Å; an error handler of `codecs`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if "\u2800" <= character <= "\u28ff":  # the dots of a spinner
        return "."
    if "\u2500" <= character <= "\u259f":  # the lines and blocks of a bar
        return "-"
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return decomposed or character.encode("ascii", SPELT_OUT).decode()


codecs.register_error("lodewell.plain", plain_fallback)
