"""`lodewell.test`: how far a potential is from labelled crystals, in energy, force and stress."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ase.data import chemical_symbols
from ase.units import GPa

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.labels.consistency import Contradictions, Watched
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, Refused, keys_in, read_labels
from lodewell.crystals.labels.survey import unread_labels
from lodewell.crystals.validate import validate
from lodewell.errors import BadFile, BadOption
from lodewell.judge.test.nearest import nearest_n
from lodewell.judge.test.tally import Calibration, CalibrationTally, Error, Sample, Tally
from lodewell.potentials.base import Potential, Result, Uncertainty
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.progress import Progress, silent

logger = logging.getLogger(__name__)

Data: TypeAlias = str | Path | Sequence[str | Path] | Iterable[Labelled]

_ATOMS, _FRAMES = 4_000, 200  # of one batch
LEAST = 5  # numbers from which on their spread means something
_KINDS = ("energy", "force", "stress")
_KEYS = {"energy": "energy", "force": "forces", "stress": "stress"}
_UNITS = {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å^3"}
_FLOOR = {"energy": 1e-7, "force": 1e-5, "stress": 1e-7}  # standard deviations below this are rounding
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Group:
    """Errors of some frames: all of them, or those of one `config_type`.

    Attributes:
        frames: that were compared.
        atoms: in them.
        energy: per atom, eV.
        force: each component, eV/Å.
        vector: length of the difference of two force vectors, eV/Å.
        stress: the six components, eV/Å^3.
        pressure: minus a third of the trace of the stress, eV/Å^3; its shift tells of data computed with another basis.
    """

    frames: int
    atoms: int
    energy: Error
    force: Error
    vector: Error
    stress: Error
    pressure: Error

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "energy": self.energy.json(),
            "force": self.force.json() | {"vector_mae": self.vector.mae, "vector_rmse": self.vector.rmse},
            "stress": self.stress.json() | {"pressure_shift": self.pressure.shift},
            "frames": self.frames,
            "atoms": self.atoms,
        }


@dataclass(frozen=True)
class Points:
    """A fair sample of single errors for figures; σ is NaN where the potential knows none.

    | field | shape | columns |
    |---|---|---|
    | `energy` | (F, 5) | reference, predicted, σ (eV/atom), nearest distance (Å), kind |
    | `force` | (A, 11) | reference x y z, predicted x y z, σ x y z (eV/Å), nearest distance (Å), kind |
    | `stress` | (S, 19) | reference, predicted, σ, six components each (eV/Å^3), kind |
    | `kinds` | | names of the kinds: the `config_type`, "" where there is none |
    """

    energy: Floats
    force: Floats
    stress: Floats
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Errors:
    """What `lodewell.test` returns.

    Attributes:
        name: of the potential.
        overall: errors of all frames.
        by_config_type: of the frames of each; empty where no frame has one.
        by_element: of the force components on the atoms of each element.
        calibration: of the error bars of "energy", "force" and "stress", where the potential has them.
        calibration_by_config_type: the same for the frames of each; empty where no frame has one.
        extrapolated: force errors of atoms with an extrapolation grade above 1, and of the others.
        refused: frames that could not be compared, and why.
        points: a sample for figures.
        calibrated: whether the energies of the potential are true eV.
        notes: what the user should know of the data.
    """

    name: str
    overall: Group
    by_config_type: dict[str, Group]
    by_element: dict[str, Error]
    calibration: dict[str, Calibration]
    calibration_by_config_type: dict[str, dict[str, Calibration]]
    extrapolated: dict[str, Error]
    refused: tuple[Refused, ...]
    points: Points
    calibrated: bool = True
    notes: tuple[str, ...] = ()

    @property
    def energy(self) -> Error:
        """Errors of the energy per atom."""
        return self.overall.energy

    @property
    def force(self) -> Error:
        """Errors of the force components."""
        return self.overall.force

    @property
    def stress(self) -> Error:
        """Errors of the stress components."""
        return self.overall.stress

    def doubts(self) -> list[str]:
        """Say which numbers are worse than their mean would be: those of all frames, and of each config_type."""
        groups = {"": self.overall} | (self.by_config_type if len(self.by_config_type) > 1 else {})
        return [
            f"{what}{f' of {name}' if name else ''} are predicted worse than by their mean: the RMSE is"
            f" {error.rmse / unit:,.4g} {words}, that of their mean {error.spread / unit:,.4g}"
            for name, group in groups.items()
            for what, error, unit, words in (
                ("energies", group.energy, 1e-3, "meV/atom"),
                ("forces", group.force, 1.0, "eV/Å"),
                ("stresses", group.stress, GPa, "GPa"),
            )
            if error.count >= LEAST and error.rmse is not None and error.spread and error.rmse > error.spread
        ]

    def json(self) -> dict[str, Any]:
        """Return everything but the points, as plain values."""
        out = self.overall.json()
        out["by_config_type"] = {name: group.json() for name, group in self.by_config_type.items()}
        out["by_element"] = {name: {"force": error.json()} for name, error in self.by_element.items()}
        out["doubts"] = self.doubts()
        if self.calibration:
            out["uncertainty"] = {name: c.json() for name, c in self.calibration.items()}
            for kind, bars in self.calibration_by_config_type.items():
                out["by_config_type"][kind]["uncertainty"] = {name: c.json() for name, c in bars.items()}
        if self.extrapolated:
            out["extrapolation"] = {name: {"force": error.json()} for name, error in self.extrapolated.items()}
        out["refused"] = [asdict(r) for r in self.refused]
        return {"potential": self.name, "calibrated": self.calibrated} | out | {"notes": list(self.notes)}

    def figure(self, path: str | Path) -> Path:
        """Draw parity, errors against distance, and the calibration of error bars; return the file."""
        from lodewell.report.parity import draw_errors

        return draw_errors(self, path)


def test(
    potential: AnyPotential,
    data: Data,
    *,
    keys: LabelKeys = LabelKeys(),  # noqa: B008 frozen
    uncertainty: bool = True,
    points: int = 100_000,
    contradictions: Contradictions = "refuse",
    progress: Progress = silent,
) -> Errors:
    """Compare a potential with labelled crystals, as a stream.

    Args:
        potential: an object, the name of one that is shipped, the path of a file, or any ASE calculator.
        data: files, folders or patterns, or labelled crystals.
        keys: names of the labels in files, where they should not be found by themselves.
        uncertainty: judge the error bars as well, where the potential has any.
        points: size of the sample that is kept for figures: of atoms, of frames, of stresses.
        contradictions: what becomes of labels that contradict each other, as by a wrong unit; "note" goes on.
        progress: told the number of frames done.

    Raises:
        BadFile: when a path is not there, no frame could be compared, or labels contradict each other.
    """
    name = Path(potential).stem if isinstance(potential, str | Path) else getattr(potential, "kind", "calculator")
    refused: list[Refused] = []
    paths, frames = split(data)
    labelled = iter(frames) if paths is None else read_labels(paths, keys, refused)
    names = keys if paths is None else keys_in(paths, keys)
    watched = Watched(labelled, names, contradictions)
    errors = errors_of(
        as_potential(potential), watched, name=name, refused=refused, uncertainty=uncertainty, points=points,
        progress=progress,
    )  # fmt: skip
    missing = [key for kind, key in _KEYS.items() if not getattr(errors, kind).count]
    notes = [] if paths is None else unread_labels(paths, names, missing)
    return replace(errors, notes=(*notes, *watched.notes))


# pytest collects functions of this name from every module that imports it.
test.__test__ = False  # type: ignore[attr-defined]


def split(data: Data) -> tuple[list[str | Path] | None, Iterable[Labelled]]:
    """Tell paths from frames."""
    if isinstance(data, str | Path):
        return [data], ()
    if isinstance(data, Sequence) and data and all(isinstance(d, str | Path) for d in data):
        return [d for d in data if isinstance(d, str | Path)], ()
    return None, (_checked(d) for d in data)


def _checked(frame: Any) -> Labelled:
    if not isinstance(frame, Labelled):
        raise BadOption(f"{type(frame).__name__} is no labelled crystal: give lodewell.Labelled, or paths alone")
    return frame


def errors_of(
    potential: Potential,
    labelled: Iterable[Labelled],
    *,
    name: str = "",
    refused: list[Refused] | None = None,
    uncertainty: bool = True,
    points: int = 100_000,
    progress: Progress = silent,
    total: int | None = None,
) -> Errors:
    """Compare a potential with a stream of labelled crystals; `refused` may hold, or get, those left out.

    total: number of frames, if it is known.
    """
    work = _Tallies(potential, [] if refused is None else refused, uncertainty and potential.uncertain, points)
    done = 0
    for batch in _batches(labelled):
        good = [frame for frame in batch if work.admit(frame)]
        work.compare(good)
        done += len(batch)
        progress("testing", done, total)
    return work.errors(name or potential.kind)


def _batches(labelled: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    batch: list[Labelled] = []
    atoms = 0
    for frame in labelled:
        if batch and (atoms + len(frame.atoms) > _ATOMS or len(batch) >= _FRAMES):
            yield batch
            batch, atoms = [], 0
        batch.append(frame)
        atoms += len(frame.atoms)
    if batch:
        yield batch


class _Sums:
    """Running sums of one group."""

    def __init__(self) -> None:
        self.frames = self.atoms = 0
        self.tally = {kind: Tally() for kind in (*_KINDS, "vector", "pressure")}
        self.bars = {kind: CalibrationTally(_FLOOR[kind]) for kind in _KINDS}

    def group(self) -> Group:
        t = self.tally
        return Group(
            self.frames, self.atoms, t["energy"].error(_UNITS["energy"]), t["force"].error(_UNITS["force"]),
            t["vector"].error(_UNITS["force"]), t["stress"].error(_UNITS["stress"]),
            t["pressure"].error(_UNITS["stress"]),
        )  # fmt: skip

    def calibration(self) -> dict[str, Calibration]:
        return {kind: found for kind, tally in self.bars.items() if (found := tally.calibration()) is not None}


class _Tallies:
    """Everything that is added up on the way."""

    def __init__(self, potential: Potential, refused: list[Refused], uncertain: bool, points: int) -> None:
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
            self.refused.append(Refused(frame.file, frame.frame, why))
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
            self.refused.append(Refused(frames[0].file, frames[0].frame, why))
            return
        batch = Batch.from_atoms(atoms)
        near_n = nearest_n(batch)
        for frame, result, bar, s in zip(frames, results, bars, batch.slices, strict=True):
            if np.isfinite(result.energy) and np.isfinite(result.forces_nc).all():
                self._add(frame, result, bar, near_n[s])
            else:
                self.refused.append(Refused(frame.file, frame.frame, "the potential's energy or forces are not finite"))

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
        wanted, got = _six(reference), _six(stress)
        sigma = np.full(6, np.nan) if bar is None else _six(bar)
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
        grades = {name: t.error(_UNITS["force"]) for name, t in self.grade.items()} if self.uncertain else {}
        return Errors(
            name, self.overall.group(), groups,
            {chemical_symbols[z]: self.element[z].error(_UNITS["force"]) for z in sorted(self.element)},
            self.overall.calibration(), bars if self.uncertain else {}, grades, tuple(self.refused),
            Points(self._rows("energy"), self._rows("force"), self._rows("stress"), tuple(self.kinds)),
            self.potential.calibrated,
        )  # fmt: skip


def _six(tensor: Floats) -> Floats:
    """Return the six components in Voigt's order."""
    return np.array([tensor[i, j] for i, j in _VOIGT])
