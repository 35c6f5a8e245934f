"""Elements as files spell them, and whether one of them fills a site.

Deuterium and tritium are hydrogen; charges, isotopes' masses and names of pseudopotentials say nothing of the element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ase.data import atomic_numbers

from lodewell.errors import BadCrystal

FULLY = 1e-3  # occupancies are published with about three decimals
ISOTOPES = {"D": "H", "T": "H"}
HEAVIEST_IN_CRYSTALS = 103  # what is heavier lives for hours at most: "OG1" and "CN2" are labels of oxygen and carbon
VACANCIES = frozenset({"vacancy", "vac", "va"})
TYPE = re.compile(
    r"\d{0,3}(?P<letters>[A-Za-z]{1,2})"  # the mass of an isotope, the symbol
    r"(?P<rest>\d*\.?\d*[+-]*\d*\.?\d*[+-]*)"  # a running number, a charge: Fe3+, Fe+3, Fe2.67+, O2-, O--, Fe1
    r"(?:[_/:;,.*'()\[\s@#|=].*)?",  # a pseudopotential, a spin, a note: Fe_pv, Fe:1, Fe/1a2b
    re.DOTALL,
)
LABEL = re.compile(r"(?P<letters>[A-Za-z]+)")
ROMAN = re.compile("[IVX]{2,}")  # oxidation states: Fe(II)
MIXTURE = re.compile(r"[,/&;|]|\+\s*[\w.]|\d*\.\d")


@lru_cache(maxsize=4096)
def element_of(text: str) -> str | None:
    """Return the element that a type of atom names: `Fe`, `FE`, `Fe3+`, `Na+`, `6Li`, `Fe_pv`, `D`, `O2`.

    None where it names no element, several (`H2O`, `Fe,Mn`), or a group (`NH4+`, `Wat`).
    """
    text = text.strip()
    match = TYPE.fullmatch(text)
    if match is None or _several(text):
        return None
    symbol = _symbol(match["letters"])
    if symbol is not None and atomic_numbers[symbol] > HEAVIEST_IN_CRYSTALS and text != symbol:
        return None
    return symbol


def elements_of_label(label: str) -> tuple[str, ...]:
    """Return the elements that the label of an atom may name, the likeliest first.

    `Ho1` can only be holmium, `HO1` is holmium or hydrogen, `OG1` and `Oap` oxygen; `T1`, a tetrahedral site, is none.
    A label longer than its element is only a hint, `Wat` at tungsten: hold it against what else the file says.
    """
    match = LABEL.match(label.strip())
    if match is None:
        return ()
    letters = match["letters"]
    pair = _symbol(letters[:2]) if len(letters) >= 2 else None
    if pair is not None and atomic_numbers[pair] > HEAVIEST_IN_CRYSTALS:
        pair = None
    lone = _symbol(letters[0]) if letters[0].upper() != "T" else None
    if len(letters) == 2 and pair is not None and letters[1].islower():
        return (pair,)
    return tuple(dict.fromkeys(symbol for symbol in (pair, lone) if symbol is not None))


def element_of_site(shares: Sequence[tuple[str, float]], site: str) -> str:
    """Return the one element that fills a site, of `(type, share)`: Fe2+ ½ with Fe3+ ½ is iron.

    Raises:
        BadCrystal: naming `site`, for partial occupancy, for two elements, and for a type that is no element.
    """
    if len(shares) == 1 and abs(shares[0][1] - 1) <= FULLY and (element := element_of(shares[0][0])) is not None:
        return element  # nearly always
    filled = [(text, share) for text, share in shares if not abs(share) <= FULLY]
    atoms = [(text, share) for text, share in filled if text.strip().lower() not in VACANCIES]
    if not atoms:
        raise BadCrystal(f"{site} holds nothing, it is an empty site; remove or replace it")
    for text, _ in atoms:
        if element_of(text) is None:
            raise BadCrystal(f"{site} holds {text!r}, {_fault(text)}")
    elements = {element_of(text) for text, _ in atoms}
    total = sum(share for _, share in atoms)
    if len(elements) == 1 and abs(total - 1) <= FULLY * len(atoms) * (1 + 1e-9):
        return str(elements.pop())
    listed = ", ".join(f"{text} {share:g}" for text, share in filled)
    how = "occupied more than once" if total > 1 + FULLY * len(atoms) else "partially occupied"
    raise BadCrystal(f"{site} is {how} ({listed}); choose an ordered approximant of the crystal")


def _symbol(letters: str) -> str | None:
    symbol = letters.capitalize()
    symbol = ISOTOPES.get(symbol, symbol)
    return symbol if symbol in atomic_numbers and symbol != "X" else None


def _several(text: str) -> bool:
    """Tell whether a type lists elements: `Fe,Mn`, `Al0.5Si0.5`, `0.8Nb + 0.2Zr`, `H2O`; `Fe_B` is tagged."""
    words = [word for word in re.findall(r"[A-Z][A-Za-z]*", re.split("[_:]", text)[0]) if not ROMAN.fullmatch(word)]
    symbols: set[str | None] = set()
    for word in words:
        parts = re.findall("[A-Z][a-z]?", word)
        whole = _symbol(word) is not None or "".join(parts) != word
        symbols |= {_symbol(word)} if whole else {_symbol(part) for part in parts}
    return len(symbols - {None}) > 1 and (None not in symbols or bool(MIXTURE.search(text)))


def _fault(text: str) -> str:
    if not _several(text):
        return "which is no element; replace or remove it"
    if MIXTURE.search(text):
        return "more than one element, so it is partially occupied; choose an ordered approximant of the crystal"
    return "more than one element: give every atom its own site, or, if it is partially occupied, choose an approximant"
