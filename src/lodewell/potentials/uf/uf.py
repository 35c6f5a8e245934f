"""Ultra-fast potentials: one-, two- and three-body energies in cubic B-splines (Xie, Rupp & Hennig, 2023).

E = Σ_i V1(Z_i) + Σ_{i<j} V2(r_ij) + Σ_i Σ_{j<k} V3(r_ij, r_ik, r_jk), npj Comput. Mater. 9, 162, eqs. 1 to 6, to which
an embedding may add functions of an atom's densities (see `lodewell.potentials.uf.embedding`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential, Uncertainty
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf._embedding_sums import add_embedding
from lodewell.potentials.uf._sums import sum_uf
from lodewell.potentials.uf.embedding import Embedding

if TYPE_CHECKING:
    from lodewell.potentials.uf.basis import UFBasis

from lodewell.potentials.uf.flat import Flat
from lodewell.potentials.uf.knowledge import Knowledge, UFRecord
from lodewell.potentials.uf.splines import Pair, Spline2, Spline3, Triple, name, numbers


class UF(Potential):
    """A potential of B-splines; `lodewell.fit_uf` makes one from labelled crystals.

    Args:
        energies: energy of a lone atom by atomic number, eV.
        pairs: curve by two atomic numbers, the smaller first; pairs that are missing do not interact.
        triples: function by the atomic numbers of the central atom and of the two others, the smaller first; with two
            equal ones it must be symmetric in its first two distances.
        embeddings: by atomic number.
        record: what a fit has left beside the coefficients.
    """

    kind = "uf"
    record: UFRecord

    def __init__(
        self,
        energies: Mapping[int, float],
        pairs: Mapping[Pair, Spline2],
        triples: Mapping[Triple, Spline3] | None = None,
        embeddings: Mapping[int, Embedding] | None = None,
        record: UFRecord | None = None,
    ) -> None:
        self.embeddings = dict(embeddings or {})
        self.energies = dict(energies)
        self.pairs = dict(pairs)
        self.triples = dict(triples or {})
        self.species = frozenset(self.energies)
        _check(self)
        ends = [s.axis.high for s in self.pairs.values()]
        ends += [axis.high for s in self.triples.values() for axis in s.axes[:2]]
        ends += [embedding.cutoff for embedding in self.embeddings.values()]
        self.cutoff = max(ends, default=0.0)
        self.record = record or UFRecord()

    @property
    def knowledge(self) -> Knowledge | None:
        """What the fit knows of its own errors."""
        return self.record.knowledge

    @property
    def distances(self) -> Mapping[Pair, Floats]:
        """How often each distance was met in the training data."""
        return self.record.distances

    @property
    def uncertain(self) -> bool:
        """Whether the covariance of the coefficients is known."""
        return self.knowledge is not None

    def uncertainty(self, crystals: Atoms | Sequence[Atoms]) -> list[Uncertainty]:
        """Return standard deviations from the covariance of the coefficients, and extrapolation grades.

        Raises:
            BadOption: when the potential was fitted without --uncertainty, or read from another code's file.
        """
        if self.knowledge is None:
            raise BadOption("this potential was made without uncertainties: fit it again with --uncertainty")
        basis = self._basis
        return [self.knowledge.of(basis, a) for a in ([crystals] if isinstance(crystals, Atoms) else crystals)]

    @cached_property
    def _basis(self) -> UFBasis:
        from lodewell.potentials.uf.basis import UFBasis

        return UFBasis.of(self)

    @cached_property
    def _flat(self) -> Flat:
        return Flat.of(self)

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum pairs and triples in one compiled loop, the embedding in another."""
        n, f = neighbours, self._flat
        geometry = (
            batch.positions_nc, batch.cell_bcc, batch.first_b, f.type_z[batch.species_n],
            n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
        )  # fmt: skip
        energies, forces, virials = sum_uf(*geometry, self.cutoff, *f.arrays)
        if self.embeddings:
            cutoff = max(embedding.cutoff for embedding in self.embeddings.values())
            add_embedding(energies, forces, virials, *geometry, cutoff, *f.embedding)
        return energies, forces, virials

    @property
    def sums_pairs(self) -> bool:
        """Whether there are neither triples nor an embedding."""
        return not (self.triples or self.embeddings)

    def pair_curve(self, first: int, second: int, r: Floats, variant: str | None = None) -> tuple[Floats, Floats]:
        """Return the spline of a pair; see `Potential.pair_curve`."""
        if not self.sums_pairs:
            return super().pair_curve(first, second, r, variant)
        r = np.asarray(r, dtype=np.float64)
        spline = self.pairs.get((min(first, second), max(first, second)))
        return (np.zeros_like(r), np.zeros_like(r)) if spline is None else (spline(r), spline(r, 1))

    def curve(self, pair: str, r: Floats) -> tuple[Floats, Floats]:
        """Return the two-body energy (eV) and its slope (eV/Å) of a pair such as "Si-Ge"."""
        a, b = sorted(atomic_numbers[s] for s in pair.split("-"))
        if (a, b) not in self.pairs:
            raise BadOption(f"this potential has no curve {pair}: it knows {', '.join(map(name, self.pairs))}")
        return self.pairs[a, b](r), self.pairs[a, b](r, 1)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold knots and coefficients of every spline."""
        arrays: dict[str, Any] = {}
        for pair, s in self.pairs.items():
            arrays[f"{name(pair)}.knots"] = s.axis.knots_k
            arrays[f"{name(pair)}.coefficients"] = s.coefficients_m
        for triple, v in self.triples.items():
            for x, axis in zip("xyz", v.axes, strict=True):
                arrays[f"{name(triple)}.{x}"] = axis.knots_k
            arrays[f"{name(triple)}.coefficients"] = v.coefficients_xyz
        meta: dict[str, Any] = {
            "energies": {chemical_symbols[z]: e for z, e in sorted(self.energies.items())},
            "pairs": [name(p) for p in self.pairs],
            "triples": [name(t) for t in self.triples],
        }
        embedded: dict[str, Any] = {}
        for z, embedding in self.embeddings.items():
            symbol = chemical_symbols[z]
            embedded[symbol], parts = embedding.state()
            arrays |= {f"{symbol}.embedding.{key}": part for key, part in parts.items()}
        meta["embeddings"] = embedded
        for pair, counts in self.distances.items():
            arrays[f"{name(pair)}.distances"] = counts
        if (known := self.knowledge) is not None:
            meta["knowledge"] = {k: getattr(known, k) for k in ("energy", "force", "stress", "grade")}
            arrays["factor"] = known.factor_pp[np.triu_indices(len(known.factor_pp))]
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> UF:
        """Make the potential from its knots and coefficients."""
        pairs = {numbers(p): Spline2(Axis(arrays[f"{p}.knots"]), arrays[f"{p}.coefficients"]) for p in meta["pairs"]}
        triples = {
            numbers(t): Spline3(
                (Axis(arrays[f"{t}.x"]), Axis(arrays[f"{t}.y"]), Axis(arrays[f"{t}.z"])), arrays[f"{t}.coefficients"]
            )
            for t in meta["triples"]
        }
        energies = {atomic_numbers[s]: float(e) for s, e in meta["energies"].items()}
        embeddings = {}
        for symbol, about in meta.get("embeddings", {}).items():
            start = f"{symbol}.embedding."
            parts = {key[len(start) :]: part for key, part in arrays.items() if key.startswith(start)}
            embeddings[atomic_numbers[symbol]] = Embedding.from_state(about, parts)
        potential = cls(energies, pairs, triples, embeddings)  # type: ignore[arg-type]
        ends = len(".distances")
        counts = {numbers(n[:-ends]): a for n, a in arrays.items() if n.endswith(".distances")}
        if any(len(pair) != 2 or a.ndim != 1 for pair, a in counts.items()):
            raise BadOption("the distances of a pair are one list of counts")
        potential = potential.with_record(distances=counts)
        if "knowledge" in meta:
            packed = arrays["factor"]
            size = round((np.sqrt(8 * len(packed) + 1) - 1) / 2)
            if size != potential._basis.columns:
                raise BadOption(f"the covariance is of {size} coefficients, but there are {potential._basis.columns}")
            factor = np.zeros((size, size), dtype=packed.dtype)
            factor[np.triu_indices(size)] = packed
            known = meta["knowledge"]
            energy, force, stress = ((float(a), float(b)) for a, b in (known[k] for k in ("energy", "force", "stress")))
            potential = potential.with_record(knowledge=Knowledge(factor, energy, force, stress, known["grade"]))
        return potential


def _check(potential: UF) -> None:
    known = potential.species or frozenset()
    for species in [*potential.pairs, *potential.triples]:
        if not known.issuperset(species) or list(species[-2:]) != sorted(species[-2:]):
            raise BadOption(f"the spline {name(species)} needs its last two elements in order, and their energies")
    if not known <= set(range(1, 119)) or not np.isfinite(list(potential.energies.values())).all():
        raise BadOption("energies of lone atoms must be finite numbers, by atomic number")
    for pair, curve in potential.pairs.items():
        if len(pair) != 2 or curve.coefficients_m.shape != (curve.axis.size,):
            raise BadOption(f"{name(pair)}: {curve.coefficients_m.shape} coefficients do not fit the axis")
    for z, embedding in potential.embeddings.items():
        if z not in known or not known.issuperset(d.neighbour for d in embedding.densities):
            raise BadOption(f"the embedding of {name([z])} needs elements with energies")
    for triple, s in potential.triples.items():
        c = s.coefficients_xyz
        if len(triple) != 3:
            raise BadOption(f"{name(triple)} is no triple")
        if c.shape != tuple(axis.size for axis in s.axes):
            raise BadOption(f"{name(triple)}: {c.shape} coefficients do not fit the axes")
        if triple[1] == triple[2] and not (
            np.array_equal(s.axes[0].knots_k, s.axes[1].knots_k) and np.array_equal(c, c.swapaxes(0, 1))
        ):
            raise BadOption(f"{name(triple)}: two equal neighbours need a function symmetric in their distances")
