"""What labelled files hold, seen in one pass, and whether it can be believed.

Single frames that cannot be used are left out and listed, up to a share of all; what is wrong with a whole set (units,
signs, energies per atom) refuses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import GPa
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.columns import Collector, Columns
from lodewell.crystals.labels.consistency import Consistency, Contradictions
from lodewell.crystals.labels.given import GivenLabels, cut_given, given_labels
from lodewell.crystals.labels.keys import LabelKeys, unread
from lodewell.crystals.labels.read import Refusal
from lodewell.errors import BadFile, BadOption, did_you_mean
from lodewell.progress import Progress, silent

STRANGE_ENERGY = 100.0  # eV/atom away from the median of its composition
STRANGE_STRESS = 2.0  # eV/Å^3, rms of components: a hydrostatic pressure of 555 GPa
PER_ATOM_SHARE = 0.25  # energies spread so much less as they are than divided by the number of atoms
LEAST_FOR_PER_ATOM = 8
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Survey:
    """What was found.

    | field | meaning |
    |---|---|
    | `files` | in the order met |
    | `frames`, `atoms` | that can be used |
    | `elements` | atoms of each, by atomic number |
    | `energies`, `forces`, `stresses` | frames with each label |
    | `names` | under which they stand, the most frequent first |
    | `config_types` | frames of each kind |
    | `energy_range` | lowest and highest eV/atom |
    | `force_rms`, `force_max` | eV/Å, of components |
    | `stress_rms`, `stress_max` | eV/Å^3, of components |
    | `refused` | frames left out, with the reason |
    | `notes` | what the user should know |
    | `columns` | some numbers a frame |
    """

    files: tuple[str, ...]
    frames: int
    atoms: int
    elements: Mapping[int, int]
    energies: int
    forces: int
    stresses: int
    names: tuple[LabelKeys, ...]
    config_types: Mapping[str, int]
    energy_range: tuple[float, float] | None
    force_rms: float
    force_max: float
    stress_rms: float
    stress_max: float
    refused: tuple[Refusal, ...]
    notes: tuple[str, ...]
    columns: Columns

    @property
    def left_out(self) -> frozenset[tuple[str, int]]:
        """File and frame of what cannot be used."""
        return frozenset((bad.file, bad.frame) for bad in self.refused)

    def without(self, places: Set[tuple[str, int]]) -> Survey:
        """Return the survey of the same data less some frames, given as (file, frame)."""
        return _survey(self.columns.without(places), self.refused, self.names, self.notes)

    def rows(self) -> list[tuple[str, str]]:
        """Return the survey as lines for a person: what, and how much of it."""
        kinds = ", ".join(f"{name or 'without'} {count:,}" for name, count in self.config_types.items())
        names = self.names[0] if self.names else LabelKeys()
        span = self.energy_range
        out = [
            ("frames", f"{self.frames:,} with {self.atoms:,} atoms"),
            ("elements", ", ".join(f"{chemical_symbols[z]} {n:,}" for z, n in self.elements.items())),
            ("energies", _row(self.energies, names.energy, span and f"{span[0]:.4g} … {span[1]:.4g} eV/atom")),
            ("forces", _row(self.forces, names.forces, f"rms {self.force_rms:.3g}, to {self.force_max:.3g} eV/Å")),
            ("stresses", _row(self.stresses, names.stress or names.virial,
                              f"rms {self.stress_rms / GPa:.3g}, to {self.stress_max / GPa:.3g} GPa")),
        ]  # fmt: skip
        if set(self.config_types) != {""}:
            out.append(("config types", kinds))
        if self.refused:
            out.append(("left out", f"{len(self.refused):,} frames"))
        return out

    def about(self) -> dict[str, Any]:
        """Return the survey as JSON-like data, for the file of a potential and for `summary.json`."""
        return {
            "files": list(self.files),
            "frames": self.frames,
            "atoms": self.atoms,
            "elements": {chemical_symbols[z]: n for z, n in self.elements.items()},
            "energies": self.energies,
            "forces": self.forces,
            "stresses": self.stresses,
            "names": [vars(names) for names in self.names],
            "config_types": dict(self.config_types),
            "energy_range_eV_per_atom": self.energy_range,
            "force_rms_eV_per_A": self.force_rms,
            "stress_rms_eV_per_A3": self.stress_rms,
            "fingerprint": self.columns.fingerprint(),
            "left_out": [vars(bad) for bad in self.refused],
            "notes": list(self.notes),
        }


def _row(count: int, name: str, span: str | None) -> str:
    return f"{count:,} ({name}): {span}" if count else "none"


def survey_labels(
    data: str | Path | GivenLabels,
    keys: LabelKeys = LabelKeys(),  # noqa: B008 frozen
    *,
    max_bad: float = 0.1,
    energies: bool = True,
    forces: bool = True,
    stress: bool = True,
    contradictions: Contradictions = "refuse",
    progress: Progress = silent,
) -> Survey:
    """Read everything once and say what is there.

    data: paths, or crystals in memory. max_bad: share of frames that may be left out because they cannot be used.
    energies, forces, stress: whether they matter. contradictions: "note" lets labels pass that contradict each other.

    Raises `BadFile` when there is no frame or too many cannot be used, when energies are per atom, and when labels
    contradict each other (units, signs, order of shears); `BadOption` for the name of a label that no frame has.
    """
    given = given_labels(data)
    collector, refused, names = Collector(), list[Refusal](), Counter[LabelKeys]()
    consistency = Consistency(energies=energies, forces=forces, stresses=stress)
    done = 0
    for chunk in cut_given(given, keys):
        good, bad, settled = chunk.read_named()
        refused += bad
        names.update(settled)
        for frame in good:
            collector.add(frame)
            consistency.add(frame)
        done += len(good) + len(bad)
        progress("reading", done)
    columns = collector.columns()
    used = [name for name, _ in names.most_common() if not name.nothing()]
    if not len(columns):
        raise _nothing(given, keys, refused)
    total, strange = len(columns) + len(refused), _strange_energies(columns)
    refused += strange
    _refuse_many(refused, total, max_bad)
    columns = columns.without({(bad.file, bad.frame) for bad in strange})
    _check_names(given, keys, columns)
    if why := _per_atom(columns):
        raise BadFile(f"{_files(columns.files)}: {why}")
    why, notes = consistency.verdict(used[0] if used else keys, {(bad.file, bad.frame) for bad in strange})
    if why is not None:
        if contradictions == "refuse":
            raise BadFile(f"{_files(columns.files)}: {why}")
        notes.append(why)
    elif stress and (why := _too_stressed(columns)):
        raise BadFile(f"{_files(columns.files)}: {why}")
    notes = [*_notes(columns), *unread_labels(given, used[0] if used else keys, _missing(columns)), *notes]
    return _survey(columns, tuple(refused), tuple(used), tuple(notes))


def _missing(columns: Columns) -> list[str]:
    """Return the kinds of labels that no frame has."""
    values = {"energy": columns.energy_f, "forces": columns.force_max_f, "stress": columns.stress_max_f}
    return [kind for kind, value_f in values.items() if not np.isfinite(value_f).any()]


def unread_labels(data: str | Path | GivenLabels, keys: LabelKeys, missing: Sequence[str]) -> list[str]:
    """Return sentences on labels that are missing and seem to stand in the files under names that are not read."""
    if not missing:
        return []
    first = (chunk.all_names() for chunk in islice(cut_given(given_labels(data), keys), 5))
    return unread(missing, set().union(*first), keys)


def _strange_energies(columns: Columns) -> list[Refusal]:
    """Find energies far from those of other frames of the same composition: another unit, or a failed calculation."""
    out = []
    for formula in np.unique(columns.formula_f):
        mine = np.flatnonzero((columns.formula_f == formula) & np.isfinite(columns.energy_f))
        if len(mine) < 2:
            continue
        median = float(np.median(columns.energy_f[mine]))
        for k in mine[np.abs(columns.energy_f[mine] - median) > STRANGE_ENERGY]:
            file, frame = columns.place(k)
            out.append(Refusal(file, frame, f"its energy is {columns.energy_f[k]:.6g} eV/atom where frames of the same"
                               f" composition have {median:.6g}; check its unit (eV), or remove it"))  # fmt: skip
    return out


def _refuse_many(refused: list[Refusal], frames: int, max_bad: float) -> None:
    if len(refused) <= max_bad * frames:
        return
    first = "; ".join(str(bad) for bad in refused[:SHOWN])
    more = f"; and {len(refused) - SHOWN:,} more" if len(refused) > SHOWN else ""
    raise BadFile(f"{len(refused):,} of {frames:,} frames cannot be used, more than {100 * max_bad:g} %: {first}{more}")


def _nothing(given: GivenLabels, keys: LabelKeys, refused: list[Refusal]) -> BadFile | BadOption:
    """Say why there is no frame at all."""
    _check_names(given, keys, None)
    if refused:
        more = f" (and {len(refused) - 1:,} more frames)" if len(refused) > 1 else ""
        return BadFile(f"no frame can be used: {refused[0]}{more}")
    return BadFile(f"{_said(given)}there are no frames")


def _said(given: GivenLabels) -> str:
    return "".join(f"{item}: " for item in given[:1] if isinstance(item, str | Path))


def _check_names(given: GivenLabels, keys: LabelKeys, columns: Columns | None) -> None:
    """Refuse a name that the user gave and no frame has."""
    have = {
        "energy": columns is not None and bool(np.isfinite(columns.energy_f).any()),
        "forces": columns is not None and bool(np.isfinite(columns.force_max_f).any()),
        "stress": columns is not None and bool(np.isfinite(columns.stress_max_f).any()),
        "virial": columns is not None and bool(np.isfinite(columns.stress_max_f).any()),
    }
    for kind, there in have.items():
        name = getattr(keys, kind)
        if not name or there:
            continue
        met: set[str] = set()
        for chunk in cut_given(given):
            met |= chunk.all_names()
            if name in met:
                break
        else:
            known = ", ".join(sorted(met)[:12]) or "nothing beside positions and species"
            raise BadOption(f"no frame has '{name}' (--{kind}-key){did_you_mean(name, met)}; there is {known}")


def _per_atom(columns: Columns) -> str | None:
    """Tell energies per atom: in crystals of several sizes they vary less than they do once divided by the size."""
    formulas, count = np.unique(columns.reduced_f[np.isfinite(columns.energy_f)], return_counts=True)
    for formula in formulas[count >= LEAST_FOR_PER_ATOM]:
        mine = (columns.reduced_f == formula) & np.isfinite(columns.energy_f)
        n, energy = columns.atoms_f[mine], columns.energy_f[mine]
        if n.max() < 2 * n.min():
            continue
        total = energy * n
        spread_total, spread = (float(np.std(x) / max(abs(np.mean(x)), 1e-12)) for x in (total, energy))
        if spread_total < PER_ATOM_SHARE * spread:
            return (
                f"energies seem to be per atom: crystals of {n.min()} to {n.max()} atoms of one composition have nearly"
                " the same; total energies are wanted, so multiply by the number of atoms"
            )
    return None


def _too_stressed(columns: Columns) -> str | None:
    """Tell stresses in GPa or kbar: in eV/Å^3 they would be those of no condensed matter that anyone fits."""
    has = np.isfinite(columns.stress_max_f)
    rms = _rms(columns.stress_square_f[has], np.full(int(has.sum()), 9))
    if rms <= STRANGE_STRESS:
        return None
    return (
        f"the stresses have an rms of {rms:.3g} eV/Å^3, which is {rms / GPa:,.0f} GPa; if they are given in GPa divide"
        " them by 160.2177, if in kbar by 1602.177; a virial (eV) is named by --virial-key; else --stress none"
    )


def _notes(columns: Columns) -> list[str]:
    notes = []
    if not np.isfinite(columns.energy_f).any():
        notes.append("there are no energies: forces alone leave the energies of different compositions undetermined")
    if not np.isfinite(columns.force_max_f).any():
        notes.append("there are no forces: each frame gives one number only, its energy")
    elif np.nanmax(columns.force_max_f) == 0.0:
        notes.append("all forces are exactly zero; if they were not computed, fit with --force-weight 0")
    if np.isfinite(columns.stress_max_f).any() and np.nanmax(columns.stress_max_f) == 0.0:
        notes.append("all stresses are exactly zero; if they were not computed, fit with --stress none")
    first_f = columns.first_f()
    again = np.flatnonzero(first_f < np.arange(len(columns)))
    if len(again):
        (file, frame), (other, number) = columns.place(int(again[0])), columns.place(int(first_f[again[0]]))
        notes.append(
            f"{len(again):,} frames repeat an earlier one, as {file}, frame {frame} does {other}, frame {number}"
        )
    return notes


def _survey(
    columns: Columns, refused: tuple[Refusal, ...], names: tuple[LabelKeys, ...], notes: tuple[str, ...]
) -> Survey:
    has_e, has_f, has_s = (np.isfinite(x) for x in (columns.energy_f, columns.force_max_f, columns.stress_max_f))
    energy: Floats = columns.energy_f[has_e]
    kinds = Counter(columns.config_types[k] for k in columns.config_f)
    return Survey(
        files=columns.files,
        frames=len(columns),
        atoms=int(columns.atoms_f.sum()),
        elements=columns.elements(),
        energies=int(has_e.sum()),
        forces=int(has_f.sum()),
        stresses=int(has_s.sum()),
        names=names,
        config_types=dict(sorted(kinds.items())),
        energy_range=(float(energy.min()), float(energy.max())) if len(energy) else None,
        force_rms=_rms(columns.force_square_f[has_f], 3 * columns.atoms_f[has_f]),
        force_max=float(columns.force_max_f[has_f].max(initial=0.0)),
        stress_rms=_rms(columns.stress_square_f[has_s], np.full(int(has_s.sum()), 9)),
        stress_max=float(columns.stress_max_f[has_s].max(initial=0.0)),
        refused=refused,
        notes=notes,
        columns=columns,
    )


def _rms(squares: Floats, counts: NDArray[np.int64]) -> float:
    return float(np.sqrt(squares.sum() / max(int(counts.sum()), 1)))


def _files(files: Sequence[str]) -> str:
    return files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
