"""What a fitted spline MEAM knows beyond its splines: what the data visited, and what its rivals would say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from lodewell.crystals.batch import Batch, Floats
from lodewell.crystals.neighbours.neighbours import neighbour_list
from lodewell.potentials.base import Uncertainty

if TYPE_CHECKING:
    from lodewell.potentials.meam.meam import MEAM


@dataclass(frozen=True)
class Coverage:
    """What the training data visited, as histograms of even bins.

    | field | meaning |
    |---|---|
    | `distance` | by pair: counts of distances in bins from 0 to `reach` Å |
    | `density` | by element: counts of n in bins over `density_range` |
    | `density_range` | by element: least and largest n |
    | `cosine` | by pair of neighbours: counts of cosines in bins from -1 to 1, both within the range of f |
    | `shortest` | by pair, Å |
    """

    reach: float
    distance: Mapping[str, Floats]
    density: Mapping[str, Floats]
    density_range: Mapping[str, tuple[float, float]]
    cosine: Mapping[str, Floats]
    shortest: Mapping[str, float]

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold it in JSON-like metadata and arrays by name."""
        meta = {
            "reach": self.reach,
            "density_range": {k: list(v) for k, v in self.density_range.items()},
            "shortest": dict(self.shortest),
        }
        arrays = {
            f"seen_{what}_{name}": np.asarray(counts)
            for what in ("distance", "density", "cosine")
            for name, counts in getattr(self, what).items()
        }
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> Coverage:
        """Make it again."""

        def named(what: str) -> dict[str, Floats]:
            start = f"seen_{what}_"
            return {key[len(start) :]: array for key, array in arrays.items() if key.startswith(start)}

        return cls(
            meta["reach"], named("distance"), named("density"),
            {k: (v[0], v[1]) for k, v in meta["density_range"].items()}, named("cosine"), meta["shortest"],
        )  # fmt: skip


@dataclass(frozen=True)
class Ensemble:
    """Rival fits to the same data, and how their spread becomes a variance: scale · spread + floor.

    `members` are all of them, the best one included; the pairs of numbers hold scale and floor for energies an atom
    (eV), forces (eV/Å) and stresses (eV/Å^3).
    """

    members: tuple[MEAM, ...]
    energy: tuple[float, float]
    force: tuple[float, float]
    stress: tuple[float, float]


def uncertainties(potential: MEAM, crystals: Sequence[Atoms], ensemble: Ensemble) -> list[Uncertainty]:
    """Return standard deviations from the spread of the members, and grades from what the data visited."""
    results = [member.evaluate(crystals) for member in ensemble.members]
    batch = Batch.from_atoms(list(crystals))
    grade_n = grades(potential, batch, list(crystals))
    out = []
    for b, atoms in enumerate(crystals):
        mine = [r[b] for r in results]
        scale, floor = ensemble.energy
        energy = np.sqrt(scale * np.var([r.energy / len(atoms) for r in mine]) + floor) * len(atoms)
        scale, floor = ensemble.force
        forces = np.sqrt(scale * np.var([r.forces_nc for r in mine], axis=0) + floor)
        scale, floor = ensemble.stress
        stresses = [r.stress_cc for r in mine if r.stress_cc is not None]
        stress = np.sqrt(scale * np.var(stresses, axis=0) + floor) if stresses else None
        out.append(Uncertainty(float(energy), forces, stress, grade_n[batch.slices[b]]))
    return out


def grades(potential: MEAM, batch: Batch, crystals: Sequence[Atoms]) -> Floats:
    """Return how far each atom is from the data, (N,): above 1 when n or a distance is outside what they visited.

    Of n: distance from the middle of its range over half the width. Of distances: shortest seen over shortest here.
    """
    seen = potential.coverage
    if seen is None:
        return np.full(len(batch.species_n), np.nan)
    n_n = potential.densities(batch)
    out = np.zeros(len(n_n))
    symbol_n = np.array([s for atoms in crystals for s in atoms.symbols])
    for symbol, (low, high) in seen.density_range.items():
        mine = symbol_n == symbol
        half = max(0.5 * (high - low), 1e-12)
        out[mine] = np.abs(n_n[mine] - 0.5 * (low + high)) / half
    for b, atoms in enumerate(crystals):
        first = int(batch.first_b[b])
        i_p, j_p, _, vector_pc = neighbour_list(atoms, max(seen.shortest.values(), default=0.0))
        for i, j, r in zip(i_p.tolist(), j_p.tolist(), np.linalg.norm(vector_pc, axis=1).tolist(), strict=True):
            a, c = sorted((symbol_n[first + i], symbol_n[first + j]), key=potential.symbols.index)
            known = seen.shortest.get(f"{a}-{c}")
            ratio = np.inf if known is None else known / max(r, 1e-9)
            out[first + i] = max(out[first + i], ratio if ratio > 1.0 else 0.0)
    return out


@dataclass(frozen=True, eq=False)
class MEAMRecord:
    """What a fit has left beside the splines.

    Attributes:
        coverage: where on each spline the training data lie.
        ensemble: rivals, whose spread tells the errors.
    """

    coverage: Coverage | None = None
    ensemble: Ensemble | None = None
