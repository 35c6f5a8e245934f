"""Do stresses agree with energies? Frames that differ by a small strain tell, and with them wrong units and signs.

Between two such frames the energy changes by ΔE = ½ (V0 σ0 + V1 σ1):ε - ½ Σ (F0 + F1)·u, with the logarithmic strain ε
and the displacements u beyond it, up to third order. Regressing ΔE on this shows stresses in GPa or kbar (a slope of
1/160 or 1/1602) or of the opposite sign (-1); what is left goes with ΔV and is a constant pressure: the Pulay stress
of a plane-wave basis that is too small.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.units import GPa

from lodewell.crystals.batch import Floats

if TYPE_CHECKING:
    from lodewell.crystals.labels import Labelled

GRID = 24  # fractional coordinates that round to the same place of a grid belong to one crystal
KEPT_GROUPS = 300  # crystals that wait for a partner
KEPT_FRAMES = 60  # strained frames a crystal
LARGEST_STRAIN = 0.12
SMALLEST_STRAIN = 1e-4
LEAST_PAIRS = 4
LEAST_CHANGE = 1e-3  # eV/atom: rms of ΔE that tells anything
AGREES = (0.6, 1.6)  # slopes
UNITS = ((1 / 160.2177, "in GPa: divide them by 160.2177"), (1 / 1602.177, "in kbar: divide them by 1602.177"))
NOTABLE_PAIRS = 15
NOTABLE_OFFSET = 0.5 * GPa
NOTABLE_SHARE = 0.5  # of the disagreement that a constant pressure must explain


@dataclass(frozen=True)
class Agreement:
    """What pairs of strained frames say.

    slope: of ΔE against the work of stress and forces. joint_slope: the same beside a constant offset. offset: of the
    diagonal of the stress, eV/Å^3. explained: share of the disagreement that it explains.
    """

    pairs: int
    slope: float
    joint_slope: float
    offset: float
    explained: float

    def refusal(self) -> str | None:
        """Say what is wrong with the stresses, if anything."""
        if any(AGREES[0] <= slope <= AGREES[1] for slope in (self.slope, self.joint_slope)):
            return None
        start = f"stresses and energies contradict each other in {self.pairs} pairs of strained frames"
        if AGREES[0] <= -self.slope <= AGREES[1]:
            return f"{start}: the sign of the stress is reversed; positive under tension is wanted, so multiply by -1"
        for slope, cure in UNITS:
            if AGREES[0] * slope <= abs(self.slope) <= AGREES[1] * slope:
                sign = "of the opposite sign and " if self.slope < 0 else ""
                return f"{start}: the stresses are {sign}{cure}"
        return (
            f"{start}: energies change {self.slope:.3g} times as much as stresses say; check the units, or fit without"
            " stresses (--stress none)"
        )

    def note(self) -> str | None:
        """Say when all stresses are off by the same pressure."""
        if self.pairs < NOTABLE_PAIRS or abs(self.offset) < NOTABLE_OFFSET or self.explained < NOTABLE_SHARE:
            return None
        return (
            f"the diagonal of the stresses is about {self.offset / GPa:+.1f} GPa off what energies imply"
            f" ({self.pairs} pairs of strained frames), as with a small plane-wave basis (Pulay stress);"
            " --stress deviatoric leaves the pressure out"
        )


class StrainCheck:
    """Collects frames that are one crystal strained, in little memory."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[bytes, bytes], list[Labelled]] = OrderedDict()
        self._pairs: list[tuple[float, float, float]] = []  # ΔE, work, ΔV, each per atom

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
        if not SMALLEST_STRAIN < np.abs(np.log(stretch)).max() < LARGEST_STRAIN:
            return
        rotation, strain = u @ vt, (vt.T * np.log(stretch)) @ vt
        v0, v1 = a.atoms.get_volume(), b.atoms.get_volume()
        turned = rotation.T @ b.stress_cc @ rotation
        work = 0.5 * float(np.sum(strain * (v0 * a.stress_cc + v1 * turned)))
        if a.forces_nc is not None and b.forces_nc is not None:
            work -= _work_of_forces(a, b, a.forces_nc, b.forces_nc @ rotation)
        n = len(a.atoms)
        self._pairs.append(((b.energy - a.energy) / n, work / n, (v1 - v0) / n))

    def agreement(self) -> Agreement | None:
        """Return what the pairs say, or None when they are too few or their energies change too little."""
        if len(self._pairs) < LEAST_PAIRS:
            return None
        change, work, volume = np.array(self._pairs).T
        if np.sqrt(np.mean(change**2)) < LEAST_CHANGE or not work.any():
            return None
        rest = change - work
        offset = -float(rest @ volume / (volume @ volume)) if volume.any() else 0.0
        left = rest + offset * volume
        explained = 1.0 - float(left @ left) / max(float(rest @ rest), 1e-30)
        joint = np.linalg.lstsq(np.stack([work, volume], axis=1), change, rcond=None)[0]
        return Agreement(len(change), float(change @ work / (work @ work)), float(joint[0]), offset, explained)


def _work_of_forces(a: Labelled, b: Labelled, forces0_nc: Floats, forces1_nc: Floats) -> float:
    """Return ½ Σ (F0 + F1)·u, with the displacements beyond the strain, less the drift of the whole crystal."""
    scaled = [np.linalg.solve(frame.atoms.cell.array.T, frame.atoms.positions.T).T for frame in (a, b)]
    moved = scaled[1] - scaled[0]
    moved -= np.round(moved - moved[0])
    moved -= moved.mean(axis=0)
    return 0.5 * float(np.sum((forces0_nc + forces1_nc) * (moved @ a.atoms.cell.array)))
