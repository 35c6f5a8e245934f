"""Spline MEAMs from labelled crystals: lay out splines, search, follow the best, build walls, weigh rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled
from lodewell.errors import BadOption
from lodewell.fit.data import LabelledData, stress_rows
from lodewell.fit.distances import Distances
from lodewell.fit.meam.descent import Goal, Point
from lodewell.fit.meam.knowledge import coverage_of, ensemble_of, errors_of
from lodewell.fit.meam.model import Layout, coefficients_of, from_potential, to_potential
from lodewell.fit.meam.options import MEAMOptions
from lodewell.fit.meam.rows import Targets, targets
from lodewell.fit.meam.search import Search, Setup
from lodewell.fit.meam.wall import walled
from lodewell.fit.run import FitResult, fit_to
from lodewell.interrupts import Interrupts, uninterrupted
from lodewell.options import options_of
from lodewell.potentials.base import Potential
from lodewell.potentials.meam.meam import MEAM
from lodewell.potentials.meam.splines import Spline
from lodewell.potentials.store import load
from lodewell.potentials.uf.uf import UF
from lodewell.progress import Progress, silent
from lodewell.record import Run, fingerprint

# An error of so many eV an atom counts as much as one of 1 eV/Å in every force: what the errors of good potentials of
# very different elements and kinds are to each other. Likewise for the stress times the volume an atom.
_ENERGY_SCALE = 0.04
_VIRIAL_SCALE = 0.5
_PART_ATOMS = 3000  # an element, of the data that early rounds use
_LONE_WEIGHT = 10.0  # a given reference energy counts as so many frames
_ALGORITHM = 1  # of what is in a ledger


@options_of(MEAMOptions)
def fit_meam(
    train: Any,
    options: MEAMOptions,
    *,
    out: str | Path | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: Progress = silent,
    restart: bool = False,
) -> MEAM:
    """Fit a spline MEAM to labelled crystals.

    Args:
        train: paths, ASE atoms with energies and forces, `Labelled` frames, or a `LabelledSource`; one or several.
        options: a `MEAMOptions`, or its fields as keywords:
        out: write the potential to this file, and a summary beside it.
        workers: processes; None for every core.
        cluster: where Dask is to be found, see `lodewell.workers`.
        progress: told the stage, and the steps done.
        restart: forget what an interrupted fit of the same data and options has left beside `out`.

    Returns:
        The potential.

    Raises:
        BadFile: when the data cannot be used, or `out` cannot be written.
        BadOption: when options are out of range, or do not fit the data.
    """
    how = {"workers": workers, "cluster": cluster, "progress": progress, "restart": restart}
    potential = fit_to(fit_meam_files, "meam", train, options, out=out, **how).potential
    assert isinstance(potential, MEAM)
    return potential


def fit_meam_files(
    train: LabelledData,
    options: MEAMOptions,
    /,
    *,
    out: Path | None,
    run: Run,
) -> FitResult:
    """Fit a spline MEAM; an interrupted fit leaves the best so far in `out`, and `out.partial` to go on from.

    Raises:
        BadOption: when the options do not fit the data.
        BadFile: when the data cannot be used, or `out` cannot be written.
    """
    run.progress("distances")
    distances = Distances.of(train)
    setup, notes = _set_up(train, distances, options)
    references = {chemical_symbols[z]: e for z, e in train.references.energies.items()}
    finish = partial(_finished, setup=setup, references=references, train=train, distances=distances)
    with Interrupts() as interrupts, Search(setup, _key(run), out, run.restart) as search:
        state = ("searching", 0, 1)

        def progress(stage: str, done: int = 0, total: int | None = None, /) -> None:
            nonlocal state
            state = (stage, done, total or 1)
            run.progress(*state)

        def step(point: Point) -> None:
            interrupts.check()
            run.progress(*state)

        try:
            points = search.run(run.workers, progress, step)
            interrupts.check()
            fitted = finish(points, progress=run.progress)
        except KeyboardInterrupt:
            if search.standing and out is not None:
                with uninterrupted():
                    best = finish(search.standing[:1], progress=silent)
                    best.potential.save(out, interrupted=True, **best.facts)
            raise
        if out is not None:  # before the ledger goes
            fitted.potential.save(out, **fitted.facts)
        search.forget()
    said = (*train.references.notes(), *notes, *fitted.notes)
    return FitResult(fitted.potential, fitted.facts, said, resumed=search.resumed)


def _set_up(train: LabelledData, distances: Distances, options: MEAMOptions) -> tuple[Setup, list[str]]:
    """Lay out splines and data; also return what the user should know."""
    frames = [*train, *_lone_atoms(train)]
    symbols = [chemical_symbols[z] for z in sorted(train.survey.elements)]
    layout, notes = _lay_out(symbols, distances, options)
    pack = partial(
        targets, symbols=symbols, cutoff=layout.cutoff, reference=train.references.energy_of,
        stress_rows=stress_rows(options), weight=train.weight,
    )  # fmt: skip
    whole = pack(frames)
    chosen = _part(frames, _PART_ATOMS * len(symbols))
    part = whole if len(chosen) == len(frames) else pack(chosen)
    x_c, warm_c = _beginning(layout, options.start)
    return Setup(part, whole, _goal(whole, options), layout, x_c, warm_c, options), notes


def _lone_atoms(train: LabelledData) -> list[Labelled]:
    """Return a lone atom for each reference energy that is known: they are labels like others, and heavier."""
    known = train.references.known
    return [Labelled(Atoms([z]), energy, None, None, weight=_LONE_WEIGHT) for z, energy in known.items()]


def _lay_out(symbols: Sequence[str], distances: Distances, options: MEAMOptions) -> tuple[Layout, list[str]]:
    cutoff = options.cutoff or distances.radius_of(36.0)
    angular = options.angular_cutoff or min(distances.radius_of(16.0), cutoff)
    low: dict[tuple[str, str], float] = {}
    notes = []
    for a, b in combinations_with_replacement(symbols, 2):
        pair = atomic_numbers[a], atomic_numbers[b]
        shortest = distances.shortest.get(pair, np.inf)
        if shortest >= angular:
            notes.append(f"{a}–{b} has no data within {min(shortest, cutoff):.2f} Å: there φ, f and g are guesses")
            shortest = min(0.8 * float(covalent_radii[list(pair)].sum()), 0.6 * angular)
        low["phi", f"{a}-{b}"] = shortest
        for role in ("rho", "f"):
            for symbol in (a, b):
                low[role, symbol] = min(low.get((role, symbol), np.inf), shortest)
    if max(low.values()) >= 0.9 * angular:
        raise BadOption(
            f"angular_cutoff is {angular:.2f} Å, but atoms are {max(low.values()):.2f} Å apart and more: raise it with"
            " --angular-cutoff"
        )
    knots = dict.fromkeys(("phi", "rho", "u", "f", "g"), options.knots)
    return Layout(tuple(symbols), knots, low, cutoff, angular, np.tile([0.0, 1.0], (len(symbols), 1))), notes


def _part(frames: Sequence[Labelled], atoms: int) -> list[Labelled]:
    """Return evenly chosen frames of about so many atoms in all, with every element among them."""
    total = sum(len(f.atoms) for f in frames)
    every = max(1, round(total / atoms))
    chosen = list(frames[::every])
    have = {z for f in chosen for z in f.atoms.numbers.tolist()}
    for frame in frames:
        if missing := set(frame.atoms.numbers.tolist()) - have:
            chosen.append(frame)
            have |= missing
    return chosen


def _goal(data: Targets, options: MEAMOptions) -> Goal:
    """Return weights of the mean squares of energies an atom, forces and stresses."""
    solid = data.batch.volume_b > 0.0
    volume = float(data.batch.volume_b[solid].sum() / max(data.batch.count_b[solid].sum(), 1))
    weights = np.array(
        [options.energy_weight / _ENERGY_SCALE, options.force_weight, options.stress_weight * volume / _VIRIAL_SCALE]
    )
    return Goal(weights**2, options.smoothness)


def _beginning(layout: Layout, start: str) -> tuple[Floats, Floats | None]:
    """Return coefficients that hold φ of the potential to begin with, and all of them if it is a MEAM."""
    x_c = np.zeros(layout.size)
    if not start:
        return x_c, None
    potential: Potential = load(start)
    numbers = np.array([atomic_numbers[s] for s in layout.symbols])
    if why := potential.unsupported(numbers):
        raise BadOption(f"--start {start}: {why}")
    if isinstance(potential, MEAM):
        wide = np.array([[s.x_k[0], s.x_k[-1]] for s in (potential.u[name] for name in layout.symbols)])
        return x_c, from_potential(layout.with_range(wide), potential, potential.reference)
    for a, b in combinations_with_replacement(layout.symbols, 2):
        low, high = layout.ends("phi", f"{a}-{b}")
        r_k = np.linspace(low, high, layout.knots["phi"])
        if isinstance(potential, UF):
            u_k, slope_k = potential.curve(f"{a}-{b}", r_k)
        else:
            u_k, slope_k = potential.pair_curve(atomic_numbers[a], atomic_numbers[b], r_k)
        x_c[layout.columns("phi", f"{a}-{b}")] = coefficients_of(Spline(r_k, u_k, (slope_k[0], slope_k[-1])))
    free = layout.free_cp
    return np.asarray(free @ np.linalg.lstsq(free, x_c, rcond=None)[0]), None


def _key(run: Run) -> str:
    """Return what must be equal for a ledger to go on: data, options and algorithm."""
    return fingerprint(run.fingerprint, _ALGORITHM)[:16]


def _finished(
    points: Sequence[Point],
    *,
    setup: Setup,
    references: Mapping[str, float],
    train: LabelledData,
    distances: Distances,
    progress: Progress,
) -> FitResult:
    """Make the potential of the best point, and what it knows of itself."""
    progress("weighing rivals")
    options = setup.options
    potentials = [to_potential(p.layout, p.x_c, references) for p in points]
    for potential in potentials:
        potential.reference |= {chemical_symbols[z]: energy for z, energy in train.references.known.items()}
    errors = errors_of(setup.whole, points[0])
    if options.wall == "zbl":
        potentials = [walled(p) for p in potentials]
    best = potentials[0].with_record(
        coverage=coverage_of(setup.whole, points[0], distances), ensemble=ensemble_of(setup.whole, points, potentials)
    )
    facts = {
        "parameters": points[0].layout.free_cp.shape[1],
        "cutoffs_A": {"pair": points[0].layout.cutoff, "angular": points[0].layout.angular_cutoff},
        "training_errors": errors,
        "error_eV_per_A": points[0].value,
        "members": [p.value for p in points],
        "steps": [p.steps for p in points],
        "references": train.references.about(),
    }
    return FitResult(best, facts, ())
