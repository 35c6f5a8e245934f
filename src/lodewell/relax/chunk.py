"""One chunk of crystals, relaxed in this process: refusals first, the rest in batches that fit the cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from ase.units import GPa

from lodewell.batching import greedy
from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.names import TAGS
from lodewell.crystals.read import Record
from lodewell.crystals.remarks import remarks_on
from lodewell.crystals.validate import validate
from lodewell.errors import BadCrystal
from lodewell.potentials.base import Potential, charged
from lodewell.potentials.statistical.statistical import as_statistical
from lodewell.relax import lbfgs
from lodewell.relax.constraints import projectors, wants_symmetry
from lodewell.relax.lockstep import MODES, RelaxedBatch, Settings, relax_batch
from lodewell.relax.options import RelaxOptions
from lodewell.relax.result import Relaxation
from lodewell.relax.symmetry import Group, Symmetry, symmetrised

logger = logging.getLogger(__name__)

_BYTES_A_BATCH = 4e6
_STALE = ("energy", "free_energy", "stress", "virial", "forces", "energies", "stresses", "magmoms", "dipole")


@dataclass(frozen=True)
class _Candidate:
    """A crystal that can be relaxed: its place among the results, and what holds its atoms."""

    place: int
    record: Record
    atoms: Atoms
    projector_ncc: Floats | None
    group: Group | None


def relax_chunk(records: Sequence[Record], potential: Potential, options: RelaxOptions) -> list[Relaxation]:
    """Relax the crystals of some records; every record gives one result, in their order, and none is raised for."""
    results: list[Relaxation | None] = [None] * len(records)
    candidates: list[_Candidate] = []
    for place, record in enumerate(records):
        candidate = _admit(place, record, potential, options)
        if isinstance(candidate, Relaxation):
            results[place] = candidate
        else:
            candidates.append(candidate)
    for some in _batches(candidates, potential):
        for candidate, result in zip(some, _relax_some(some, potential, options), strict=True):
            results[candidate.place] = result
    return [r for r in results if r is not None]


def _admit(place: int, record: Record, potential: Potential, options: RelaxOptions) -> _Candidate | Relaxation:
    """Return what can be relaxed, or the refusal."""
    atoms = record.atoms
    if atoms is None:
        return refused(record, "bad input", record.error or "it cannot be read")
    why = validate(atoms)
    if why is None and options.pressure and not atoms.pbc.all():
        why = "a pressure means nothing without three periodic directions: leave it out for molecules, chains and slabs"
    if why is not None:
        return refused(record, "bad input", why)
    if unknown := potential.refuses(atoms):
        return refused(record, "unsupported", unknown)
    if options.cell != "fixed" and (charge := potential.excess_charge(atoms)):
        why = f"{charged(charge)}: relax it with the cell fixed, or mend the charges"
        return refused(record, "unsupported", why)
    group: Group | None = None
    try:
        held = projectors(atoms)
        if options.keep_symmetry or wants_symmetry(atoms):
            if held is not None:
                raise BadCrystal("symmetry cannot be kept while atoms are fixed: leave one of the two out")
            atoms, group = symmetrised(atoms, options.symprec)
    except BadCrystal as error:
        return refused(record, "bad input", str(error))
    return _Candidate(place, record, atoms, held, group)


def refused(record: Record, status: str, why: str) -> Relaxation:
    """Return the result of a crystal that cannot be relaxed."""
    return Relaxation(record.file or None, record.frame, identity(record.atoms), formula(record.atoms), status, why)


def identity(atoms: Atoms | None) -> str | None:
    """Return `info["id"]` as text, if there is one."""
    given = atoms.info.get("id") if atoms is not None else None
    return None if given is None else str(given)


def formula(atoms: Atoms | None) -> str | None:
    """Return the composition, where the atoms are known elements."""
    if atoms is None or len(atoms) == 0 or atoms.numbers.min() < 0 or atoms.numbers.max() > 118:
        return None
    return str(atoms.symbols.formula.format("metal"))


def _batches(candidates: Sequence[_Candidate], potential: Potential) -> Iterator[list[_Candidate]]:
    """Group crystals so that what a potential needs for their pairs fits comfortably in memory."""
    sphere = 2.1 * (potential.cutoff + 0.5) ** 3

    def size(candidate: _Candidate) -> float:
        n, atoms = len(candidate.atoms), candidate.atoms
        room = atoms.cell.volume if atoms.pbc.all() else 10.0 * n
        return potential.pair_bytes * n * max(1.0, n * sphere / room)

    return greedy(candidates, size, _BYTES_A_BATCH, potential.most_crystals)


def _relax_some(some: Sequence[_Candidate], potential: Potential, options: RelaxOptions) -> list[Relaxation]:
    """Relax one batch; if the potential itself fails, find out on which crystal."""
    try:
        return _relax_together(some, potential, options)
    except Exception as error:
        if len(some) > 1:
            return [result for one in some for result in _relax_some([one], potential, options)]
        logger.debug("relaxing failed", exc_info=True)
        message = " ".join(str(error).split())
        return [refused(some[0].record, "exploded", f"the potential failed: {type(error).__name__}: {message}")]


def _relax_together(some: Sequence[_Candidate], potential: Potential, options: RelaxOptions) -> list[Relaxation]:
    atoms = [c.atoms for c in some]
    batch = Batch.from_atoms(atoms)
    symmetry = Symmetry.pack([c.group for c in some])
    settings = Settings(options.fmax, options.max_steps, MODES[options.cell], options.pressure * GPa, options.skin)
    film = _Film(len(some)) if options.trajectory else None
    done = relax_batch(batch, potential, settings, _held(some, batch), symmetry, film.watch if film else None)
    frames = [None] * len(some) if film is None else film.frames(atoms)
    out = [_result(candidate, done, b, batch, options, frames[b]) for b, candidate in enumerate(some)]
    out = [_remarked(_without_rank(result, potential)) for result in out]
    return _with_percentiles(out, done, potential)


def _held(some: Sequence[_Candidate], batch: Batch) -> Floats | None:
    if all(c.projector_ncc is None for c in some):
        return None
    held = np.broadcast_to(np.eye(3), (len(batch.species_n), 3, 3)).copy()
    for candidate, s in zip(some, batch.slices, strict=True):
        if candidate.projector_ncc is not None:
            held[s] = candidate.projector_ncc
    return held


def _result(
    candidate: _Candidate,
    done: RelaxedBatch,
    b: int,
    start: Batch,
    options: RelaxOptions,
    frames: tuple[Atoms, ...] | None,
) -> Relaxation:
    atoms, n = candidate.atoms, len(candidate.atoms)
    s = slice(int(start.first_b[b]), int(start.first_b[b + 1]))
    code, energy = int(done.status_b[b]), _finite(done.energy_b[b])
    periodic = bool(start.pbc_bc[b].all())
    status, message = _verdict(code, float(done.force_b[b]), float(done.virial_b[b]), options)
    return Relaxation(
        file=candidate.record.file or None,
        frame=candidate.record.frame,
        id=identity(atoms),
        formula=formula(atoms),
        status=status,
        message=message,
        remark=remarks_on(atoms),
        steps=int(done.steps_b[b]),
        energy_per_atom=None if energy is None else energy / n,
        max_force=_finite(done.force_b[b]),
        volume_per_atom=float(_volume(done.batch.cell_bcc[b])) / n if periodic else None,
        start_energy_per_atom=None if np.isnan(done.start_b[b]) else float(done.start_b[b]) / n,
        start_volume_per_atom=float(_volume(start.cell_bcc[b])) / n if periodic else None,
        atoms=moved(atoms, done.batch.positions_nc[s], done.batch.cell_bcc[b], energy),
        trajectory=frames,
    )


def _without_rank(result: Relaxation, potential: Potential) -> Relaxation:
    """Say of a charged cell that it has no rank."""
    charge = potential.excess_charge(result.atoms) if result.atoms is not None else 0.0
    if not charge:
        return result
    said = "; ".join(filter(None, (result.message, f"{charged(charge)}: it has no rank")))
    return replace(result, charge=charge, message=said)


def _remarked(result: Relaxation) -> Relaxation:
    """Say of a crystal that can be used whether its volume has doubled or halved."""
    if not result.sane or not result.doubled or result.growth is None:
        return result
    how = f"grew to {result.growth:.1f} times" if result.growth > 1.0 else f"shrank to {result.growth:.2f} of"
    fear = "come apart" if result.growth > 1.0 else "collapsed"
    said = f"the volume {how} what it was: look at the crystal, it may have {fear}, or have started far from a minimum"
    return replace(result, message="; ".join(filter(None, (result.message, said))))


def _volume(cell: Floats) -> float:
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    return float(abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def moved(atoms: Atoms, positions_nc: Floats, cell_cc: Floats, energy: float | None) -> Atoms:
    """Return the crystal at a new geometry with its info, arrays and constraints, free of results of the old one."""
    out = atoms.copy()
    out.arrays["positions"] = np.array(positions_nc)
    out.cell[:] = cell_cc
    for key in _STALE:
        out.info.pop(key, None)
        out.arrays.pop(key, None)
    for key in out.info.keys() & set(TAGS):  # of the input's own, or of an earlier run
        out.info[f"input_{key}"] = out.info.pop(key)
    if energy is not None:
        out.info["energy"] = energy
    return out


def _verdict(code: int, force: float, virial: float, options: RelaxOptions) -> tuple[str, str]:
    """Return status and message."""
    if code == lbfgs.CONVERGED:
        return "converged", ""
    if code == lbfgs.OUT_OF_STEPS:
        left = f"{force:.3g} eV/Å" if force >= options.fmax else f"{virial:.3g} eV of virial per atom"
        return "max steps", f"after {options.max_steps} steps {left} are left: allow more steps, or a larger fmax"
    reasons = {
        lbfgs.EXPLODED: f"the volume changed more than {lbfgs.LARGEST_CHANGE:g}-fold: the potential does not hold this "
        "crystal together, or its starting volume is far off",
        lbfgs.COLLAPSED: "atoms fell onto each other: the potential has no wall at short distance (add ZBL to it), "
        "or the starting geometry is too tight",
        lbfgs.NOT_FINITE: "the energy or the forces are not finite: atoms start too close, or the potential is flawed",
    }
    return "exploded", reasons[code]


def _with_percentiles(results: list[Relaxation], done: RelaxedBatch, potential: Potential) -> list[Relaxation]:
    """Say where each energy stands among the known crystals, if the potential holds a table that knows any."""
    table = as_statistical(potential)
    if table is None:
        return results
    from lodewell.potentials.statistical.percentile import percentile

    energy_b = done.energy_b
    if table is not potential:
        energies_n = table.compute(done.batch, table.neighbours(done.batch))[0]
        energy_b = np.add.reduceat(energies_n, done.batch.first_b[:-1])
    out = []
    for result, s, energy in zip(results, done.batch.slices, energy_b.tolist(), strict=True):
        found = percentile(table, energy / (s.stop - s.start), done.batch.species_n[s]) if result.sane else None
        out.append(result if found is None else replace(result, percentile=found.value))
    return out


class _Film:
    """Every step of every crystal of a batch."""

    def __init__(self, count: int) -> None:
        self.shots: list[list[tuple[Floats, Floats]]] = [[] for _ in range(count)]

    def watch(self, crystals: Ints, batch: Batch, energy_b: Floats, force_b: Floats) -> None:
        """Keep the present geometry."""
        for b, s, cell in zip(crystals.tolist(), batch.slices, batch.cell_bcc, strict=True):
            self.shots[b].append((batch.positions_nc[s].copy(), cell.copy()))

    def frames(self, atoms: Sequence[Atoms]) -> list[tuple[Atoms, ...]]:
        """Return the steps as crystals."""
        return [
            tuple(moved(a, positions, cell, None) for positions, cell in shots)
            for a, shots in zip(atoms, self.shots, strict=True)
        ]
