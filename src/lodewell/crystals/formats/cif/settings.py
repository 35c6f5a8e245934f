"""The settings of the space groups, and the many ways to write their names.

The names of International Tables A come from gemmi's table (564 settings) and spglib's (530, with full symbols). A name
may stand for several settings: two origins, hexagonal and rhombohedral axes, three unique axes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gemmi

from lodewell.crystals.formats.cif.operations import Floats, from_hall

CHOICES = {"S": "1", "Z": "2"}  # diffraction programs call the first origin S, the second Z
STANDARD = ("", "b", "b1", "c", "c1", "a", "a1")  # axes, one for each direction that can be the unique one
MARKUP = re.compile(r"</?su[bp]>|[\s_~^\\{}'\"()\[\]]|-(?=\s)")
CODE = re.compile(r"(?P<choice>[12HRSZhrsz])?(?P<axes>-?[abc][123]?|-?[abc]-?[abc]-?[abc])?")
WORDS = re.compile(
    r"""[\[(:,;]?\s*(?:
    (?:no\.?|nr\.?|number|\#)\s*\d+ | (?<=\()(?:[3-9]|\d\d+)(?=\)$)  # the number of the group
    | origin\s*(?:choice|at)?\s*[:\#]?\s*(?P<origin>[12])
    | (?P<system>hex|rhomb)[a-z]*\.?(?:\s*(?:axes|setting|cell))?
    | unique\s*axis\s*(?P<unique>[abc])(?:[,;]?\s*cell\s*choice\s*(?P<cell>[123]))?
    )\s*[)\]]?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Setting:
    """One setting of a space group.

    Attributes:
        number: of the group in International Tables A.
        name: its Hermann-Mauguin symbol.
        hall: its Hall symbol.
        choice: origin "1" or "2", axes "H" or "R", or empty.
        axes: unique axis and cell choice ("b1"), or order of the axes ("cab"); empty for the only or standard one.
    """

    number: int
    name: str
    hall: str
    choice: str
    axes: str

    def __str__(self) -> str:
        return self.name + (f":{self.choice}" if self.choice else "")

    def fits(self, cell: Floats) -> bool:
        """Tell whether its operations leave the metric of a cell as it is."""
        return from_hall(self.hall).fit(cell)

    def agrees(self, code: str) -> bool:
        """Tell whether a code of setting (`2`, `R`, `b1`, `cab`, `2cab`) means this one or says nothing of it."""
        match = CODE.fullmatch(code)
        if match is None:
            return True
        choice, axes = (match["choice"] or "").upper(), match["axes"] or ""
        same_axes = axes in (self.axes or "abc", self.axes + "1", self.axes[:1]) if axes else True
        if self.choice not in (
            "1",
            "2",
        ):  # the cell tells rhombohedral from hexagonal axes, whatever the file calls them
            return same_axes
        return same_axes and (not choice or CHOICES.get(choice, choice) == self.choice)


@lru_cache(maxsize=1)
def all_settings() -> tuple[Setting, ...]:
    """Return every setting that has a name of its own."""
    return tuple(
        Setting(group.number, group.hm, group.hall, group.ext.strip("\0"), _axes(group.hall, group.qualifier))
        for group in gemmi.spacegroup_table()
    )


def _axes(hall: str, otherwise: str) -> str:
    """Return unique axis or order of axes as spglib has it: gemmi calls `A b a m` a standard setting."""
    axes = {kind.choice.lstrip("12HR") for kind in _kinds().get(hall, ())}
    return axes.pop() if len(axes) == 1 else otherwise  # C c c a and C c c b, origin 1, share a Hall symbol


@lru_cache(maxsize=1024)
def named(text: str) -> tuple[Setting, ...]:
    """Return the settings that a Hermann-Mauguin symbol, short or full, old or new, may stand for; none if unknown.

    Understood behind the symbol are `:1 :2 :H :R :b1 ...`, `S Z H R`, and words: (origin choice 2), (hexagonal axes),
    (unique axis b, cell choice 1).
    """
    words = list(WORDS.finditer(text))
    codes = [_code(word) for word in words]
    symbol = WORDS.sub("", text).strip(" ;")
    for bare, code in _splits(symbol):
        settings = _index().get(_key(bare), ())
        if not settings or (code and code.upper() in "12HRSZ" and not any(s.choice for s in settings)):
            continue
        return _left_open(settings, [*codes, code])
    return ()


def _code(word: re.Match[str]) -> str:
    """Return the code of setting that words stand for."""
    system = (word["system"] or "")[:1].upper()
    return (word["origin"] or "") + system + (word["unique"] or "").lower() + (word["cell"] or "")


def numbered(number: int, code: str = "") -> tuple[Setting, ...]:
    """Return the settings of a group that a code leaves open; standard ones unless the code asks for other axes."""
    settings = tuple(s for s in all_settings() if s.number == number and s.hall in _kinds())
    agreed = tuple(s for s in settings if s.agrees(code))
    match = CODE.fullmatch(code)
    if match is not None and match["axes"]:
        return agreed
    return tuple(s for s in agreed if s.axes in STANDARD)


def of_schoenflies(text: str) -> int:
    """Return the number of the group that a Schoenflies symbol (`D2h.16`, `D_2h^16`) names, 0 if there is none."""
    plain = re.sub(r"[\s_^.{}]", "", text).lower()
    kinds = (kind for some in _kinds().values() for kind in some)
    return next((kind.number for kind in kinds if plain and kind.schoenflies.replace("^", "").lower() == plain), 0)


def _left_open(settings: tuple[Setting, ...], codes: Sequence[str]) -> tuple[Setting, ...]:
    """Return the settings that codes agree with; where there is none, the symbol names the group, the code counts."""
    agreed = tuple(s for s in settings if all(s.agrees(code) for code in codes))
    if agreed or not any(s.axes in STANDARD for s in settings):
        return agreed or settings
    return tuple(s for code in codes if code for s in numbered(settings[0].number, code)) or settings


def _splits(symbol: str) -> Iterator[tuple[str, str]]:
    """Yield a symbol whole, and cut into name and code of setting wherever it might be meant so."""
    yield symbol, ""
    for at in range(len(symbol) - 1, 0, -1):
        code = symbol[at:].strip().strip(":()[] ")
        if code and CODE.fullmatch(code):
            yield symbol[:at], code
            if symbol[at - 1] in "oO" and code in ("1", "2"):  # F d -3 m O2
                yield symbol[: at - 1], code


def _key(text: str) -> str:
    """Return a symbol without everything that people spell in different ways."""
    return MARKUP.sub("", text.replace("−", "-").replace("\u0305", "")).lower()


@lru_cache(maxsize=1)
def _index() -> dict[str, tuple[Setting, ...]]:
    """Return the settings by every spelling of their names."""
    index: dict[str, dict[Setting, None]] = {}
    for setting in all_settings():
        for name in _spellings(setting):
            index.setdefault(_key(name), {})[setting] = None
    return {key: tuple(settings) for key, settings in index.items()}


@lru_cache(maxsize=1)
def _kinds() -> dict[str, list[Any]]:
    """Return what spglib knows of settings, by Hall symbol."""
    import spglib

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # some versions warn at every call
        kinds: list[Any] = [spglib.get_spacegroup_type(number) for number in range(1, 531)]
    found: dict[str, list[Any]] = {}
    for kind in kinds:
        found.setdefault(kind.hall_symbol, []).append(kind)
    return found


def _spellings(setting: Setting) -> Iterator[str]:
    """Yield the names of one setting: short, full, with the `e` of the fifth edition, without bars in cubic groups."""
    lattice, *letters = setting.name.split()
    kinds = _kinds().get(setting.hall, [])
    for symbol in [setting.name, *(kind.international_full for kind in kinds)]:
        parts = symbol.split()[1:]
        for some in (parts, _with_e(lattice, parts, setting.number), _without_e(parts, letters)):
            yield " ".join([lattice, *some])
            if setting.number >= 195:
                yield " ".join([lattice, *some]).replace("-3", "3")
    if 3 <= setting.number <= 15 and kinds:
        yield " ".join([lattice, *[letter for letter in letters if letter != "1"]])
    if setting.choice == "H":
        yield " ".join(["H", *letters])


def _with_e(lattice: str, parts: Sequence[str], number: int) -> list[str]:
    """Write `e` for a glide plane that glides along two axes."""
    out = list(parts)
    if number in (39, 41, 64, 67, 68) and lattice in "ABC":
        place = "ABC".index(lattice)
        out[place] = out[place][:-1] + "e"
    return out


def _without_e(parts: Sequence[str], letters: Sequence[str]) -> list[str]:
    """Write the glide plane of old for `e`, in full symbols."""
    return [p[:-1] + q[-1] if p.endswith("e") else p for p, q in zip(parts, letters, strict=False)] or list(parts)
