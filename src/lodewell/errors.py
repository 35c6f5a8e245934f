"""Everything lodewell refuses, and says so: what is wrong, where, and the cure."""

import difflib
from collections.abc import Iterable


class LodewellError(Exception):
    """A refusal that a user can act on; the command line prints its message without a traceback."""


class BadCrystal(LodewellError, ValueError):
    """One crystal cannot be used (NaN positions, no volume, coincident atoms, partial occupancy ...)."""


class BadFile(LodewellError, ValueError):
    """A file cannot be read or written as what it claims to be."""


class UnsupportedElement(BadCrystal):
    """A potential has no curve or parameters for an element or a pair of elements."""


class BadOption(LodewellError, ValueError):
    """Options contradict each other or are out of range."""


class UnknownOption(BadOption, TypeError):
    """A keyword that no option has; also a TypeError, as Python raises for its own functions."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean '...'?)` for a refusal, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
