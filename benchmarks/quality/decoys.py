"""Decoys of a crystal, and the share of crystals that score below theirs.

Twenty decoys a crystal: eight rattles, six isotropic strains, up to six swaps of two atoms of different elements. A
rattle of 0.1 Å may mean that atoms move by 0.1 Å (root mean square) or, as in ASE, that each coordinate does (standard
deviation), which is further: both are tried, the first is the harder test and the one of the headline.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import spglib
from ase import Atoms

from lodewell.crystals.batch import Batch
from lodewell.descriptors.duplicates import fingerprints
from lodewell.descriptors.histograms import pair_histograms
from lodewell.potentials.base import Potential

AMPLITUDES = np.linspace(0.1, 0.5, 8)  # Å
STRAINS = (-0.10, -0.07, -0.04, 0.04, 0.07, 0.10)  # in length
SWAPS = 6
KINDS = ("rattles", "strains", "swaps", "wide")
_SAME = 1e-3  # of fingerprints, so little that only the same crystal is meant
_ATOMS_A_BATCH = 20_000


def decoys(atoms: Atoms, seed: int) -> list[tuple[str, Atoms]]:
    """Return the decoys of a crystal with the kind of each.

    A cell of one atom cannot be rattled: its 2 x 2 x 2 supercell is. Energies are to be compared per atom.
    """
    rng = np.random.default_rng(seed)
    body = atoms if len(atoms) > 1 else atoms.repeat(2)
    out = []
    for kind, share in (("rattles", 1.0 / np.sqrt(3.0)), ("wide", 1.0)):
        for amplitude in AMPLITUDES:
            moved = body.copy()
            moved.positions += rng.normal(scale=share * amplitude, size=(len(body), 3))
            out.append((kind, moved))
    for strain in STRAINS:
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array * (1.0 + strain), scale_atoms=True)
        out.append(("strains", moved))
    return out + [("swaps", swapped) for swapped in swaps(atoms, rng)]


def swaps(atoms: Atoms, rng: np.random.Generator) -> list[Atoms]:
    """Return up to six crystals with two atoms of different elements exchanged, all different from it and another.

    Pairs are told apart by the symmetry orbits of their atoms and by their distance; a result with the same pair
    distances as the crystal or an earlier result (the halves of rock salt exchanged) does not count.
    """
    if len(set(atoms.numbers.tolist())) < 2:
        return []
    orbit = _orbits(atoms)
    distance = atoms.get_all_distances(mic=True)
    classes: dict[tuple[int, int, float], tuple[int, int]] = {}
    for i in range(len(atoms)):
        for j in range(i + 1, len(atoms)):
            if atoms.numbers[i] != atoms.numbers[j]:
                low, high = sorted((int(orbit[i]), int(orbit[j])))
                classes.setdefault((low, high, round(float(distance[i, j]), 2)), (i, j))
    order = rng.permutation(len(classes))
    pairs = [list(classes.values())[k] for k in order[: 4 * SWAPS]]
    candidates = [atoms, *(_swapped(atoms, i, j) for i, j in pairs)]
    rows = _fingerprints(candidates)
    kept: list[int] = [0]
    for k in range(1, len(candidates)):
        if all(np.abs(rows[k] - rows[other]).max() > _SAME for other in kept):
            kept.append(k)
    return [candidates[k] for k in kept[1 : SWAPS + 1]]


def _swapped(atoms: Atoms, i: int, j: int) -> Atoms:
    out = atoms.copy()
    out.numbers[[i, j]] = out.numbers[[j, i]]
    return out


def _orbits(atoms: Atoms) -> Any:
    """Return an orbit of symmetry for each atom; every atom its own where none is found."""
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=0.01)
    return np.arange(len(atoms)) if found is None else found.equivalent_atoms


def _fingerprints(crystals: Sequence[Atoms]) -> list[Any]:
    """Return what pair distances say about crystals of the same cell and composition."""
    batch = Batch.from_atoms(list(crystals))
    per_atom = batch.volume_b / batch.count_b
    cutoff = float(max(4.0, 3.0 * per_atom.max() ** (1 / 3)))
    found = pair_histograms(batch, cutoff, max(64, round(cutoff / 0.05)))
    rows = fingerprints(found.count_sh, per_atom[found.crystal_s], batch.count_b[found.crystal_s], cutoff)
    return [rows[found.crystal_s == b].ravel() for b in range(len(batch))]


def energies_per_atom(potential: Potential, crystals: Sequence[Atoms]) -> Any:
    """Return the energy per atom of each crystal, in eV or whatever the potential has; (B,)."""
    out = []
    for part in _parts(crystals):
        batch = Batch.from_atoms(part)
        e_n, _, _ = potential.compute(batch, potential.neighbours(batch))
        out.append(np.bincount(batch.crystal_n, e_n, len(batch)) / batch.count_b)
    return np.concatenate(out)


def _parts(crystals: Sequence[Atoms]) -> Iterator[list[Atoms]]:
    part: list[Atoms] = []
    size = 0
    for atoms in crystals:
        part.append(atoms)
        size += len(atoms)
        if size > _ATOMS_A_BATCH:
            yield part
            part, size = [], 0
    if part:
        yield part


def best_of_decoys(potential: Potential, crystals: Sequence[Atoms], sets: Sequence[list[tuple[str, Atoms]]]) -> Any:
    """Return for each crystal how many decoys of each kind it has, and how many of them do not lie above it.

    A row a crystal, two columns a kind (there are, not above), kinds in the order of `KINDS`. A tie is not above.
    """
    everything = [a for own, some in zip(crystals, sets, strict=True) for a in (own, *(d for _, d in some))]
    energies = energies_per_atom(potential, everything)
    rows, at = [], 0
    for some in sets:
        own, theirs = energies[at], energies[at + 1 : at + 1 + len(some)]
        at += 1 + len(some)
        above = theirs > own + 1e-9 * max(1.0, abs(own))
        kinds = np.array([kind for kind, _ in some])
        rows.append([int(n) for k in KINDS for n in ((kinds == k).sum(), (~above[kinds == k]).sum())])
    return np.array(rows)


def shares(rows: Any) -> dict[str, float]:
    """Return the share of crystals that lie below all their decoys, and below all of each kind, if they have any.

    "own" stands for all twenty decoys together, "own_wide" for the same with the wide rattles.
    """
    lost = rows[:, 1::2]
    out = {
        "own": float((lost[:, :3].sum(axis=1) == 0).mean()),
        "own_wide": float((lost[:, 1:].sum(axis=1) == 0).mean()),
    }
    for k, kind in enumerate(KINDS):
        has = rows[:, 2 * k] > 0
        out[kind] = float((rows[has, 2 * k + 1] == 0).mean()) if has.any() else float("nan")
    return out
