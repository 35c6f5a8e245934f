"""`lodewell.check`: the physics a user fears for, computed with a potential and judged row by row."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from ase.units import kB

from lodewell.crystals.given import given_list
from lodewell.crystals.read import read_crystals
from lodewell.errors import BadCrystal, BadOption, LodewellError
from lodewell.files import check_writable, text_file
from lodewell.judge.check import verdicts
from lodewell.judge.check.clusters import Dimer, Trimer, dimer, trimer, triples
from lodewell.judge.check.dynamics import Dynamics, hot_dynamics
from lodewell.judge.check.elastic import elastic_constants, standard_axes
from lodewell.judge.check.equation_of_state import EquationOfState, equation_of_state
from lodewell.judge.check.findings import CheckReport, Subject
from lodewell.judge.check.options import CheckOptions
from lodewell.judge.check.phonons import has_phonopy, phonons
from lodewell.judge.check.prototypes import Prototype, described, formula_of, relaxed_prototypes, with_ordering
from lodewell.judge.check.units import Units, units_of
from lodewell.judge.check.verdicts import Row
from lodewell.options import options_of
from lodewell.potentials.base import Potential
from lodewell.potentials.check import check_potential, random_crystals
from lodewell.potentials.given import AnyPotential, as_potential, identity
from lodewell.progress import Progress, silent
from lodewell.record import Run, write_summary
from lodewell.relax.run import relax
from lodewell.text import json_text

if TYPE_CHECKING:
    from lodewell.relax.run import Crystals

logger = logging.getLogger(__name__)

_MOST_ELEMENTS = 4
_MOST_SUBJECTS = 4
_SECONDS = 20.0  # of all hot runs together


@options_of(CheckOptions)
def check(
    potential: AnyPotential,
    crystals: Crystals | None = None,
    *,
    out: str | Path | None = None,
    progress: Progress = silent,
    options: CheckOptions,
) -> CheckReport:
    """Hold a potential against the laws of physics and against common sense about crystals.

    Computed are: the laws (`check_potential`), curves of pairs and angles, common structures at rest, and for the
    likeliest of them (or for `crystals`) the equation of state, elastic constants, phonons and a short hot run. A part
    that fails costs a row.

    Args:
        potential: an object, the name of one that is shipped, the path of a file, or any ASE calculator.
        crystals: to look at instead of common structures; they are relaxed first.
        out: write the findings, with all that they came from, to this file; a `.json`.
        progress: told the name of each stage.
        options: a `CheckOptions`, or its fields as keywords:

    Raises:
        BadOption: when it is not clear which elements to look at, or an option makes no sense.
        BadFile: when a path is not there.
    """
    with Run("check", progress=progress) as run:
        if out is not None:
            check_writable(out)
        given = None if crystals is None else given_list(crystals)
        report = _checked(potential, given, options, progress)
        run.lap("checking")
        if out is not None:
            _write(report, Path(out), run, potential, given, options)
    return report


def _checked(
    potential: AnyPotential, crystals: list[Atoms | str | Path] | None, settings: CheckOptions, progress: Progress
) -> CheckReport:
    engine = as_potential(potential)
    name = Path(potential).stem if isinstance(potential, str | Path) else engine.kind
    given = None if crystals is None else _read(crystals, engine)
    elements = _elements(engine, given, settings.elements)
    work = _Work(engine, units_of(engine), settings, progress, [])
    start = time.perf_counter()
    structures = work.structures(elements, given)
    subjects = [p for p in structures if p.atoms is not None] if given is not None else likeliest(structures)
    work.laws(elements, [p.atoms for p in subjects if p.atoms is not None])
    dimers, trimers = work.clusters(elements, subjects)
    looked_at = tuple(work.subject(p, _SECONDS / max(len(subjects), 1)) for p in subjects)
    return CheckReport(
        name, engine.kind, tuple(chemical_symbols[z] for z in elements), work.units, tuple(work.rows),
        tuple(structures), tuple(dimers), tuple(trimers), looked_at, time.perf_counter() - start,
    )  # fmt: skip


def _write(
    report: CheckReport,
    out: Path,
    run: Run,
    potential: AnyPotential,
    crystals: list[Atoms | str | Path] | None,
    options: CheckOptions,
) -> None:
    """Write the findings, and the summary beside them."""
    with text_file(out) as stream:
        stream.write(json_text(report.json(), indent=1) + "\n")
    paths = [] if crystals is None else [str(p) for p in crystals if isinstance(p, str | Path)]
    given = None if crystals is None else paths or "memory"
    summary = run.summary(
        inputs={"potential": identity(potential), "crystals": given}, options=options, seed=options.seed,
        results={"verdicts": dict(Counter(row.verdict for row in report.rows))}, outputs=[out],
    )  # fmt: skip
    write_summary(out, summary)


def _read(given: list[Atoms | str | Path], potential: Potential) -> list[Atoms]:
    found = [a for a in given if isinstance(a, Atoms)]
    paths = [p for p in given if isinstance(p, str | Path)]
    records = list(read_crystals(paths)) if paths else []
    count = Counter(record.file for record in records)
    for record in records:
        if record.atoms is None:
            raise BadCrystal(f"{record.file}, frame {record.frame}: {record.error}")
        stem = Path(record.file).name.split(".")[0]
        record.atoms.info["id"] = stem if count[record.file] == 1 else f"{stem}:{record.frame}"
        found.append(record.atoms)
    if not found:
        raise BadOption("no crystal was given")
    for atoms in found:
        if why := potential.refuses(atoms):
            raise BadCrystal(f"{atoms.get_chemical_formula()}: {why}")
    return found


def _elements(potential: Potential, crystals: list[Atoms] | None, asked: str) -> list[int]:
    """Return the atomic numbers to look at."""
    if asked:
        symbols = asked.replace(",", " ").split()
        unknown = [s for s in symbols if s not in atomic_numbers]
        if unknown:
            raise BadOption(f"'{unknown[0]}' is no element: write symbols such as Li,O")
        chosen = [atomic_numbers[s] for s in dict.fromkeys(symbols)]
        for z in chosen:
            if potential.species is not None and z not in potential.species:
                raise BadOption(potential.unsupported(np.array([z])) or f"{chemical_symbols[z]} is not known")
        return chosen
    if crystals is not None:
        return sorted({int(z) for a in crystals for z in a.numbers})
    if potential.species is None or len(potential.species) > _MOST_ELEMENTS:
        count = "all" if potential.species is None else str(len(potential.species))
        raise BadOption(f"this potential knows {count} elements: choose some with --elements Li,O or give --crystal")
    return sorted(potential.species)


def likeliest(structures: Sequence[Prototype]) -> list[Prototype]:
    """Return one structure of each element, that found in nature or else the lowest, and the best compound."""
    bound = [p for p in structures if p.above is not None]
    out = []
    for formula in dict.fromkeys(p.formula for p in bound if p.formation is None and _is_element(p)):
        here = [p for p in bound if p.formula == formula]
        out.append(next((p for p in here if p.observed), min(here, key=lambda p: p.above or 0.0)))
    compounds = [p for p in bound if not _is_element(p)]
    if compounds:
        best = min(compounds, key=lambda p: p.formation if p.formation is not None else p.energy_per_atom or 0.0)
        out = [*out[: _MOST_SUBJECTS - 1], best]
    return out[:_MOST_SUBJECTS]


def _is_element(p: Prototype) -> bool:
    return p.atoms is not None and len(set(p.atoms.numbers.tolist())) == 1


@dataclass
class _Work:
    """The parts one after the other; a part that fails costs a row."""

    potential: Potential
    units: Units
    options: CheckOptions
    progress: Progress
    rows: list[Row]

    def _try(self, part: str, about: str, compute: Callable[[], Any], judge: Callable[[Any], list[Row]]) -> Any:
        """Compute, judge, and return what was computed, or None."""
        self.progress(f"{part}: {about}" if about else part)
        try:
            with np.errstate(all="ignore"):
                found = compute()
                self.rows += judge(found)
        except Exception as error:  # potentials of others raise anything
            logger.debug("%s of %s failed", part, about, exc_info=True)
            said = " ".join(str(error).split())
            why = said if isinstance(error, LodewellError) else f"failed: {type(error).__name__}: {said}"
            self.rows.append(Row(part, about, "", None, "", "bad", why))
            return None
        return found

    def structures(self, elements: list[int], given: list[Atoms] | None) -> list[Prototype]:
        """Bring the common structures, or the crystals given, to rest."""
        if given is None:
            found = self._try(
                "structures", "", lambda: relaxed_prototypes(self.potential, elements),
                lambda found: verdicts.of_structures(found, self.units),
            )  # fmt: skip
            return found or []
        return self._try("structures", "", lambda: self._at_rest(given), self._of_given) or []

    def _at_rest(self, given: list[Atoms]) -> list[Prototype]:
        cells = [standard_axes(a) if a.pbc.all() else a for a in given]
        found = []
        for atoms, cell in zip(given, cells, strict=True):
            symmetric = bool(cell.pbc.all())
            (result,) = relax(cell, self.potential, keep_symmetry=symmetric, fmax=1e-4, max_steps=1000)
            name = str(atoms.info.get("id", ""))
            formula = formula_of(atoms)
            if not result.sane or result.atoms is None:
                found.append(Prototype(name, formula, message=result.message))
            else:
                found.append(described(name, self.potential, result.atoms, result.energy_per_atom))
        return with_ordering(found)

    def _of_given(self, found: list[Prototype]) -> list[Row]:
        energy = f"{self.units.energy}/atom"
        return [
            Row(
                "structures",
                p.title,
                "energy at rest",
                p.energy_per_atom,
                energy,
                "ok",
                f"{p.volume_per_atom:.2f} Å³/atom",
            )
            if p.volume_per_atom is not None
            else Row("structures", p.title, "energy at rest", None, energy, "bad", p.message)
            for p in found
        ]

    def laws(self, elements: list[int], subjects: list[Atoms]) -> None:
        """Hold the potential against the laws on rattled crystals and on random ones."""
        if not self.options.laws:
            return
        rng = np.random.default_rng(self.options.seed)
        crystals = []
        for atoms in subjects:
            rattled = atoms.repeat((2, 1, 1)) if len(atoms) < 8 and atoms.pbc.all() else atoms.copy()
            rattled.positions += rng.normal(0.0, 0.05, rattled.positions.shape)
            crystals += [rattled] if len(atoms) < 64 else []
        only = _Only(self.potential, frozenset(elements))
        crystals += [a for a in random_crystals(only, rng, 2) if self.potential.unsupported(a.numbers) is None]
        self._try(
            "laws", "", lambda: check_potential(self.potential, crystals, seed=self.options.seed), verdicts.of_laws
        )  # fmt: skip

    def clusters(self, elements: list[int], subjects: list[Prototype]) -> tuple[list[Dimer], list[Trimer]]:
        """Pull pairs apart, and bend triples."""
        cells = [p.atoms for p in subjects if p.atoms is not None]
        dimers, trimers = [], []
        for first, second in combinations_with_replacement(elements, 2):
            if self._knows(first, second):
                name = f"{chemical_symbols[first]}-{chemical_symbols[second]}"
                pull = partial(dimer, self.potential, first, second)
                pair = self._try("pairs", name, pull, partial(verdicts.of_dimer, units=self.units))
                dimers += [pair] if pair is not None else []
        for end, middle, other in triples(elements):
            if self._knows(end, middle, other):
                name = "–".join(chemical_symbols[z] for z in (end, middle, other))
                length = 0.5 * (_length(cells, end, middle) + _length(cells, other, middle))
                bend = partial(trimer, self.potential, end, middle, other, length)
                angle = self._try("angles", name, bend, partial(verdicts.of_trimer, units=self.units))
                trimers += [angle] if angle is not None else []
        return dimers, trimers

    def _knows(self, *species: int) -> bool:
        apart = [[3.0 * k, 0.0, 0.0] for k in range(len(species))]
        return self.potential.refuses(Atoms(species, apart)) is None

    def subject(self, p: Prototype, seconds: float) -> Subject:
        """Look closely at one crystal."""
        out, potential, atoms = Subject(p), self.potential, p.atoms
        assert atoms is not None
        if not atoms.pbc.all():
            self.rows.append(Row("equation of state", p.title, "", None, "", "skipped", "not periodic all around"))
            return out
        equation = self._try("equation of state", p.title, lambda: equation_of_state(potential, atoms),
                             lambda e: verdicts.of_equation(p, e, self.units))  # fmt: skip
        out = replace(out, equation=equation)
        if self.options.elastic:
            elastic = self._try("elastic", p.title, lambda: elastic_constants(potential, atoms),
                                lambda c: verdicts.of_elastic(p, c, equation, self.units))  # fmt: skip
            out = replace(out, elastic=elastic)
        if self.options.phonons and has_phonopy():
            waves = self._try("phonons", p.title, lambda: phonons(potential, atoms),
                              lambda f: verdicts.of_phonons(p.title, f, self.units))  # fmt: skip
            out = replace(out, phonons=waves)
        elif self.options.phonons:
            why = "phonopy is not installed: pip install 'lodewell[phonons]'"
            self.rows.append(Row("phonons", p.title, "lowest frequency", None, "THz", "skipped", why))
        if self.options.dynamics:
            out = replace(out, dynamics=self._hot(p, equation, seconds))
        return out

    def _hot(self, p: Prototype, equation: EquationOfState | None, seconds: float) -> Dynamics | None:
        kinetic = self.options.temperature * kB
        if not kinetic and equation is not None:
            kinetic = _near_melting(self.potential, p, equation)
        if not kinetic > 0.0:
            why = "no temperature: without a bulk modulus, give one with --temperature"
            self.rows.append(Row("hot run", p.title, "", None, "", "skipped", why))
            return None
        found: Dynamics | None = self._try(
            "hot run", p.title,
            lambda: hot_dynamics(self.potential, p.atoms, kinetic, steps=self.options.steps, seconds=seconds,
                                 seed=self.options.seed),
            lambda d: verdicts.of_dynamics(p.title, d, self.units),
        )  # fmt: skip
        return found


def _near_melting(potential: Potential, p: Prototype, equation: EquationOfState) -> float:
    """Return k_B T (eV) near where most crystals melt, from their stiffness, or less if they hold together weakly.

    k_B T_m / (B V) is 0.010 to 0.012 for Mo, Si, Cu and Ar, and k_B T_m less than 0.08 of the cohesive energy.
    """
    assert p.atoms is not None
    stiff = 0.01 * equation.modulus * equation.volume
    lone = [Atoms([z], positions=[[0.0, 0.0, 0.0]]) for z in p.atoms.numbers]
    if any(potential.refuses(atom) for atom in lone):  # a family of crystals alone
        return stiff
    cohesive = sum(r.energy for r in potential.evaluate(lone)) / len(p.atoms) - equation.energy
    return min(stiff, 0.07 * cohesive) if cohesive > 0.0 else stiff


def _length(cells: Sequence[Atoms], first: int, second: int) -> float:
    """Return the length of a bond in the crystals, or the sum of the covalent radii."""
    return bond(cells, first, second) or float(covalent_radii[first] + covalent_radii[second])


def bond(cells: Sequence[Atoms], first: int, second: int) -> float | None:
    """Return the shortest distance (Å) between these two elements in the crystals, if they are neighbours there."""
    from lodewell.crystals.neighbours.neighbours import neighbour_list

    reach = 1.6 * float(covalent_radii[first] + covalent_radii[second])
    found = []
    for atoms in cells:
        if {first, second} <= set(atoms.numbers.tolist()):
            i_p, j_p, _, vector_pc = neighbour_list(atoms, reach)
            mine = (atoms.numbers[i_p] == first) & (atoms.numbers[j_p] == second)
            found += np.linalg.norm(vector_pc[mine], axis=1).tolist()
    return min(found, default=None)


class _Only(Potential):
    """A potential that admits to fewer elements, so that random crystals are made of these."""

    def __init__(self, inner: Potential, species: frozenset[int]) -> None:
        self.inner, self.species, self.cutoff = inner, species, inner.cutoff

    def compute(self, batch: Any, neighbours: Any) -> Any:
        """Ask the potential itself."""
        return self.inner.compute(batch, neighbours)
