"""Do stresses agree with energies? Frames that differ by a small strain tell, and with them wrong units and signs.

Between two such frames the energy changes by ΔE = ½ (V0 σ0 + V1 σ1):ε - ½ Σ (F0 + F1)·u, with the logarithmic strain ε
and the displacements u beyond it, up to third order. Regressing ΔE on this shows stresses in GPa or kbar (a slope of
1/160 or 1/1602) or of the opposite sign (-1); what is left goes with ΔV and is a constant pressure: the Pulay stress
of a plane-wave basis that is too small. Absolute deviations are minimised, so that a wrong frame does not matter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from ase.units import GPa

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.forces import SIX, least_absolute, ratio
from lodewell.crystals.labels.units import Ratio, shear_order

if TYPE_CHECKING:
    from lodewell.crystals.labels.read import Labelled

GRID = 24  # fractional coordinates that round to the same place of a grid belong to one crystal
KEPT_GROUPS = 300  # crystals that wait for a partner
KEPT_FRAMES = 60  # strained frames a crystal
LARGEST_STRAIN = 0.12
SMALLEST_STRAIN = 1e-4
LEAST_PAIRS = 4
LEAST_CHANGE = 1e-3  # eV/atom: rms of ΔE, or of the work of stress, that tells anything
AGREES = (0.6, 1.6)  # slopes
LEAST_SHEARED = 12  # pairs from which moduli are taken
NOTABLE_PAIRS = 15
NOTABLE_OFFSET = 0.5 * GPa
NOTABLE_SHARE = 0.3  # of the disagreement that a constant pressure must explain


@dataclass(frozen=True)
class Agreement:
    """What pairs of strained frames say.

    ratio: of ΔE, less the work of forces, over the work of stress, 1 where they agree up to a constant pressure.
    offset: of the diagonal of the stress, eV/Å^3. explained: share of the disagreement that it explains.
    order: of the shears, see `shear_order`.
    """

    ratio: Ratio
    offset: float
    explained: float
    order: tuple[str, ...]

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """The ratio, as of other checks."""
        return (self.ratio,)

    def note(self) -> str | None:
        """Say when stresses and energies disagree otherwise, above all when all stresses are off by one pressure."""
        pairs = f"({self.ratio.count} pairs of strained frames)"
        if not AGREES[0] <= self.ratio.value <= AGREES[1]:
            return (
                f"energies change {self.ratio.value:.2g} times as much as stresses say {pairs}; look at both, or leave"
                " the stresses out with --stress none"
            )
        if self.ratio.count < NOTABLE_PAIRS or abs(self.offset) < NOTABLE_OFFSET or self.explained < NOTABLE_SHARE:
            return None
        return (
            f"the diagonal of the stresses is about {self.offset / GPa:+.1f} GPa off what energies imply {pairs}, as"
            " with a small plane-wave basis (Pulay stress); --stress deviatoric leaves the pressure out"
        )


@dataclass(frozen=True, eq=False)
class StrainPair:
    """Two frames of one crystal: ΔE less the work of forces, work of stress, ΔV, each per atom; the largest strain.

    strain_k, stress_k: strain and change of stress, xx yy zz yz xz xy; volume: of the cell. frames: as (file, frame).
    """

    change: float
    work: float
    volume_change: float
    largest: float
    strain_k: Floats
    stress_k: Floats
    volume: float
    frames: tuple[tuple[str, int], tuple[str, int]]


class StrainCheck:
    """Collects frames that are one crystal strained, in little memory."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[bytes, bytes], list[Labelled]] = OrderedDict()
        self._pairs: list[StrainPair] = []

    def add(self, frame: Labelled) -> None:
        """Look at a frame, and compare it with the first and the last one of its kind."""
        if frame.stress_cc is None or frame.energy is None:
            return
        fractional = np.linalg.solve(frame.atoms.cell.array.T, frame.atoms.positions.T).T
        place = np.floor((fractional - fractional[0]) * GRID + 0.5).astype(np.int64) % GRID
        key = (frame.atoms.numbers.tobytes(), place.astype(np.int8).tobytes())
        group = self._groups.setdefault(key, [])
        if len(group) < KEPT_FRAMES:
            for other in group[:1] + group[1:][-1:]:
                self._compare(other, frame)
            group.append(frame)
        if len(self._groups) > KEPT_GROUPS:
            lonely = next((k for k, g in self._groups.items() if len(g) == 1), next(iter(self._groups)))
            del self._groups[lonely]

    def _compare(self, a: Labelled, b: Labelled) -> None:
        assert a.stress_cc is not None
        assert b.stress_cc is not None
        assert a.energy is not None
        assert b.energy is not None
        h0, h1 = a.atoms.cell.array, b.atoms.cell.array
        u, stretch, vt = np.linalg.svd(np.linalg.solve(h0, h1).T)
        largest = float(np.abs(np.log(stretch)).max())
        if not SMALLEST_STRAIN < largest < LARGEST_STRAIN:
            return
        rotation, strain = u @ vt, (vt.T * np.log(stretch)) @ vt
        v0, v1 = a.atoms.get_volume(), b.atoms.get_volume()
        turned = rotation.T @ b.stress_cc @ rotation
        work = 0.5 * float(np.sum(strain * (v0 * a.stress_cc + v1 * turned)))
        change = b.energy - a.energy
        if a.forces_nc is not None and b.forces_nc is not None:
            change += _work_of_forces(a, b, a.forces_nc, b.forces_nc @ rotation)
        n = len(a.atoms)
        self._pairs.append(StrainPair(
            change / n, work / n, (v1 - v0) / n, largest, strain[SIX[:, 0], SIX[:, 1]],
            (turned - a.stress_cc)[SIX[:, 0], SIX[:, 1]], v0, ((a.file, a.frame), (b.file, b.frame)),
        ))  # fmt: skip

    def agreement(self, without: Set[tuple[str, int]] = frozenset()) -> Agreement | None:
        """Return what the pairs say, or None when they are too few or their energies change too little.

        without: frames that do not count, as (file, frame).
        """
        pairs = [p for p in self._pairs if without.isdisjoint(p.frames)]
        if len(pairs) < LEAST_PAIRS:
            return None
        change, work, volume, strain = (
            np.array([getattr(p, name) for p in pairs]) for name in ("change", "work", "volume_change", "largest")
        )
        if np.sqrt(max(np.mean(change**2), np.mean(work**2))) < LEAST_CHANGE or not work.any():
            return None
        size = float(np.median([p.volume for p in pairs]))
        slope = ratio(("energy", "stress"), work, change, len(pairs), size)
        if slope is None:
            return None
        joint = float(least_absolute(np.stack([work, volume], axis=1), change)[0])
        if AGREES[0] <= joint <= AGREES[1]:
            slope = replace(slope, value=1.0, spread=0.0, match=1.0)
        # What the formula leaves out grows as the cube of the strain: the larger ones count less.
        rest, lever, scale = change - work, volume / strain**2, 1.0 / strain**2
        offset = float(least_absolute(lever[:, None], rest * scale)[0]) if volume.any() else 0.0
        left = np.abs(rest * scale - offset * lever).sum() / max(np.abs(rest * scale).sum(), 1e-30)
        return Agreement(slope, -offset, 1.0 - float(left), _order(pairs))


