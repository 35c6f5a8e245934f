"""Two and three atoms alone: the curve of every pair, and what an angle costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii

from lodewell.crystals.batch import Floats
from lodewell.potentials.base import Potential

_POINTS = 400
_FIRST = 0.35  # of the sum of the covalent radii, where the curves begin
_ANGLES = np.linspace(40.0, 180.0, 71)
_STRETCHES = (0.95, 1.0, 1.1)
_DIP = 0.03  # an extremum counts from this share of the depth of the well on


@dataclass(frozen=True)
class Dimer:
    """Energy of two atoms over that of the two apart.

    | field | shape | meaning |
    |---|---|---|
    | `pair` | | such as "Li-O" |
    | `r_k`, `energy_k` | (K,) | distance (Å) and energy (eV) |
    | `depth` | | of the deepest well (eV); 0 where there is none |
    | `r_min` | | where it is (Å); None where there is none |
    | `hole` | | distance (Å) inside which the atoms attract each other; None for a sound wall |
    | `wells` | | distances of all minima (Å) |
    """

    pair: str
    r_k: Floats
    energy_k: Floats
    depth: float
    r_min: float | None
    hole: float | None
    wells: tuple[float, ...]


@dataclass(frozen=True)
class Trimer:
    """What three atoms have beyond their three pairs, against the angle at the one in the middle.

    | field | shape | meaning |
    |---|---|---|
    | `name` | | ends and middle, such as "O–Si–O" |
    | `angle_k` | (K,) | degrees |
    | `bond_s` | (S,) | lengths of the two equal bonds (Å) |
    | `energy_sk` | (S, K) | eV |
    """

    name: str
    angle_k: Floats
    bond_s: Floats
    energy_sk: Floats


def dimer(potential: Potential, first: int, second: int) -> Dimer:
    """Pull two atoms apart, from a third of their covalent distance to the cutoff."""
    touching = float(covalent_radii[first] + covalent_radii[second])
    r_k = np.linspace(_FIRST * touching, max(potential.cutoff, 2.0 * touching), _POINTS)
    pairs = [Atoms([first, second], positions=[[0, 0, 0], [r, 0, 0]]) for r in r_k]
    energy_k = np.array([r.energy for r in potential.evaluate(pairs)]) - _alone(potential, [first, second])
    dips = np.flatnonzero((energy_k[1:-1] < energy_k[:-2]) & (energy_k[1:-1] <= energy_k[2:])) + 1
    floor = min(0.0, float(np.nanmin(energy_k[dips]))) if len(dips) else 0.0
    wells = [k for k in dips.tolist() if _prominence(energy_k, k) > _DIP * max(-floor, 1e-9)]
    best = min((k for k in wells if energy_k[k] < 0.0), key=lambda k: float(energy_k[k]), default=None)
    name = "-".join(chemical_symbols[z] for z in (first, second))
    return Dimer(
        name, r_k, energy_k, -float(energy_k[best]) if best is not None else 0.0,
        float(r_k[best]) if best is not None else None, _hole(r_k, energy_k, best), tuple(float(r_k[k]) for k in wells),
    )  # fmt: skip


def _prominence(energy_k: Floats, k: int) -> float:
    """Return how far one must climb from a minimum before one can go lower, or to the end."""
    left, right = energy_k[:k][::-1], energy_k[k + 1 :]

    def climb(side: Floats) -> float:
        lower = np.flatnonzero(side < energy_k[k])
        end = int(lower[0]) if len(lower) else len(side)
        return float(side[:end].max(initial=energy_k[k]) - energy_k[k])

    return min(climb(left), climb(right))


def _hole(r_k: Floats, energy_k: Floats, well: int | None) -> float | None:
    """Return the distance of the highest point of the wall, if the energy falls again inside of it."""
    if not np.isfinite(energy_k).all():
        return float(r_k[np.flatnonzero(~np.isfinite(energy_k))[-1]])
    end = well if well is not None else len(r_k) - 1
    top = int(np.argmax(energy_k[: end + 1]))
    if top == 0 or energy_k[top] - energy_k[:top].min() <= 1e-9 * max(1.0, abs(float(energy_k[top]))):
        return None
    return float(r_k[top])


def trimer(potential: Potential, end: int, middle: int, other: int, bond: float) -> Trimer:
    """Bend end–middle–other at three lengths of the two bonds around `bond` (Å)."""
    bond_s = bond * np.array(_STRETCHES)
    species = [middle, end, other]
    whole, parts = [], []
    for length in bond_s:
        for angle in np.deg2rad(_ANGLES):
            places = np.array([[0, 0, 0], [length, 0, 0], [length * np.cos(angle), length * np.sin(angle), 0]])
            whole.append(Atoms(species, positions=places))
            parts += [Atoms([species[a], species[b]], positions=places[[a, b]]) for a, b in ((0, 1), (0, 2), (1, 2))]
    three = np.array([r.energy for r in potential.evaluate(whole)])
    two = np.array([r.energy for r in potential.evaluate(parts)]).reshape(-1, 3).sum(axis=1)
    energy_sk = (three - two + _alone(potential, species)).reshape(len(bond_s), -1)
    return Trimer("–".join(chemical_symbols[z] for z in (end, middle, other)), _ANGLES, bond_s, energy_sk)


def triples(elements: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return end, middle and other of every kind of bend."""
    return [(a, c, b) for c in elements for a, b in combinations_with_replacement(elements, 2)]


def _alone(potential: Potential, species: Sequence[int]) -> float:
    return sum(r.energy for r in potential.evaluate([Atoms([z], positions=[[0, 0, 0]]) for z in species]))
