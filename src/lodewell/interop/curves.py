"""The curve u(r) of any potential that is a sum over pairs, for the tables of other codes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import ANION_CLASSES
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.files import write_failure
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs.pair import PairPotential, pair_name
from lodewell.potentials.pairs.table import CurvePotential
from lodewell.potentials.statistical.statistical import Statistical, as_statistical
from lodewell.potentials.sum import Sum
from lodewell.potentials.uf.uf import UF


def pair_curve(
    potential: Potential, first: int, second: int, r: Floats, variant: str | None = None
) -> tuple[Floats, Floats]:
    """Return u (eV) and du/dr (eV/Å) between two elements at distances r > 0 (Å), energy scale included.

    `variant` is an anion class such as "oxide": its own curve where a statistical table has one, else the one of all.

    Raises:
        BadOption: when the potential is no sum over pairs, or there is no such class.
    """
    r = np.asarray(r, dtype=np.float64)
    if isinstance(potential, Sum):
        u, du = np.zeros_like(r), np.zeros_like(r)
        for factor, term in potential.terms:
            term_u, term_du = pair_curve(term, first, second, r, variant)
            u += factor * term_u
            du += factor * term_du
        return u, du
    if isinstance(potential, CurvePotential):
        curve = curve_index(potential, first, second, variant)
        if curve < 0:
            return np.zeros_like(r), np.zeros_like(r)
        u, du = potential.curves.values(curve, r)
        return potential.energy_scale * u, potential.energy_scale * du
    if isinstance(potential, PairPotential):
        if potential.species is not None and not {first, second} <= potential.species:
            return np.zeros_like(r), np.zeros_like(r)
        u, du = potential.curve(pair_name(first, second), r)
        return np.where(np.isnan(u), 0.0, u), np.where(np.isnan(u), 0.0, du)  # pairs not named do not interact
    if isinstance(potential, UF) and not (potential.triples or potential.embeddings):
        spline = potential.pairs.get((min(first, second), max(first, second)))
        return (np.zeros_like(r), np.zeros_like(r)) if spline is None else (spline(r), spline(r, 1))
    raise BadOption(f"a potential of the kind '{potential.kind}' is no sum over pairs: it has no table to export")


def curve_index(potential: CurvePotential, first: int, second: int, variant: str | None = None) -> int:
    """Return the row of the curve that serves two elements, -1 if they do not interact."""
    row = _variant_row(variant) if isinstance(potential, Statistical) else 0
    a, b = potential._type_z[[first, second]]
    return -1 if min(a, b) < 0 else int(potential._curve_vtt[row, a, b])


def _variant_row(variant: str | None) -> int:
    if variant is None:
        return 0
    if variant not in ANION_CLASSES:
        raise BadOption(f"there is no class '{variant}': choose one of {', '.join(ANION_CLASSES)}")
    return 1 + ANION_CLASSES.index(variant)


def chosen_elements(potential: Potential, elements: str | Sequence[str] | None) -> list[int]:
    """Return the atomic numbers of "Li,P,O" or ["Li", "P", "O"] in the order given; None is all the potential knows.

    Raises:
        BadOption: for something that is no element, or for all of a potential that knows every element.
        UnsupportedElement: for an element or pair without a curve.
    """
    if elements is None:
        if potential.species is None:
            raise BadOption("this potential knows every element: name those wanted, such as --elements Si,O")
        return sorted(potential.species)
    symbols = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements)
    wrong = [s for s in symbols if s not in atomic_numbers or s == "X"]
    if wrong or not symbols:
        raise BadOption(f"'{', '.join(wrong)}' is no element: write symbols with commas, such as Li,P,O")
    numbers = list(dict.fromkeys(atomic_numbers[s] for s in symbols))
    if why := potential.unsupported(np.array(numbers)):
        raise UnsupportedElement(why)
    return numbers


def pairs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return every pair of these elements, each once."""
    return list(combinations_with_replacement(numbers, 2))


def alphabetical(first: int, second: int) -> tuple[str, str]:
    """Return the two symbols in alphabetical order."""
    a, b = sorted((chemical_symbols[first], chemical_symbols[second]))
    return a, b


def grid(potential: Potential) -> Floats:
    """Return the distances at which a potential is tabulated: its own points, or every 0.02 Å; from 0 or 0.02 Å on."""
    table = as_statistical(potential)
    if table is not None and table.cutoff == potential.cutoff:
        return table.r_k
    count = round(potential.cutoff / 0.02)
    return np.linspace(0.0, potential.cutoff, count + 1)[1:]


def folder(out: str | Path) -> Path:
    """Make the folder.

    Raises:
        BadFile: when the system refuses, with the cure.
    """
    path = Path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(path, error) from error
    return path
