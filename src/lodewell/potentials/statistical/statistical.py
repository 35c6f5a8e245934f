"""Statistical proxy potentials: one curve for each pair of elements, mined from known crystals.

U(r) = -ln ḡ(r), where ḡ is the mean over structures of each one's own pair correlation. Antypov et al., ChemPhysChem
(2024), 10.1002/cphc.202400254. `lodewell.derive` makes them; this file holds, evaluates and explains them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import ArrayLike, NDArray

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.chemistry import ANION_CLASSES, anion_class_b
from lodewell.crystals.types import type_table
from lodewell.errors import BadOption, UnsupportedElement
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs.pair import pair_name, pair_species
from lodewell.potentials.pairs.table import CurvePotential, Curves
from lodewell.potentials.sum import Sum

BIN = 0.05  # Å, width of a histogram bin and of a table interval
TRUSTED_PRIOR = 0.5  # a curve that is more than half prior is flagged


def table_points(cutoff: float) -> Floats:
    """Return the distances of a table: 0, the bin centres, and the cutoff: 222 points at 11 Å.

    Raises:
        BadOption: when the cutoff is no multiple of the bin width.
    """
    if abs(cutoff / BIN - round(cutoff / BIN)) > 1e-6:
        raise BadOption(f"the cutoff must be a multiple of the bin width, {BIN} Å, not {cutoff}")
    centres = BIN * (np.arange(round(cutoff / BIN)) + 0.5)
    return np.concatenate([[0.0], centres, [cutoff]])


@dataclass(frozen=True)
class Evidence:
    """What the crystals said about each curve: P curves, K table points, H histogram bins.

    | field | shape | meaning |
    |---|---|---|
    | `structures_p` | (P,) | crystals that hold both elements |
    | `families_p` | (P,) | how many of them are independent, near-duplicates counted once |
    | `prior_p` | (P,) | share of the prior in the curve, 0 all data to 1 none |
    | `error_pk` | (P, K) | standard error of U |
    | `g_ph` | (P, H) | the mean pair correlation itself, before smoothing |
    | `contact_ph` | (P, H) | histogram of nearest contacts: for each atom of one, its nearest atom of the other |
    """

    structures_p: Ints
    families_p: Floats
    prior_p: Floats
    error_pk: Floats
    g_ph: Floats
    contact_ph: Floats


@dataclass(frozen=True)
class KnownEnergies:
    """Energies of the known crystals under this very table, for percentiles.

    | field | shape | meaning |
    |---|---|---|
    | `energy_x` | (X,) | per atom, before `energy_scale` |
    | `system_x` | (X,) | row of `systems` |
    | `systems` | | element sets such as "Li-O-P", sorted |
    """

    energy_x: NDArray[np.float32]
    system_x: NDArray[np.int32]
    systems: tuple[str, ...]


NO_EVIDENCE = Evidence(
    np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)), np.zeros((0, 0))
)
NOTHING_KNOWN = KnownEnergies(np.zeros(0, np.float32), np.zeros(0, np.int32), ())


class Statistical(CurvePotential):
    """Curves mined from known crystals, one for each pair of elements, some of them resolved by anion.

    Energies are dimensionless by nature and multiplied by `energy_scale` (eV). `variant_p` is -1 for a curve of all
    crystals, else a row of `ANION_CLASSES`; a crystal uses the curve of its own class where there is one.

    Attributes:
        pairs_pz: atomic numbers of each curve, smaller first, shape (P, 2).
        variant_p: shape (P,).
        r_k: distances of the table in Å, shape (K,); the last is the cutoff.
        u_pk: dimensionless curves, shape (P, K).
        evidence: counts, errors and histograms behind each curve.
        known: energies of the crystals it was made from.
        about: how and from what it was made.
    """

    kind: ClassVar[str] = "statistical"

    def __init__(
        self,
        pairs_pz: Ints,
        u_pk: Floats,
        evidence: Evidence,
        known: KnownEnergies,
        *,
        cutoff: float,
        variant_p: Ints | None = None,
        energy_scale: float = 1.0,
        calibrated: bool = False,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.cutoff = float(cutoff)
        self.pairs_pz = np.asarray(pairs_pz, dtype=np.int64)
        self.u_pk = np.asarray(u_pk, dtype=np.float64)
        self.variant_p = np.full(len(self.pairs_pz), -1) if variant_p is None else np.asarray(variant_p, np.int64)
        self.evidence, self.known = evidence, known
        self.energy_scale, self.calibrated = float(energy_scale), bool(calibrated)
        self.about = about or {}
        self.r_k = table_points(self.cutoff)
        if self.u_pk.shape != (len(self.pairs_pz), len(self.r_k)):
            fitting = f"{len(self.pairs_pz)} pairs x {len(self.r_k)}"
            raise BadOption(f"curves of shape {self.u_pk.shape} do not fit {fitting}")
        elements = np.unique(self.pairs_pz)
        self.species = frozenset(elements.tolist())
        self._type_z = type_table(elements)
        self._curve_vtt = self._index(len(elements))

    @cached_property
    def curves(self) -> Curves:  # type: ignore[override]
        """The splines, made when first needed."""
        return Curves.through(self.r_k, self.u_pk, BIN, origin=-0.5 * BIN)

    def _index(self, count: int) -> Ints:
        """Return the curve of each pair of types in each variant: class curves first, else the one of all crystals."""
        index = np.full((1 + len(ANION_CLASSES), count, count), -1, dtype=np.int64)
        for p in np.argsort(self.variant_p, kind="stable"):
            a, b = self._type_z[self.pairs_pz[p]]
            where = slice(None) if self.variant_p[p] < 0 else 1 + self.variant_p[p]
            index[where, a, b] = index[where, b, a] = p
        return index

    def variant_row(self, variant: str | None) -> int:
        """Return the row of an anion class such as "oxide", 0 for the curves of all crystals.

        Raises:
            BadOption: when there is no such class.
        """
        if variant is None:
            return 0
        if variant not in ANION_CLASSES:
            raise BadOption(f"there is no class '{variant}': choose one of {', '.join(ANION_CLASSES)}")
        return 1 + ANION_CLASSES.index(variant)

    def variant(self, batch: Batch) -> Ints:
        """Return the row of curves each crystal uses: 0 for all crystals, 1 + anion class where classes exist."""
        if (self.variant_p < 0).all():
            return np.zeros(len(batch), dtype=np.int64)
        return 1 + anion_class_b(batch)

    def unsupported(self, species_n: Any) -> str | None:
        """Name the elements or pairs without a curve, and the nearest alternative."""
        if why := super().unsupported(species_n):
            return why
        types = self._type_z[np.unique(species_n)]
        for a in types:
            for b in types:
                if self._curve_vtt[0, a, b] < 0:
                    z = np.flatnonzero(self._type_z == a)[0], np.flatnonzero(self._type_z == b)[0]
                    return f"this potential has no curve for {pair_name(*z)}"
        return None

    def _alternatives(self, missing: list[int]) -> str:
        """Suggest, for each element, the known one of the same column or the nearest radius."""
        return "; the nearest it knows: " + ", ".join(
            f"{chemical_symbols[nearest_element(z, self.species or ())]} for {chemical_symbols[z]}" for z in missing
        )

    def index(self, pair: str, variant: str | None = None) -> int:
        """Return the row of a pair such as "Li-O" in every array, of one anion class if named.

        Raises:
            UnsupportedElement: when there is no such curve.
        """
        a, b = pair_species(pair)
        wanted = -1 if variant is None else ANION_CLASSES.index(variant)
        rows = np.flatnonzero((self.pairs_pz == (a, b)).all(axis=1) & (self.variant_p == wanted))
        if not len(rows):
            where = f" in {variant}s" if variant else ""
            raise UnsupportedElement(f"there is no curve for {pair_name(a, b)}{where}")
        return int(rows[0])

    def name(self, p: int) -> str:
        """Write curve p as "Li-O", with its class if it has one."""
        v = int(self.variant_p[p])
        return pair_name(*self.pairs_pz[p]) + (f" ({ANION_CLASSES[v]})" if v >= 0 else "")

    def curve(self, pair: str, r: ArrayLike, variant: str | None = None) -> tuple[Floats, Floats]:
        """Return U and dU/dr (eV and eV/Å, scale included) of one pair at distances of any shape (Å)."""
        u, du = self.curves.values(self.index(pair, variant), r)
        return self.energy_scale * u, self.energy_scale * du

    def flagged_p(self) -> NDArray[np.bool_]:
        """Tell which curves are mostly prior, shape (P,)."""
        return np.asarray(self.evidence.prior_p > TRUSTED_PRIOR)

    def in_eV(self, scale: float) -> Statistical:
        """Return the same table with another energy per unit (eV), marked as calibrated."""
        return Statistical(
            self.pairs_pz, self.u_pk, self.evidence, self.known, cutoff=self.cutoff, variant_p=self.variant_p,
            energy_scale=scale, calibrated=True, about=self.about,
        )  # fmt: skip

    def with_known(self, known: KnownEnergies) -> Statistical:
        """Return the same table with other reference energies."""
        return Statistical(
            self.pairs_pz, self.u_pk, self.evidence, known, cutoff=self.cutoff, variant_p=self.variant_p,
            energy_scale=self.energy_scale, calibrated=self.calibrated, about=self.about,
        )  # fmt: skip

    def curves_alone(self) -> Statistical:
        """Return the same curves without what is behind them: all that computing takes, and light to send around."""
        return Statistical(
            self.pairs_pz, self.u_pk, NO_EVIDENCE, NOTHING_KNOWN, cutoff=self.cutoff, variant_p=self.variant_p,
            energy_scale=self.energy_scale, calibrated=self.calibrated,
        )  # fmt: skip

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold curves in single precision, errors and histograms compactly."""
        meta = {
            "cutoff": self.cutoff, "energy_scale_eV": self.energy_scale, "calibrated": self.calibrated,
            "systems": list(self.known.systems), "about": self.about,
        }  # fmt: skip
        e = self.evidence
        return meta, {
            "pairs_pz": self.pairs_pz.astype(np.int16),
            "variant_p": self.variant_p.astype(np.int8),
            "u_pk": self.u_pk.astype(np.float32),
            "structures_p": e.structures_p.astype(np.int32),
            "families_p": e.families_p.astype(np.float32),
            "prior_p": e.prior_p.astype(np.float32),
            "error_pk": e.error_pk.astype(np.float16),
            "g_ph": e.g_ph.astype(np.float16),
            "contact_ph": e.contact_ph.astype(np.uint32),
            "known_energy_x": self.known.energy_x.astype(np.float32),
            "known_system_x": self.known.system_x.astype(np.int32),
        }

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> Statistical:
        """Make the table again."""
        narrow = ("error_pk", "g_ph", "families_p", "prior_p")
        wide = {k: v.astype(np.float64) for k, v in arrays.items() if k in narrow}
        evidence = Evidence(
            arrays["structures_p"].astype(np.int64), wide["families_p"], wide["prior_p"], wide["error_pk"],
            wide["g_ph"], arrays["contact_ph"].astype(np.float64),
        )  # fmt: skip
        known = KnownEnergies(arrays["known_energy_x"], arrays["known_system_x"], tuple(meta["systems"]))
        made = cls(
            arrays["pairs_pz"], arrays["u_pk"], evidence, known, cutoff=meta["cutoff"], variant_p=arrays["variant_p"],
            energy_scale=meta["energy_scale_eV"], calibrated=meta["calibrated"], about=meta["about"],
        )  # fmt: skip
        _check(made)
        return made


