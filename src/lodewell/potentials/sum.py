"""Sums of potentials with factors: ``a + b``, ``0.5 * a``, ``a - b``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential


class Sum(Potential):
    """Σ factor · potential. The cutoff is the longest; only species that every term knows are known."""

    kind: ClassVar[str] = "sum"

    def __init__(self, terms: Sequence[tuple[float, Potential]]) -> None:
        if not terms or not all(isinstance(f, int | float) and math.isfinite(f) for f, _ in terms):
            raise BadOption("a sum needs a term at least, each with a number as its factor")
        flat: list[tuple[float, Potential]] = []
        for factor, term in terms:
            flat += [(factor * f, t) for f, t in term.terms] if isinstance(term, Sum) else [(factor, term)]
        self.terms: list[tuple[float, Potential]] = flat
        self.cutoff = max(t.cutoff for _, t in flat)
        known = [t.species for _, t in flat if t.species is not None]
        self.species = frozenset.intersection(*known) if known else None
        self.calibrated = all(t.calibrated for _, t in flat)
        # A list holding each pair once serves only families that ask for it; pair families accept both.
        self.half_list = all(t.half_list for _, t in flat)

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Add the terms, each on the shared neighbour list."""
        energies = np.zeros(len(batch.species_n))
        forces = np.zeros((len(batch.species_n), 3))
        virials = np.zeros((len(batch), 3, 3))
        for factor, term in self.terms:
            e_n, f_nc, virial_bcc = term.compute(batch, neighbours)
            energies += factor * e_n
            forces += factor * f_nc
            virials += factor * virial_bcc
        return energies, forces, virials

    def unsupported(self, species_n: Any) -> str | None:
        """Say which term lacks which element."""
        for _, term in self.terms:
            if why := term.unsupported(species_n):
                return f"{term.kind}: {why}"
        return None

    def excess_charge(self, atoms: Atoms) -> float:
        """Return the largest of any term."""
        return max((term.excess_charge(atoms) for _, term in self.terms), key=abs)

    @property
    def sums_pairs(self) -> bool:
        """Whether every term is."""
        return all(term.sums_pairs for _, term in self.terms)

    def pair_curve(self, first: int, second: int, r: Floats, variant: str | None = None) -> tuple[Floats, Floats]:
        """Add the curves of the terms; see `Potential.pair_curve`."""
        u, du = np.zeros_like(r, dtype=float), np.zeros_like(r, dtype=float)
        for factor, term in self.terms:
            term_u, term_du = term.pair_curve(first, second, r, variant)
            u += factor * term_u
            du += factor * term_du
        return u, du

    def __repr__(self) -> str:
        return " + ".join(f"{factor:g} * {term!r}" if factor != 1.0 else repr(term) for factor, term in self.terms)

    def refuses(self, atoms: Atoms) -> str | None:
        """Say which term cannot compute a crystal, and why."""
        for _, term in self.terms:
            if why := term.refuses(atoms):
                return f"{term.kind}: {why}"
        return None

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold the state of every term, numbered."""
        meta: dict[str, Any] = {"terms": []}
        arrays: dict[str, Any] = {}
        for k, (factor, term) in enumerate(self.terms):
            term_meta, term_arrays = term.state()
            meta["terms"].append({"factor": factor, "kind": term.kind, "meta": term_meta})
            arrays |= {f"{k}.{name}": value for name, value in term_arrays.items()}
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> Sum:
        """Make every term again."""
        from lodewell.potentials.store import family

        terms = []
        for k, entry in enumerate(meta["terms"]):
            own = {name.split(".", 1)[1]: value for name, value in arrays.items() if name.startswith(f"{k}.")}
            terms.append((entry["factor"], family(entry["kind"]).from_state(entry["meta"], own)))
        return cls(terms)
