"""Do stresses agree with energies? Frames that differ by a small strain tell, and with them wrong units and signs.

Between two such frames the energy changes by ΔE = ½ (V0 σ0 + V1 σ1):ε - ½ Σ (F0 + F1)·u, with the logarithmic strain ε
and the displacements u beyond it, up to third order. Regressing ΔE on this shows stresses in GPa or kbar (a slope of
1/160 or 1/1602) or of the opposite sign (-1); what is left goes with ΔV and is a constant pressure: the Pulay stress
of a plane-wave basis that is too small. Absolute deviations are minimised, so that a wrong frame does not matter.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
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
PER_EV = (  # a unit of stress in eV/Å^3, and what it is called
    (160.2177, "GPa: divide them by 160.2177"),
    (1602.177, "kbar: divide them by 1602.177"),
    (1 / 91.8159, "Ry/Bohr^3: multiply them by 91.8159"),
    (1 / 183.6318, "Ha/Bohr^3: multiply them by 183.6318"),
)
NOTABLE_PAIRS = 15
NOTABLE_OFFSET = 0.5 * GPa
NOTABLE_SHARE = 0.3  # of the disagreement that a constant pressure must explain


@dataclass(frozen=True)
class Agreement:
    """What pairs of strained frames say.

    slope: of ΔE, less the work of forces, against the work of stress. joint_slope: the same beside a constant offset.
    offset: of the diagonal of the stress, eV/Å^3. explained: share of the disagreement that it explains.
    """

    pairs: int
    slope: float
    joint_slope: float
    offset: float
    explained: float

    @property
    def agrees(self) -> bool:
        """Whether stresses and energies say the same, up to a constant pressure."""
        return any(AGREES[0] <= slope <= AGREES[1] for slope in (self.slope, self.joint_slope))

    def refusal(self) -> str | None:
        """Say what is wrong with the stresses when it is their unit or their sign."""
        start = f"stresses and energies contradict each other in {self.pairs} pairs of strained frames"
        if self.agrees:
            return None
        if AGREES[0] <= -self.slope <= AGREES[1]:
            return f"{start}: the sign of the stress is reversed; positive under tension is wanted, so multiply by -1"
        for factor, cure in PER_EV:
            if AGREES[0] <= abs(self.slope) * factor <= AGREES[1]:
                sign = "of the opposite sign and " if self.slope < 0 else ""
                return f"{start}: the stresses are {sign}in {cure}"
        return None

    def note(self) -> str | None:
        """Say when stresses and energies disagree otherwise, above all when all stresses are off by one pressure."""
        pairs = f"({self.pairs} pairs of strained frames)"
        if not self.agrees:
            return (
                f"energies change {self.slope:.2g} times as much as stresses say {pairs}; look at both, or leave the"
                " stresses out with --stress none"
            )
        if self.pairs < NOTABLE_PAIRS or abs(self.offset) < NOTABLE_OFFSET or self.explained < NOTABLE_SHARE:
            return None
        return (
            f"the diagonal of the stresses is about {self.offset / GPa:+.1f} GPa off what energies imply {pairs}, as"
            " with a small plane-wave basis (Pulay stress); --stress deviatoric leaves the pressure out"
        )


class StrainCheck:
    """Collects frames that are one crystal strained, in little memory."""

    def __init__(self) -> None:
        self._groups: OrderedDict[tuple[bytes, bytes], list[Labelled]] = OrderedDict()
        # ΔE less the work of forces, the work of stress, ΔV, each per atom; the largest strain; and the two frames.
        self._pairs: list[tuple[float, float, float, float]] = []
        self._places: list[tuple[tuple[str, int], tuple[str, int]]] = []

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
        self._pairs.append((change / n, work / n, (v1 - v0) / n, largest))
        self._places.append(((a.file, a.frame), (b.file, b.frame)))

    def agreement(self, without: Set[tuple[str, int]] = frozenset()) -> Agreement | None:
        """Return what the pairs say, or None when they are too few or their energies change too little.

        without: frames that do not count, as (file, frame).
        """
        pairs = [p for p, places in zip(self._pairs, self._places, strict=True) if without.isdisjoint(places)]
        if len(pairs) < LEAST_PAIRS:
            return None
        change, work, volume, strain = np.array(pairs).T
        if np.sqrt(np.mean(change**2)) < LEAST_CHANGE or not work.any():
            return None
        slope = _least_absolute(work[:, None], change)[0]
        joint = _least_absolute(np.stack([work, volume], axis=1), change)[0]
        # What the formula leaves out grows as the cube of the strain: the larger ones count less.
        rest, lever, scale = change - work, volume / strain**2, 1.0 / strain**2
        offset = _least_absolute(lever[:, None], rest * scale)[0] if volume.any() else 0.0
        left = np.abs(rest * scale - offset * lever).sum() / max(np.abs(rest * scale).sum(), 1e-30)
        return Agreement(len(pairs), float(slope), float(joint), -float(offset), 1.0 - float(left))


def _least_absolute(a_mk: Floats, b_m: Floats) -> Floats:
    """Return x with the least sum of |a x - b|, by least squares weighted anew with the deviations."""
    weight_m = np.ones(len(b_m))
    x_k: Floats = np.zeros(a_mk.shape[1])
    for _ in range(30):
        x_k = np.asarray(np.linalg.lstsq(a_mk * weight_m[:, None], b_m * weight_m, rcond=None)[0])
        deviation_m = np.abs(a_mk @ x_k - b_m)
        weight_m = 1.0 / np.sqrt(np.maximum(deviation_m, 1e-3 * float(np.median(deviation_m)) + 1e-12))
    return x_k


def _work_of_forces(a: Labelled, b: Labelled, forces0_nc: Floats, forces1_nc: Floats) -> float:
    """Return ½ Σ (F0 + F1)·u, with the displacements beyond the strain, less the drift of the whole crystal."""
    scaled = [np.linalg.solve(frame.atoms.cell.array.T, frame.atoms.positions.T).T for frame in (a, b)]
    moved = scaled[1] - scaled[0]
    moved -= np.round(moved - moved[0])
    moved -= moved.mean(axis=0)
    return 0.5 * float(np.sum((forces0_nc + forces1_nc) * (moved @ a.atoms.cell.array)))
