"""Crystals that cannot be worked with, and why."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lodewell.compiled import inner, kernel
from lodewell.crystals.elements import element_of_site
from lodewell.crystals.neighbours.images import invert
from lodewell.errors import BadCrystal

COINCIDENT = 0.1  # Å; the shortest bond there is, H-H, has 0.74
FLAT = 1e-6  # volume over the product of the edges: an angle of 0.2 arc seconds
MANY = 400  # atoms from which a search tree beats all pairs

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def validate(atoms: Atoms) -> str | None:
    """Return the reason why a crystal cannot be used, or None when it can.

    Refused are: no atoms; positions or cell not finite; no volume along periodic directions; unknown species; partial
    occupancy; two atoms (or an atom and its own image) closer than 0.1 Å, named as in `O3`. Legal are left-handed
    cells, one-atom cells, molecules, chains and slabs.
    """
    if len(atoms) == 0:
        return "there are no atoms"
    positions_nc = atoms.positions
    cell = atoms.cell.array
    pbc = atoms.pbc
    if not np.isfinite(positions_nc).all():
        first = int(np.flatnonzero(~np.isfinite(positions_nc).all(axis=1))[0])
        return f"the position of atom {name(atoms, first)} is not a finite number (NaN or infinite)"
    if not np.isfinite(cell).all():
        return "the cell is not finite (NaN or infinite)"
    numbers = atoms.numbers
    if numbers.min() < 1 or numbers.max() > 118:
        first = int(np.flatnonzero((numbers < 1) | (numbers > 118))[0])
        return f"atom {first + 1} is of no known element (atomic number {numbers[first]})"
    return _occupancy(atoms) or _volume(cell, pbc) or _coincident(atoms, positions_nc, cell, pbc)


def name(atoms: Atoms, index: int) -> str:
    """Name an atom as people do: symbol and number in the file, counted from one."""
    return f"{chemical_symbols[atoms.numbers[index]]}{index + 1}"


def _occupancy(atoms: Atoms) -> str | None:
    occupancy = atoms.info.get("occupancy")
    if not isinstance(occupancy, dict):
        return None
    for site, species in occupancy.items():
        if isinstance(species, dict):
            try:
                element_of_site([(str(symbol), float(share)) for symbol, share in species.items()], f"site {site}")
            except BadCrystal as err:
                return str(err)
            except (TypeError, ValueError):
                text = ", ".join(f"{symbol} {share}" for symbol, share in species.items())
                return f"site {site} is partially occupied ({text}); choose an ordered approximant of the crystal"
    return None


def _volume(cell: Floats, pbc: Flags) -> str | None:
    """Return why the periodic vectors span nothing: a zero edge, two parallel ones, three in a plane."""
    if not pbc.any():
        return None
    if _span(cell, pbc) > FLAT:
        return None
    for k in range(3):
        if pbc[k] and not cell[k].any():
            return f"the cell has no {'abc'[k]} vector although that direction is periodic"
    return "the cell has no volume: its periodic vectors are parallel or lie in one plane"


def _span(cell: Floats, pbc: Flags) -> float:
    """Return volume, area or length spanned by the periodic vectors over the product of their lengths (0 to 1)."""
    vectors = cell[pbc].tolist()
    lengths = [math.hypot(*vector) for vector in vectors]
    if min(lengths) < 1e-6:
        return 0.0
    a, b, c = [*vectors, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]][:3]
    normal = a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
    spanned = (lengths[0], math.hypot(*normal), abs(sum(n * x for n, x in zip(normal, c, strict=True))))
    return float(spanned[len(vectors) - 1] / math.prod(lengths))


def closest_pair(positions_nc: Floats, cell: Floats, pbc: Flags) -> tuple[int, int, float]:
    """Return a pair of atoms, or an atom and itself for its image, closer than 0.1 Å, and its distance; -1 for none."""
    if not pbc.any():
        frame = np.eye(3)
    elif pbc.all():
        frame = cell
    else:
        frame = _completed(cell, pbc)
    positions_nc = np.ascontiguousarray(positions_nc, dtype=np.float64)
    if len(positions_nc) <= MANY:
        i, j, distance = _closest_pair(positions_nc, np.ascontiguousarray(frame, dtype=np.float64), pbc, COINCIDENT)
        return i, j, distance
    return _closest_pair_tree(positions_nc, frame, pbc)


def _coincident(atoms: Atoms, positions_nc: Floats, cell: Floats, pbc: Flags) -> str | None:
    i, j, distance = closest_pair(positions_nc, cell, pbc)
    if i < 0:
        return None
    if i == j:
        return f"atom {name(atoms, i)} coincides with its own periodic image ({distance:.3f} Å); the cell is too short"
    return f"atoms {name(atoms, i)} and {name(atoms, j)} coincide ({distance:.3f} Å apart); remove one of them"


def _completed(cell: Floats, pbc: Flags) -> Floats:
    """Replace the vectors of directions that are not periodic by unit vectors normal to the rest."""
    from ase.geometry import complete_cell

    kept = np.where(pbc[:, None], cell, 0.0)
    full: Floats = complete_cell(kept)
    return full


@inner
def _reach(pbc: Flags, inverse: Floats, cutoff: float) -> NDArray[np.int64]:
    """Return by how many cells a sphere of the cutoff around wrapped fractional differences can reach."""
    reach = np.empty(3, np.int64)
    for k in range(3):
        square = inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2
        reach[k] = math.floor(0.5 + cutoff * math.sqrt(square)) if pbc[k] else 0
    return reach


@kernel
def _closest_pair(  # noqa: PLR0912 one scan
    positions_nc: Floats, cell: Floats, pbc: Flags, cutoff: float
) -> tuple[int, int, float]:
    """Return the first pair closer than the cutoff and its distance, or -1: all pairs, exact images."""
    inverse = invert(cell)
    reach = _reach(pbc, inverse, cutoff)
    count = len(positions_nc)
    fractional = np.empty((count, 3))
    for i in range(count):
        x, y, z = positions_nc[i, 0], positions_nc[i, 1], positions_nc[i, 2]
        for k in range(3):
            fractional[i, k] = x * inverse[0, k] + y * inverse[1, k] + z * inverse[2, k]
    height, difference = np.empty(3), np.empty(3)
    for k in range(3):
        height[k] = 1.0 / math.sqrt(inverse[0, k] ** 2 + inverse[1, k] ** 2 + inverse[2, k] ** 2)
    for i in range(count):
        for j in range(i, count):
            near = True
            for k in range(3):
                difference[k] = fractional[j, k] - fractional[i, k]
                if pbc[k]:
                    difference[k] -= math.floor(difference[k] + 0.5)
                if reach[k] == 0 and abs(difference[k]) * height[k] > cutoff:
                    near = False
                    break
            if not near:
                continue
            for a in range(-reach[0], reach[0] + 1):
                for b in range(-reach[1], reach[1] + 1):
                    for c in range(-reach[2], reach[2] + 1):
                        if i == j and a == 0 and b == 0 and c == 0:
                            continue
                        square = 0.0
                        for k in range(3):
                            step = (
                                (difference[0] + a) * cell[0, k]
                                + (difference[1] + b) * cell[1, k]
                                + (difference[2] + c) * cell[2, k]
                            )
                            square += step * step
                        if square < cutoff * cutoff:
                            return i, j, math.sqrt(square)
    return -1, -1, 0.0


def _closest_pair_tree(positions_nc: Floats, cell: Floats, pbc: Flags) -> tuple[int, int, float]:
    """Do the same for many atoms by a search tree over wrapped atoms and the copies of those near a face."""
    from scipy.spatial import cKDTree

    inverse = np.linalg.inv(cell)
    fractional = positions_nc @ inverse
    fractional[:, pbc] -= np.floor(fractional[:, pbc])
    margin = COINCIDENT * np.linalg.norm(inverse, axis=0)
    points, owners = fractional, np.arange(len(fractional))
    for k in range(3):
        if not pbc[k]:
            continue
        copies, names = [points], [owners]
        for n in range(1, int(np.ceil(margin[k])) + 1):
            for shift in (-n, n):
                moved = points[:, k] + shift
                near = (moved > -margin[k]) & (moved < 1 + margin[k])
                shifted = points[near].copy()
                shifted[:, k] += shift
                copies.append(shifted)
                names.append(owners[near])
        points, owners = np.concatenate(copies), np.concatenate(names)
    cartesian = points @ cell
    home = cKDTree(cartesian[: len(positions_nc)])
    pairs = home.sparse_distance_matrix(cKDTree(cartesian), COINCIDENT, output_type="ndarray")
    pairs = pairs[pairs["i"] != pairs["j"]]
    if not len(pairs):
        return -1, -1, 0.0
    best = pairs[np.argmin(pairs["v"])]
    i, j = sorted((int(best["i"]), int(owners[best["j"]])))
    return i, j, float(best["v"])
