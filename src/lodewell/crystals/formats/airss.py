"""AIRSS's results, the `.res` dialect of SHELX (AIRSS manual, "The SHELX file format")."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from lodewell.crystals.cells import cell_from_parameters
from lodewell.crystals.elements import element_of, element_of_site, elements_of_label
from lodewell.errors import BadCrystal

CARDS = frozenset(  # SHELX-97 manual, chapter 7; whatever else begins a line is the label of an atom
    """
    ABIN ACTA AFIX ANIS ANSC ANSR BASF BIND BLOC BOND BUMP CELL CGLS CHIV CONF CONN DAMP DANG DEFS DELU DFIX DISP EADP
    END EQIV EXTI EXYZ FEND FLAT FMAP FRAG FREE FVAR GRID HFIX HKLF HTAB ISOR L.S. LATT LAUE LIST MERG MOLE MORE MOVE
    MPLA NCSY NEUT OMIT PART PLAN PRIG REM RESI RIGU RTAB SADI SAME SFAC SHEL SIMU SIZE SPEC STIR SUMP SWAT SYMM TEMP
    TITL TWIN TWST UNIT WGHT WIGL WPDB XNPD ZERR
    """.split()  # noqa: SIM905 a list of words
)
LARGEST_COORDINATE = 15  # SHELX adds 10 to a value that is held; from here on a value is tied to a free variable


def split_results(text: str) -> Iterator[str]:
    """Yield the single results of a file; AIRSS users keep thousands glued together."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("TITL") and any(entry.startswith("TITL") for entry in lines):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    if any(line.strip() for line in lines):
        yield "\n".join(lines)


def from_res(text: str) -> Atoms:
    """Turn one result into atoms.

    The TITL line gives `info` its id, pressure (GPa), volume (Å^3), enthalpy (eV), space group and count. As in ASE
    the enthalpy also stands as the energy, which it is unless the search was made under an outer pressure. Raises
    `BadCrystal` for what is not AIRSS's dialect: symmetry, partial occupancy, missing cell.
    """
    title: list[str] = []
    ended = False
    centrosymmetric = True  # SHELX without LATT means LATT 1
    cell: list[float] = []
    species: list[str] = []
    symbols: list[str] = []
    scaled: list[list[float]] = []
    spins: list[float] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        card = words[0].upper() if words else ""
        if not words or card == "REM":
            continue
        if card == "TITL":
            title = words[1:]
        elif card == "CELL":
            cell = _numbers(words[2:8], number)
        elif card == "SFAC":
            species += _species(words[1:], number)
        elif card in ("LATT", "SYMM"):
            centrosymmetric = _symmetry(words, number)
        elif card == "END":
            ended = True
            break
        elif species and card not in CARDS:
            symbols.append(_symbol(words, species, number))
            scaled.append(_scaled(words, number))
            spins.append(_spin(words, number))
    if len(cell) != 6:
        raise BadCrystal("no CELL line with six numbers; the file is cut short or is not a .res")
    if not ended:
        raise BadCrystal("there is no END line; the file is cut short")
    if centrosymmetric and title[6:7] != [str(len(symbols))]:
        raise BadCrystal(
            "there is no LATT line, which in SHELX means LATT 1, a centre of inversion; write LATT -1 if all atoms of"
            " the cell are listed, else convert it to CIF"
        )
    matrix = cell_from_parameters(cell)
    atoms = Atoms(symbols, positions=np.array(scaled).reshape(-1, 3) @ matrix, cell=matrix, pbc=True)
    if any(spins):
        atoms.set_initial_magnetic_moments(spins)
    _title(atoms, title)
    return atoms


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _symmetry(words: list[str], line: int) -> bool:
    """Accept `LATT -1`, which is P1, and refuse every other symmetry."""
    if words[0].upper() == "SYMM" or words[1:] != ["-1"]:
        raise BadCrystal(f"line {line}: symmetry card {words[0]}; only AIRSS's .res in P1 is read, convert it to CIF")
    return False


def _numbers(words: list[str], line: int) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as err:
        raise BadCrystal(f"line {line}: {' '.join(words)!r} should be numbers; correct the line") from err


def _scaled(words: list[str], line: int) -> list[float]:
    scaled = _numbers(words[2:5], line)
    if max(map(abs, scaled)) >= LARGEST_COORDINATE:
        raise BadCrystal(f"line {line}: a coordinate of {words[0]} is tied to a free variable; convert it to CIF")
    return scaled


def _species(words: list[str], line: int) -> list[str]:
    """Return the elements of an SFAC line: a list, or one with its scattering factors."""
    names = words[:1] if words[1:] and _is_number(words[1]) else words
    elements = [element_of(name) for name in names]
    if None in elements:
        raise BadCrystal(f"line {line}: {names[elements.index(None)]!r} is no element; correct the SFAC line")
    return [str(element) for element in elements]


def _symbol(words: list[str], species: list[str], line: int) -> str:
    """Return the element of an atom: its label's, which AIRSS, ASE and pymatgen follow, else that of its SFAC entry."""
    if len(words) < 5:
        raise BadCrystal(f"line {line}: an atom needs a label, a number and three coordinates; the file is damaged")
    label, index = words[:2]
    entry = species[int(index) - 1] if index.isdecimal() and 1 <= int(index) <= len(species) else None
    named = elements_of_label(label)
    listed = [element for element in named if element in species]
    if entry is None and not listed:
        raise BadCrystal(f"line {line}: {index!r} is no entry of the SFAC line; correct it")
    if entry is not None and not listed and element_of(label) in named:
        raise BadCrystal(f"line {line}: the label {label} and the SFAC entry {index}, {entry}, contradict; correct one")
    symbol = entry if entry is not None and (entry in listed or not listed) else listed[0]
    occupancy = float(words[5]) if len(words) > 5 else 1.0
    if occupancy > 10:  # SHELX adds ten to a value that is not to be refined
        occupancy -= 10
    return element_of_site([(symbol, occupancy)], f"line {line}: {label}")


def _spin(words: list[str], line: int) -> float:
    return _numbers(words[6:7], line)[0] if len(words) == 7 else 0.0


def _title(atoms: Atoms, words: list[str]) -> None:
    """Read `name pressure volume enthalpy spin |spin| atoms (group) n - count`, as far as it goes."""
    if not words:
        return
    atoms.info["id"] = words[0]
    for key, word in zip(("pressure_GPa", "volume", "enthalpy"), words[1:4], strict=False):
        try:
            value = float(word)
        except ValueError:
            return
        if math.isfinite(value):
            atoms.info[key] = value
    if len(words) > 7 and words[7].startswith("("):
        atoms.info["spacegroup"] = words[7].strip("()")
    if len(words) > 10 and words[10].isdecimal():
        atoms.info["times_found"] = int(words[10])
    if "enthalpy" in atoms.info:
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.info["enthalpy"])
