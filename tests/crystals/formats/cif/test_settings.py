"""Every setting of every space group, named in every way that files name them: read right, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import gemmi
import numpy as np
import pytest
import spglib
from numpy.typing import NDArray

from lodewell.crystals.formats.cif import read_cif

Floats = NDArray[np.float64]
STANDARD = ("", "1", "2", "H", "R", "b", "b1", "c", "c1", "a", "a1")
pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING")


@cache
def kind(hall: int) -> Any:
    return spglib.get_spacegroup_type(hall)


@cache
def operations(hall: int) -> tuple[Floats, Floats]:
    found = spglib.get_symmetry_from_database(hall)
    return found["rotations"].astype(float), found["translations"]


@cache
def gemmi_name(hall: int) -> str:
    """The symbol as International Tables print it; spglib tells `C c c a` from `C c c b`, which share a Hall symbol."""
    groups = [g for g in gemmi.spacegroup_table() if g.hall == kind(hall).hall_symbol]
    wanted = kind(hall).choice.lstrip("12HR")
    return next((g.hm for g in groups if g.qualifier == wanted), groups[0].hm)


def cell_for(rotations: Floats, seed: int) -> Floats:
    """A cell with the symmetry of the group and no more."""
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(6.0, 9.0, 3)) + rng.uniform(0.6, 1.5, (3, 3))
    metric = np.mean([r.T @ cell @ cell.T @ r for r in rotations], axis=0)
    return np.linalg.cholesky(metric)


@cache
def crystal(hall: int) -> tuple[Floats, Floats, Floats]:
    """Cell, two sites in general positions, and all their copies: the sites, of many, that are furthest apart."""
    rotations, shifts = operations(hall)
    cell = cell_for(rotations, hall) * (len(rotations) / 4) ** (1 / 3)
    rng = np.random.default_rng(hall)
    best: tuple[float, Floats, Floats] = (0.0, np.zeros(0), np.zeros(0))
    for _ in range(40):
        sites = np.round(rng.uniform(0.0, 1.0, (2, 3)), 4)
        copies = np.einsum("mij,sj->smi", rotations, sites) + shifts
        steps = copies.reshape(-1, 3)[:, None] - sites
        steps = (steps - np.round(steps)) @ cell
        distance = np.linalg.norm(steps, axis=2)
        shortest = distance[distance > 1e-6].min()
        if shortest > best[0]:
            best = (shortest, sites, copies)
    return cell, best[1], best[2]


def cif(hall: int, *header: str) -> str:
    cell, sites, _ = crystal(hall)
    lengths = np.linalg.norm(cell, axis=1)
    angles = [np.degrees(np.arccos(cell[i] @ cell[j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    lines = ["data_x", *(f"_cell_length_{x} {v:.6f}" for x, v in zip("abc", lengths, strict=True))]
    lines += [f"_cell_angle_{x} {v:.6f}" for x, v in zip(("alpha", "beta", "gamma"), angles, strict=True)]
    lines += [*header, "loop_", "_atom_site_label", *(f"_atom_site_fract_{x}" for x in "xyz")]
    lines += [f"{name} {x:.4f} {y:.4f} {z:.4f}" for name, (x, y, z) in zip(("Si1", "O1"), sites, strict=True)]
    return "\n".join(lines) + "\n"


def is_right(hall: int, text: str) -> bool | None:
    """Whether the text is read as the crystal it was made of; None where it is refused by name."""
    (found,) = read_cif(text)
    if isinstance(found, str):
        assert "named without the setting" in found, found
        return None
    copies = crystal(hall)[2]
    if len(found) != 2 * copies.shape[1]:
        return False
    for element, wanted in zip((14, 8), copies, strict=True):
        got = found.get_scaled_positions()[found.numbers == element]
        steps = got[:, None] - wanted
        near = np.abs(steps - np.round(steps)).max(axis=2) < 1e-4
        if not (near.any(axis=0).all() and near.any(axis=1).all()):
            return False
    return True


def quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def headers(hall: int) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """Yield style, header, and whether the header leaves no doubt about the setting."""
    of = kind(hall)
    name, number, choice = gemmi_name(hall), of.number, of.choice
    full, short, bare = of.international_full.replace("_", ""), of.international_short, name.replace(" ", "")
    origin = choice[:1] if choice[:1] in ("1", "2") else ""
    one = not origin  # setting of this name
    yield "hall", (f"_space_group_name_Hall {quoted(of.hall_symbol)}",), True
    old = (f"_symmetry_space_group_name_Hall {quoted(of.hall_symbol)}", f"_symmetry_space_group_name_H-M '{name}'")
    yield "old hall, name", old, True
    yield "name", (f"_symmetry_space_group_name_H-M '{name}'",), one
    yield "name, number", (f"_space_group_name_H-M_alt '{name}'", f"_space_group_IT_number {number}"), one
    yield "mmCIF", (f"_symmetry.space_group_name_H-M '{name}'", f"_symmetry.Int_Tables_number {number}"), one
    yield "DDLm", (f"_space_group.name_H-M_alt '{name}'",), one
    yield "no blanks", (f"_symmetry_space_group_name_H-M '{bare}'",), one
    yield "full", (f"_space_group_name_H-M_full '{full}'",), one and number not in (67, 68)
    coded = (f"_space_group_IT_number {number}", f"_space_group_IT_coordinate_system_code {choice}")
    if choice:
        yield "number, code", coded, True
        yield "short, code", (f"_symmetry_space_group_name_H-M '{short}'", *coded), number != 68
        yield "short : code", (f"_symmetry_space_group_name_H-M '{short}:{choice}'",), number != 68
    suffix = origin or (choice if choice in ("H", "R") else "")
    if suffix:
        letter = {"1": "S", "2": "Z"}.get(suffix, suffix)
        words = f"origin choice {origin}" if origin else {"H": "hexagonal axes", "R": "rhombohedral axes"}[suffix]
        reference = quoted(f"{number:03d}:{of.hall_symbol}")
        findsym = (f"_symmetry_space_group_name_H-M '{full} ({words})'", f"_symmetry_Int_Tables_number {number}")
        yield "suffix", (f"_symmetry_space_group_name_H-M '{name} :{suffix}'",), True
        yield "letter", (f"_symmetry_space_group_name_H-M '{name} {letter}'",), True
        yield "letter, no blanks", (f"_symmetry_space_group_name_H-M '{bare}{letter}'",), True
        yield "FINDSYM", (*findsym, f"_space_group.reference_setting {reference}"), True
    if choice in STANDARD:
        yield "number", (f"_symmetry_Int_Tables_number {number}",), one


@pytest.mark.parametrize("first", range(1, 531, 53))
def test_every_setting_in_every_style_is_read_right_or_refused(first: int) -> None:
    wrong, doubted = [], []
    for hall in range(first, first + 53):
        for style, header, certain in headers(hall):
            right = is_right(hall, cif(hall, *header))
            if right is False:
                wrong.append((hall, style, header))
            if right is None and certain:
                doubted.append((hall, style, header))
    assert not wrong
    assert not doubted