def _order(pairs: list[StrainPair]) -> tuple[str, ...]:
    """Tell in which order shears stand: a stable crystal has a matrix of moduli that is positive definite.

    Of such a matrix the trace is larger than the sum over any other order of its columns.
    """
    strain_pk, stress_pk = (np.array([getattr(p, name) for p in pairs]) for name in ("strain_k", "stress_k"))
    if len(pairs) < LEAST_SHEARED or not (np.sqrt(np.mean(strain_pk[:, 3:] ** 2, axis=0)) > SMALLEST_STRAIN).all():
        return ()
    square_kk = strain_pk.T @ strain_pk
    moduli_kk = np.linalg.solve(square_kk + 1e-3 * np.trace(square_kk) / 6 * np.eye(6), strain_pk.T @ stress_pk).T
    shears_kk = moduli_kk[3:, 3:]
    return shear_order(shears_kk) or shear_order(-shears_kk)


def _work_of_forces(a: Labelled, b: Labelled, forces0_nc: Floats, forces1_nc: Floats) -> float:
    """Return ½ Σ (F0 + F1)·u, with the displacements beyond the strain, less the drift of the whole crystal."""
    scaled = [np.linalg.solve(frame.atoms.cell.array.T, frame.atoms.positions.T).T for frame in (a, b)]
    moved = scaled[1] - scaled[0]
    moved -= np.round(moved - moved[0])
    moved -= moved.mean(axis=0)
    return 0.5 * float(np.sum((forces0_nc + forces1_nc) * (moved @ a.atoms.cell.array)))
