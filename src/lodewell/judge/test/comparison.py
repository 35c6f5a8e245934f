"""A stream of labelled crystals held against a potential, and everything that is added up on the way."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from ase.data import chemical_symbols

from lodewell.batching import greedy
from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.labels.read import Labelled, Refusal
from lodewell.crystals.validate import validate
from lodewell.crystals.voigt import six
from lodewell.errors import BadFile
from lodewell.judge.test.errors import KINDS, UNITS, Errors, Group, Points
from lodewell.judge.test.nearest import nearest_n
from lodewell.judge.test.tally import Calibration, CalibrationTally, Sample, Tally
from lodewell.potentials.base import Potential, Result, Uncertainty
from lodewell.progress import Progress, silent

logger = logging.getLogger(__name__)

_ATOMS, _FRAMES = 4_000, 200  # of one batch
_FLOOR = {"energy": 1e-7, "force": 1e-5, "stress": 1e-7}  # standard deviations below this are rounding


def errors_of(
    potential: Potential,
    labelled: Iterable[Labelled],
    *,
    name: str = "",
    refused: list[Refusal] | None = None,
    uncertainty: bool = True,
    points: int = 100_000,
    progress: Progress = silent,
    total: int | None = None,
) -> Errors:
    """Compare a potential with a stream of labelled crystals; `refused` may hold, or get, those left out.

    total: number of frames, if it is known.
    """
    work = Tallies(potential, [] if refused is None else refused, uncertainty and potential.uncertain, points)
    done = 0
    for batch in greedy(labelled, lambda frame: len(frame.atoms), _ATOMS, _FRAMES):
        good = [frame for frame in batch if work.admit(frame)]
        work.compare(good)
        done += len(batch)
        progress("testing", done, total)
    return work.errors(name or potential.kind)


class _Sums:
    """Running sums of one group."""

    def __init__(self) -> None:
        self.frames = self.atoms = 0
        self.tally = {kind: Tally() for kind in (*KINDS, "vector", "pressure")}
        self.bars = {kind: CalibrationTally(_FLOOR[kind]) for kind in KINDS}

    def group(self) -> Group:
        t = self.tally
        return Group(
            self.frames, self.atoms, t["energy"].error(UNITS["energy"]), t["force"].error(UNITS["force"]),
            t["vector"].error(UNITS["force"]), t["stress"].error(UNITS["stress"]),
            t["pressure"].error(UNITS["stress"]),
        )  # fmt: skip

    def calibration(self) -> dict[str, Calibration]:
        return {kind: found for kind, tally in self.bars.items() if (found := tally.calibration()) is not None}


class Tallies:
    """Everything that is added up on the way."""

    def __init__(self, potential: Potential, refused: list[Refusal], uncertain: bool, points: int) -> None:
        self.potential, self.refused, self.uncertain = potential, refused, uncertain
        self.overall = _Sums()
        self.groups: defaultdict[str, _Sums] = defaultdict(_Sums)
        self.element: defaultdict[int, Tally] = defaultdict(Tally)
        self.grade = {"above 1": Tally(), "up to 1": Tally()}
        rng = np.random.default_rng(0)
        self.sample = {kind: Sample(w, points, rng) for kind, w in (("energy", 5), ("force", 11), ("stress", 19))}
        self.kinds: dict[str, int] = {}

    def admit(self, frame: Labelled) -> bool:
        """Tell whether a frame can be compared, and note why not."""
        if frame.energy is None and frame.forces_nc is None and frame.stress_cc is None:
            why: str | None = "it has neither energy nor forces nor stress"
        else:
            why = validate(frame.atoms) or self.potential.refuses(frame.atoms)
        if why is not None:
            self.refused.append(Refusal(frame.file, frame.frame, why))
        return why is None

    def compare(self, frames: list[Labelled]) -> None:
        """Compute the frames together, or one by one if the potential stumbles over one of them."""
        if not frames:
            return
        atoms = [frame.atoms for frame in frames]
        try:
            with np.errstate(all="ignore"):
                results = self.potential.evaluate(atoms)
                bars = self.potential.uncertainty(atoms) if self.uncertain else [None] * len(frames)
        except Exception as error:  # potentials of others raise anything
            if len(frames) > 1:
                for frame in frames:
                    self.compare([frame])
                return
            logger.debug("%s failed", frames[0].where, exc_info=True)
            why = f"the potential failed: {type(error).__name__}: {' '.join(str(error).split())}"
            self.refused.append(Refusal(frames[0].file, frames[0].frame, why))
            return
        batch = Batch.from_atoms(atoms)
        near_n = nearest_n(batch)
        for frame, result, bar, s in zip(frames, results, bars, batch.slices, strict=True):
            if np.isfinite(result.energy) and np.isfinite(result.forces_nc).all():
                self._add(frame, result, bar, near_n[s])
            else:
                self.refused.append(Refusal(frame.file, frame.frame, "the potential's energy or forces are not finite"))

    def _add(self, frame: Labelled, result: Result, bar: Uncertainty | None, near_n: Floats) -> None:
        kind = self.kinds.setdefault(frame.config_type, len(self.kinds))
        both = (self.overall, self.groups[frame.config_type])
        for sums in both:
            sums.frames += 1
            sums.atoms += len(frame.atoms)
        if frame.energy is not None:
            self._energy(frame.energy, frame.atoms.numbers, result, bar, near_n, kind, both)
        if frame.forces_nc is not None:
            self._forces(frame.forces_nc, frame.atoms.numbers, result, bar, near_n, kind, both)
        if frame.stress_cc is not None and result.stress_cc is not None:
            self._stress(frame.stress_cc, result.stress_cc, None if bar is None else bar.stress_cc, kind, both)

    def _energy(
        self, reference: float, species_n: Ints, result: Result, bar: Uncertainty | None, near_n: Floats, kind: int,
        both: tuple[_Sums, _Sums],
    ) -> None:  # fmt: skip
        n = len(species_n)
        error = (result.energy - reference) / n
        sigma = np.nan if bar is None else bar.energy / n
        for sums in both:
            sums.tally["energy"].add(error, reference / n)
            sums.bars["energy"].add([error], [sigma])
        row = [reference / n, result.energy / n, sigma, float(near_n.min()), kind]
        self.sample["energy"].add(np.array([row]))

    def _forces(
        self, reference: Floats, species_n: Ints, result: Result, bar: Uncertainty | None, near_n: Floats, kind: int,
        both: tuple[_Sums, _Sums],
    ) -> None:  # fmt: skip
        error = result.forces_nc - reference
        sigma = np.full(error.shape, np.nan) if bar is None else bar.forces_nc
        for sums in both:
            sums.tally["force"].add(error, reference)
            sums.tally["vector"].add(np.linalg.norm(error, axis=1))
            sums.bars["force"].add(error, sigma)
        for z in np.unique(species_n).tolist():
            self.element[z].add(error[species_n == z])
        if bar is not None:
            self.grade["above 1"].add(error[bar.grade_n > 1.0])
            self.grade["up to 1"].add(error[bar.grade_n <= 1.0])
        self.sample["force"].add(np.column_stack(
            [reference, result.forces_nc, sigma, near_n, np.full(len(error), float(kind))]
        ))  # fmt: skip

    def _stress(
        self, reference: Floats, stress: Floats, bar: Floats | None, kind: int, both: tuple[_Sums, _Sums]
    ) -> None:
        wanted, got = six(reference), six(stress)
        sigma = np.full(6, np.nan) if bar is None else six(bar)
        for sums in both:
            sums.tally["stress"].add(got - wanted, wanted)
            sums.bars["stress"].add(got - wanted, sigma)
            sums.tally["pressure"].add(-float((got - wanted)[:3].mean()))
        self.sample["stress"].add(np.concatenate([wanted, got, sigma, [kind]])[None])

    def _rows(self, kind: str) -> Floats:
        return self.sample[kind].rows()

    def errors(self, name: str) -> Errors:
        """Return the result.

        Raises:
            BadFile: when no frame could be compared.
        """
        if not self.overall.frames:
            why = f"; the first: {self.refused[0]}" if self.refused else ""
            raise BadFile(f"no frame could be compared{why}")
        named = [kind for kind in self.kinds if kind]
        groups = {kind or "(none)": self.groups[kind].group() for kind in sorted(self.kinds)} if named else {}
        bars = {kind or "(none)": self.groups[kind].calibration() for kind in sorted(self.kinds)} if named else {}
        grades = {name: t.error(UNITS["force"]) for name, t in self.grade.items()} if self.uncertain else {}
        return Errors(
            name, self.overall.group(), groups,
            {chemical_symbols[z]: self.element[z].error(UNITS["force"]) for z in sorted(self.element)},
            self.overall.calibration(), bars if self.uncertain else {}, grades, tuple(self.refused),
            Points(self._rows("energy"), self._rows("force"), self._rows("stress"), tuple(self.kinds)),
            self.potential.calibrated,
        )  # fmt: skip
