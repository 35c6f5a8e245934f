"""Which atoms stand closer than the known crystals allow, and what each pair of elements adds to the energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.judge.score._survey import slots, survey_pairs
from lodewell.potentials.pairs.pair import pair_name
from lodewell.potentials.statistical.statistical import BIN, Statistical

ODD = 1e-3  # a contact is odd when fewer than one known contact in a thousand is as short
MOST = 50  # odd contacts kept of a crystal; one that was crushed has thousands
_TRUSTED = 1000  # contacts from which that share means something ...
_SHORTER = 0.95  # ... with fewer, a contact must undercut the shortest known one by this factor


@dataclass(frozen=True)
class Contact:
    """Two atoms that stand closer than nearly all such neighbours in known crystals.

    | field | meaning |
    |---|---|
    | `first`, `second` | the atoms, counted from zero |
    | `label` | "O3–O7"; a prime marks the atom of another cell |
    | `pair` | "O-O" |
    | `distance` | Å |
    | `share` | of the known nearest contacts of this pair, those that are as short, 0 to 1 |
    | `known` | how many known contacts that is measured on |
    | `image` | cells from the first atom to the second |
    """

    first: int
    second: int
    label: str
    pair: str
    distance: float
    share: float
    known: int
    image: tuple[int, int, int]

    def __str__(self) -> str:
        """Say it as a person would."""
        pair = self.pair.replace("-", "–")
        if self.share * self.known < 0.5:
            rarity = f"none of {self.known:,} known {pair} contacts is shorter"
        else:
            rarity = f"{100.0 * self.share:.2g} % of known {pair} contacts are shorter"
        return f"{self.label} {self.distance:.2f} Å: {rarity}"


@dataclass(frozen=True)
class ContactSurvey:
    """What one pass over the neighbours of a batch found; E is the largest number of elements of a crystal.

    | field | shape | meaning |
    |---|---|---|
    | `energies_n` | (N,) | energy of each atom (eV); zeros when no curves were given |
    | `element_be` | (B, E) | atomic numbers of each crystal, rising; 0 where it has fewer |
    | `energy_bee` | (B, E, E) | what each pair of elements adds (eV), smaller atomic number first |
    | `nearest_ne` | (N, E) | distance to the nearest atom of each element (Å); inf beyond the cutoff |
    | `other_ne` | (N, E) | that atom, counted within its crystal |
    | `image_nec` | (N, E, 3) | cells from here to there |
    """

    energies_n: Floats
    element_be: Ints
    energy_bee: Floats
    nearest_ne: Floats
    other_ne: Ints
    image_nec: NDArray[np.int32]


def survey(batch: Batch, neighbours: Neighbours, table: Any = None) -> ContactSurvey:
    """Look at every pair once, in a half list; `table`, a `CurvePotential` or None, gives the energies."""
    slot_n, element_be = slots(batch.species_n, batch.first_b)
    if table is None:
        types_n, variant_b = np.zeros(len(batch.species_n), np.int64), np.zeros(len(batch), np.int64)
        curve_vtt, coefficients = np.full((1, 1, 1), -1, np.int64), np.zeros((1, 1, 4))
        origin, spacing, cutoff, scale = 0.0, 1.0, neighbours.cutoff, 1.0
    else:
        types_n, variant_b = table._type_z[batch.species_n], table.variant(batch)
        curve_vtt, coefficients = table._curve_vtt, table.curves.coefficients_skx
        origin, spacing, cutoff, scale = table.curves.origin, table.curves.spacing, table.cutoff, table.energy_scale
    energies_n, energy_bee, nearest_ne, other_ne, image_nec = survey_pairs(
        batch.positions_nc, neighbours.reference_bcc, batch.first_b, slot_n, element_be.shape[1], types_n, variant_b,
        curve_vtt, coefficients, origin, spacing, cutoff, scale, neighbours.first_n, neighbours.last_n,
        neighbours.j_p, neighbours.image_p, neighbours.wraps_nc, neighbours.reach_bc,
    )  # fmt: skip
    return ContactSurvey(energies_n, element_be, energy_bee, nearest_ne, other_ne, image_nec)


def odd_contacts(batch: Batch, found: ContactSurvey, table: Statistical) -> list[tuple[Contact, ...]]:
    """Name the odd contacts of each crystal, the rarest and shortest first, each once, up to 50."""
    known = _KNOWN.get(table)
    if known is None:
        known = _KNOWN[table] = _KnownContacts(table)
    out: list[list[Contact]] = [[] for _ in range(len(batch))]
    near_ne = np.isfinite(found.nearest_ne)
    atom_x, slot_x = np.nonzero(near_ne)
    r_x, crystal_x = found.nearest_ne[atom_x, slot_x], batch.crystal_n[atom_x]
    type_x = table._type_z[batch.species_n[atom_x]]
    other_x = table._type_z[found.element_be[crystal_x, slot_x]]
    curve_x = np.where((type_x < 0) | (other_x < 0), -1, table._curve_vtt[0, type_x, other_x])
    share_x = known.share(curve_x, r_x)
    count_x, shortest_x = known.count_p[curve_x], known.shortest_p[curve_x]
    few_x = (count_x < _TRUSTED) & (r_x >= _SHORTER * shortest_x)
    odd_x = (curve_x >= 0) & (count_x > 0) & (share_x < ODD) & ~few_x
    for x in np.flatnonzero(odd_x):
        b, n, e = int(crystal_x[x]), int(atom_x[x]), int(slot_x[x])
        first = n - int(batch.first_b[b])
        second = int(found.other_ne[n, e])
        image = found.image_nec[n, e]
        if second < first:
            first, second, image = second, first, -image
        z1, z2 = (int(batch.species_n[batch.first_b[b] + k]) for k in (first, second))
        away = "′" if image.any() else ""
        label = f"{chemical_symbols[z1]}{first + 1}–{chemical_symbols[z2]}{second + 1}{away}"
        out[b].append(
            Contact(first, second, label, pair_name(z1, z2), float(r_x[x]), float(share_x[x]), int(count_x[x]),
                    (int(image[0]), int(image[1]), int(image[2])))
        )  # fmt: skip
    return [_sorted(contacts) for contacts in out]


def _sorted(contacts: list[Contact]) -> tuple[Contact, ...]:
    """Keep one contact for each two atoms (the shortest), the worst first."""
    best: dict[tuple[int, int], Contact] = {}
    for contact in contacts:
        key = (contact.first, contact.second)
        if key not in best or contact.distance < best[key].distance:
            best[key] = contact
    return tuple(sorted(best.values(), key=lambda c: (c.share, c.distance))[:MOST])


class _KnownContacts:
    """Cumulated nearest contacts of each curve."""

    def __init__(self, table: Statistical) -> None:
        histogram_ph = np.asarray(table.evidence.contact_ph, dtype=np.float64)
        self.count_p = histogram_ph.sum(axis=1)
        self.cumulated_ph = np.zeros((len(histogram_ph), histogram_ph.shape[1] + 1))
        np.cumsum(histogram_ph, axis=1, out=self.cumulated_ph[:, 1:])
        first_p = (histogram_ph > 0).argmax(axis=1)
        self.shortest_p = np.where(self.count_p > 0, BIN * first_p, 0.0)

    def share(self, curve_x: Ints, r_x: Floats) -> Floats:
        """Return the share of known contacts shorter than each distance, linear within a bin."""
        last = self.cumulated_ph.shape[1] - 1
        place_x = np.minimum(r_x / BIN, last - 1e-9)
        bin_x = place_x.astype(np.int64)
        low_x, high_x = self.cumulated_ph[curve_x, bin_x], self.cumulated_ph[curve_x, bin_x + 1]
        share: Floats = (low_x + (place_x - bin_x) * (high_x - low_x)) / np.maximum(self.count_p[curve_x], 1.0)
        return share


_KNOWN: WeakKeyDictionary[Statistical, _KnownContacts] = WeakKeyDictionary()
