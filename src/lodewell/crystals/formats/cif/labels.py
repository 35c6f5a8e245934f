"""Which element stands on a site: by its type, or where the file gives none, by its label and the formula."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ase.data import chemical_symbols

from lodewell.crystals.elements import element_of, elements_of_label
from lodewell.errors import BadCrystal

DUMMIES = re.compile(r"(?:void|dum(?:my)?|du|cent(?:roid)?|cnt|cg|vac(?:ancy)?|ghost)[\d_.'()-]*", re.IGNORECASE)
WATERS = re.compile(r"(?:wat(?:er)?|h2o|hoh|ow|wa)\d*[a-z]?'*", re.IGNORECASE)
SEVERAL = re.compile(r"[A-Za-z]\d*\.?\d*[+-]?\s*[,/&;+|]\s*\d*\.?\d*[A-Z]")  # Fe,Mn
TWO = re.compile(r"([A-Z][a-z])([A-Z][a-z])[\d_.'()-]*")  # AlSi1; MgM1 is magnesium on M1
CURE = "add a column _atom_site_type_symbol"
ORGANIC = frozenset("HBCNOFPS")  # letters that stand before those of places: Ow, CA, HO1
RARE = frozenset({"He", "Ne", "Ar", "Kr", "Tc", "Pm", "Po", "At", "Rn"} | set(chemical_symbols[87:]))
DOUBTFUL = frozenset(
    {"Ho", "Hf", "Hg", "Pa", "Np", "Pu"}
)  # beside HO1 at an oxygen, HG1 in a peptide, PA in a phosphate


@dataclass(frozen=True)
class SiteKinds:
    """A kind of atom for every site, to be taken as `element_of` takes it, and whether any was a guess."""

    kinds: list[str]
    guessed: bool


def is_dummy(kind: str, label: str, flag: str) -> bool:
    """Tell whether a site is marked as no atom: a centroid, a void."""
    name = kind or label
    return flag.lower() == "dum" or (DUMMIES.fullmatch(name) is not None and element_of(name) is None)


def name_elements(types: Sequence[str], labels: Sequence[str], formula: Collection[str]) -> SiteKinds:
    """Tell the kind of atom of every site, from its type where there is one.

    A label is held against the elements of the formula. Where it names none of them, and one element of the formula
    has no site, it is taken for that, which is a guess.

    Raises:
        BadCrystal: naming the label that may be several elements, or none.
    """
    mixed_case = any(len(label) > 1 and label[1].islower() and element_of(label[:2]) for label in labels)
    kinds, guessed = [], False
    for kind, label in zip(types, labels, strict=True):
        if kind or _names_several(label):
            kinds.append(kind or label)
            continue
        options = _of_formula(label, formula) if formula else _without_formula(label, mixed_case)
        guessed |= len(options) > 1
        kinds.append(options[0] if options else "")
    nameless = [label for kind, label in zip(kinds, labels, strict=True) if not kind]
    if nameless:
        missing = sorted(set(formula) - {element_of(kind) for kind in kinds} - {"H"})
        if len(missing) != 1:
            what = f"no element of the formula ({', '.join(formula)})" if formula else "no element for certain"
            raise BadCrystal(f"site {nameless[0]} is of no stated type, and its label names {what}; {CURE}")
        kinds = [kind or missing[0] for kind in kinds]
    return SiteKinds(kinds, guessed or bool(nameless))


def _names_several(label: str) -> bool:
    two = TWO.fullmatch(label)
    return SEVERAL.search(label) is not None or (two is not None and all(map(element_of, two.groups())))


def _of_formula(label: str, formula: Collection[str]) -> tuple[str, ...]:
    """Return the elements of the formula that a label may name, the likeliest first."""
    if WATERS.fullmatch(label) and "O" in formula:
        return ("O",)
    options = elements_of_label(label)
    known = tuple(element for element in options if element in formula)
    if known or len(options) != 1:
        return known
    if re.fullmatch(r"[Ww]\d*[A-Za-z]?", label) and "O" in formula:  # W1, the water of a mineral
        return ("O",)
    plain = re.match(r"[A-Za-z]+", label)
    certain = plain is not None and plain.group().capitalize() == options[0] and options[0] not in RARE
    return options if certain else ()


def _without_formula(label: str, mixed_case: bool) -> tuple[str, ...]:
    """Return the element that a label names by itself; none where that is in doubt."""
    if WATERS.fullmatch(label):
        return ("O",)
    options = elements_of_label(label)
    if len(options) == 2:
        pair, lone = options
        if pair in DOUBTFUL and not mixed_case:
            return ()
        return (lone,) if mixed_case or pair in RARE else (pair,)
    letters = re.match(r"[A-Za-z]*", label)
    longer = options and letters is not None and letters.group()[len(options[0]) :][:1].islower()
    return () if longer and options[0] not in ORGANIC else options
