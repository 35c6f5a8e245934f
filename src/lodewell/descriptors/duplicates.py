"""Which crystals are the same, or the same but for scale: told from their pair distances, without a symmetry search.

For each pair of elements, C(r) is the mean number of atoms of one within r of an atom of the crystal. A fingerprint is
C averaged over a few intervals: it does not depend on the choice of cell or of supercell, and moves little when
atoms do. Two crystals of one formula with fingerprints closer than a tolerance are duplicates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.chemistry import reduced_formula

_REACH = 3.0  # in units of the cube root of the volume per atom
_INTERVALS = 16
# Coordination counts of duplicates differ by less than this share, of different structures by more: see the tests.
SAME_SHAPE = 0.03
SAME_SIZE = 0.02  # relative difference of lengths within which duplicates that are not scaled must lie


def fingerprints(count_sh: NDArray[np.floating], volume_per_atom_s: Floats, atoms_s: Ints, cutoff: float) -> Floats:
    """Return one scale-free row for each pair of elements of each crystal.

    Args:
        count_sh: unordered pairs by distance up to `cutoff` (Å), shape (S, H).
        volume_per_atom_s: of the crystal of each row, Å^3.
        atoms_s: atoms in the crystal of each row.
        cutoff: of the histograms, Å.

    Returns:
        (S, 16) smooth coordination counts relative to those of an ideal gas, times weight 1 at every distance.
    """
    bins = count_sh.shape[1]
    edges_h = np.linspace(0.0, cutoff, bins + 1)
    within_sh = np.zeros((len(count_sh), bins + 1))
    np.cumsum(count_sh, axis=1, out=within_sh[:, 1:])
    # The integral of C is smooth in the distances even where C steps: its differences are averages of C.
    integral_sh = np.zeros_like(within_sh)
    np.cumsum(0.5 * (within_sh[:, 1:] + within_sh[:, :-1]) * (cutoff / bins), axis=1, out=integral_sh[:, 1:])
    length_s = volume_per_atom_s ** (1 / 3)
    scaled_m = np.linspace(0.5, _REACH, _INTERVALS + 1)
    wanted_sm = np.minimum(scaled_m * length_s[:, None], cutoff)
    place = wanted_sm * (bins / cutoff)
    low = np.minimum(place.astype(np.int64), bins - 1)
    row = np.arange(len(count_sh))[:, None]
    part = (wanted_sm - edges_h[low]) / (cutoff / bins)
    value = integral_sh[row, low] + part * (integral_sh[row, low + 1] - integral_sh[row, low])
    mean = np.diff(value, axis=1) / (atoms_s * length_s)[:, None]
    ideal = 2.0 / 3.0 * np.pi * np.diff(scaled_m**4) / 4.0  # of all pairs together, per atom
    return np.asarray(mean / (ideal + 0.3))


class Families:
    """Groups of crystals that are the same but for scale, built up one crystal at a time.

    Memory grows with the number of families alone, so a database of any size streams through.
    """

    def __init__(self, tolerance: float = SAME_SHAPE) -> None:
        self.tolerance = tolerance
        self._known: dict[str, list[tuple[int, NDArray[np.float32]]]] = defaultdict(list)
        self.count = 0

    def find(self, formula: str, fingerprint: Floats) -> tuple[int, bool]:
        """Return the family of a crystal and whether it is its first; `fingerprint` has a row a pair of elements."""
        flat = np.asarray(fingerprint, dtype=np.float32).ravel()
        members = self._known[formula]
        for family, other in members:
            if len(other) == len(flat) and float(np.abs(other - flat).max()) < self.tolerance:
                return family, False
        members.append((self.count, flat))
        self.count += 1
        return self.count - 1, True

    def _in_order(self) -> list[tuple[int, str, NDArray[np.float32]]]:
        known = [(family, formula, row) for formula, members in self._known.items() for family, row in members]
        return sorted(known, key=lambda entry: entry[0])

    def names(self) -> list[str]:
        """Return the formula of every family."""
        return [formula for _, formula, _ in self._in_order()]

    def sizes(self) -> Ints:
        """Return the length of every family's fingerprint."""
        return np.array([len(row) for _, _, row in self._in_order()], dtype=np.int64)

    def rows(self) -> NDArray[np.float32]:
        """Return all fingerprints, one after the other."""
        rows = [row for _, _, row in self._in_order()]
        return np.concatenate(rows) if rows else np.zeros(0, np.float32)

    @classmethod
    def restored(cls, names: Sequence[str], rows: NDArray[np.float32], sizes: Ints) -> Families:
        """Make the groups again from what `names`, `rows` and `sizes` returned."""
        out = cls()
        ends = np.cumsum(sizes)
        for family, (name, end, size) in enumerate(zip(names, ends, sizes, strict=True)):
            out._known[name].append((family, rows[end - size : end]))
        out.count = len(names)
        return out


def duplicate_labels(crystals: Sequence[Atoms], *, scale_free: bool = False, tolerance: float = SAME_SHAPE) -> Ints:
    """Return for each crystal the index of the first that it equals, its own if it is new; shape (B,).

    Cells and supercells do not matter; with `scale_free` neither does size. Crystals without a full cell are only
    ever equal to themselves.
    """
    from lodewell.descriptors.histograms import pair_histograms

    labels = np.arange(len(crystals))
    solid = [k for k, a in enumerate(crystals) if a.pbc.all() and a.cell.rank == 3]
    by_formula: dict[str, Families] = {}
    first_of: dict[tuple[str, int], list[int]] = defaultdict(list)
    for chunk in (solid[s : s + 200] for s in range(0, len(solid), 200)):
        batch = Batch.from_atoms([crystals[k] for k in chunk])
        volume_b = batch.volume_b / batch.count_b
        cutoff = float(max(4.0, _REACH * volume_b.max(initial=1.0) ** (1 / 3)))
        found = pair_histograms(batch, cutoff, max(64, round(cutoff / 0.05)))
        rows = fingerprints(found.count_sh, volume_b[found.crystal_s], batch.count_b[found.crystal_s], cutoff)
        for b, k in enumerate(chunk):
            formula = reduced_formula(crystals[k].numbers)
            families = by_formula.setdefault(formula, Families(tolerance))
            family, _ = families.find(formula, rows[found.crystal_s == b])
            for other in first_of[formula, family]:
                v = crystals[other].get_volume() / len(crystals[other])
                if scale_free or abs((volume_b[b] / v) ** (1 / 3) - 1.0) < SAME_SIZE:
                    labels[k] = other
                    break
            else:
                first_of[formula, family].append(k)
    return labels
