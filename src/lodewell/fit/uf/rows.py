"""The rows of a UF fit: what a labelled crystal says of the coefficients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled, LabelledChunk
from lodewell.crystals.voigt import SIX
from lodewell.fit.data import Folds, frame_weight, stress_rows
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.fit.reference import References
from lodewell.fit.uf.options import UFOptions
from lodewell.potentials.uf.basis import UFBasis

ENERGY, FORCE, STRESS = "energy", "force", "stress"


@dataclass(frozen=True)
class UFRows:
    """Makes the rows of a frame; can be sent to workers.

    sorts: config_types whose rows are kept apart. The energies of lone atoms that are known have no freedom.
    """

    basis: UFBasis
    references: References
    options: UFOptions
    folds: Folds
    sorts: frozenset[str]

    def rows(self, frame: Labelled) -> Iterator[tuple[str, Floats, Floats]]:
        """Yield rows (M, P) and labels (M,) of energy per atom (eV), forces (eV/Å) and stress (eV/Å^3)."""
        rows, count, basis = self.basis.rows(frame.atoms), len(frame.atoms), self.basis
        if frame.energy is not None:
            binding = frame.energy - self.references.energy_of(frame.atoms.numbers)
            energy_np = rows.energy_np / count
            energy_np[:, [t for t, z in enumerate(basis.species) if z in self.references.known]] = 0.0
            yield ENERGY, energy_np, np.array([binding / count])
        if frame.forces_nc is not None:
            yield FORCE, rows.forces_ncp.reshape(-1, basis.columns), frame.forces_nc.ravel()
        if frame.stress_cc is not None and len(wanted := stress_rows(self.options)):
            stress_vp = -rows.virial_vp / frame.atoms.get_volume()
            yield STRESS, wanted @ stress_vp, wanted @ frame.stress_cc[SIX]

    def fold(self, frame: Labelled, streamed: LinearSystem) -> None:
        """Fold the rows of a frame, with its weight."""
        fold, weight = self.folds.of(frame), frame_weight(frame, self.options)
        sort = f"/{frame.config_type}" if frame.config_type in self.sorts else ""
        for kind, rows_mp, targets_m in self.rows(frame):
            streamed.add(kind + sort, fold, rows_mp, targets_m, weight)

    def fold_chunk(self, chunk: LabelledChunk) -> tuple[LinearSystem, int]:
        """Fold the rows of some frames; return them and the number of frames (runs in the workers)."""
        streamed = LinearSystem(self.basis.columns)
        frames = chunk.read()[0]
        for frame in frames:
            self.fold(frame, streamed)
        return streamed, len(frames)