def _check(table: Statistical) -> None:
    """Raise `BadOption` for parts that do not fit each other, as those of a damaged file."""
    pairs, (curves, points), e, known = table.pairs_pz, table.u_pk.shape, table.evidence, table.known
    if pairs.shape != (curves, 2) or table.variant_p.shape != (curves,):
        raise BadOption(f"{curves} curves need as many pairs and variants")
    if not ((pairs >= 1) & (pairs <= 118)).all() or (pairs[:, 0] > pairs[:, 1]).any():
        raise BadOption("a pair is two atomic numbers, the smaller first")
    if not ((table.variant_p >= -1) & (table.variant_p < len(ANION_CLASSES))).all():
        raise BadOption("a curve belongs to an anion class that there is not")
    if len(np.unique(np.column_stack([pairs, table.variant_p]), axis=0)) != curves:
        raise BadOption("a pair has two curves")
    if not 0.0 < table.energy_scale < np.inf:
        raise BadOption(f"the scale of energies is {table.energy_scale}, but must be a positive number")
    if any(len(part) != curves for part in (e.structures_p, e.families_p, e.prior_p, e.g_ph, e.contact_ph)):
        raise BadOption(f"{curves} curves need as many counts and histograms")
    if e.error_pk.shape != (curves, points) or e.g_ph.shape != e.contact_ph.shape or e.g_ph.ndim != 2:
        raise BadOption("errors or histograms do not fit the curves")
    if known.energy_x.ndim != 1 or known.energy_x.shape != known.system_x.shape:
        raise BadOption("known energies and their systems are not equally many")
    if len(known.system_x) and not (known.system_x.min() >= 0 and known.system_x.max() < len(known.systems)):
        raise BadOption("a known energy is of a system that there is not")
    if not all(isinstance(name, str) for name in known.systems):
        raise BadOption("a system is named by text")


def nearest_element(z: int, known: Iterable[int]) -> int:
    """Return the known element most like `z`: the nearest covalent radius, elements of its own column first."""
    column = periodic_column(z)
    return min(
        known, key=lambda k: (periodic_column(k) != column, abs(covalent_radii[k] - covalent_radii[z]), abs(k - z))
    )


def periodic_column(z: int) -> int:
    """Return the group of the periodic table, 1-18, lanthanides and actinides counted as 3."""
    start, length = next(
        (s, n) for s, n in ((1, 2), (3, 8), (11, 8), (19, 18), (37, 18), (55, 32), (87, 32)) if z < s + n
    )
    place = z - start
    if length == 2:
        return 1 if place == 0 else 18
    if length == 8:
        return place + 1 if place < 2 else place + 11
    if length == 32 and place >= 2:
        return 3 if place < 17 else place - 13
    return place + 1


def as_statistical(potential: Potential) -> Statistical | None:
    """Return the statistical table inside a potential: itself, or the one term of a sum; None if there is none."""
    if isinstance(potential, Statistical):
        return potential
    found = [t for _, t in potential.terms if isinstance(t, Statistical)] if isinstance(potential, Sum) else []
    return found[0] if len(found) == 1 else None
