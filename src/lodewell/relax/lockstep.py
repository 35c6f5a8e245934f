"""Many crystals relaxed together: one call of the potential a step for all that still move.

Each crystal has its own optimiser (`lodewell.relax.lbfgs`) in its own variables (`lodewell.relax.strain`). Finished
crystals are taken out of the batch when that is worth the copying.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.potentials.base import Potential
from lodewell.relax import lbfgs, strain
from lodewell.relax._symmetrise import symmetrise
from lodewell.relax.lbfgs import ACTIVE, COLLAPSED, MEMORY
from lodewell.relax.symmetry import Symmetry

TOUCHING = 0.35  # Å; no two atoms of any crystal are this close (H-H in hydrogen: 0.74 Å)
_LOOK_EVERY = 12  # steps between two looks for collapsed crystals
_COMPACT_AT = 0.65  # take finished crystals out when fewer than this share still move
_STIFFNESS = 1.25  # Å; length that makes the cell about as stiff as the atoms, times the square root of their number

MODES = {"free": strain.FREE, "fixed": strain.FIXED, "shape": strain.SHAPE, "volume": strain.VOLUME}
Watcher = Callable[[Ints, Batch, Floats, Floats], None]


@dataclass(frozen=True)
class Settings:
    """What one run of `relax_batch` needs to know; pressure in eV/Å^3."""

    fmax: float = 0.01
    max_steps: int = 500
    mode: int = strain.FREE
    pressure: float = 0.0
    skin: float = 0.8


@dataclass(frozen=True)
class RelaxedBatch:
    """What became of every crystal of a batch, in its order.

    | field | shape | meaning |
    |---|---|---|
    | `batch` | | the relaxed crystals; of exploded ones the last sane geometry |
    | `status_b` | (B,) | `CONVERGED`, `OUT_OF_STEPS`, or from `EXPLODED` on, see `lodewell.relax.lbfgs` |
    | `steps_b` | (B,) | evaluations after the first |
    | `energy_b`, `start_b` | (B,) | eV, pressure's work not included; NaN where there is none |
    | `force_b` | (B,) | largest force, eV/Å |
    | `virial_b` | (B,) | largest principal virial per atom, eV |
    """

    batch: Batch
    status_b: Ints
    steps_b: Ints
    energy_b: Floats
    start_b: Floats
    force_b: Floats
    virial_b: Floats


@dataclass
class _State:
    """Everything the compiled loops keep about the crystals that still move; `_r` rows, `_n` atoms, `_b` crystals."""

    x_r: Floats
    trial_r: Floats
    gradient_r: Floats
    accepted_r: Floats
    direction_r: Floats
    sane_r: Floats
    steps_taken_r: Floats
    gradient_changes_r: Floats
    projector_n: Floats
    rho_b: Floats
    used_b: Ints
    head_b: Ints
    energy_b: Floats
    trial_energy_b: Floats
    start_b: Floats
    alpha_b: Floats
    slope_b: Floats
    fails_b: Ints
    careless_b: NDArray[np.bool_]
    steps_b: Ints
    status_b: Ints
    force_b: Floats
    virial_b: Floats
    cell_b: Floats
    span_b: Floats
    length_b: Floats
    unscaled_b: Floats
    deformation_b: Floats
    inverse_b: Floats
    origin_b: Ints

    @classmethod
    def start(cls, batch: Batch, projector_ncc: Floats | None) -> _State:
        """Begin at the crystals as they are."""
        count, rows = len(batch), len(batch.species_n) + 3 * len(batch)
        x = np.zeros((rows, 3))
        x[_atom_rows(batch)] = batch.positions_nc

        def of_rows(width: int = 3) -> Floats:
            return np.zeros((rows, width))

        def of_crystals(*shape: int) -> Floats:
            return np.zeros((count, *shape))

        def counts() -> Ints:
            return np.zeros(count, np.int64)

        return cls(
            x_r=x, trial_r=x.copy(), gradient_r=of_rows(), accepted_r=of_rows(), direction_r=of_rows(), sane_r=x.copy(),
            steps_taken_r=of_rows(3 * MEMORY), gradient_changes_r=of_rows(3 * MEMORY),
            projector_n=np.zeros((0, 3, 3)) if projector_ncc is None else projector_ncc,
            rho_b=of_crystals(MEMORY), used_b=counts(), head_b=counts(), energy_b=np.full(count, np.nan),
            trial_energy_b=of_crystals(), start_b=np.full(count, np.nan), alpha_b=of_crystals(), slope_b=of_crystals(),
            fails_b=counts(), careless_b=np.zeros(count, np.bool_), steps_b=counts(), status_b=counts(),
            force_b=np.full(count, np.nan), virial_b=np.full(count, np.nan), cell_b=batch.cell_bcc.copy(),
            span_b=periodic_span(batch), length_b=_STIFFNESS * np.sqrt(batch.count_b.astype(float)),
            unscaled_b=of_crystals(3, 3), deformation_b=of_crystals(3, 3), inverse_b=of_crystals(3, 3),
            origin_b=np.arange(count),
        )  # fmt: skip

    def take(self, batch: Batch, kept: Ints) -> _State:
        """Keep these crystals; `batch` is the one before `Batch.take`."""
        rows = _ranges(_row_b(batch), kept)
        atoms = _ranges(batch.first_b, kept)
        values = {}
        for field in fields(self):
            array = getattr(self, field.name)
            index = {"r": rows, "n": atoms, "b": kept}[field.name[-1]]
            values[field.name] = array[index] if len(array) else array
        return _State(**values)


def relax_batch(
    batch: Batch,
    potential: Potential,
    settings: Settings,
    projector_ncc: Floats | None = None,
    symmetry: Symmetry | None = None,
    watch: Watcher | None = None,
) -> RelaxedBatch:
    """Relax every crystal of a batch; `projector_ncc` (N, 3, 3) says where each atom may move.

    `watch` is called with (crystals, batch, energies, forces) after every step, for trajectories.
    """
    done = _Collector(batch)
    work = batch.moved(batch.positions_nc.copy(), batch.cell_bcc.copy())
    state = _State.start(work, projector_ncc)
    neighbours = potential.neighbours(work, settings.skin)
    row_b = _row_b(work)
    step = 0
    while True:
        _place(state, work, row_b, settings)
        if step:
            neighbours.update(work)
        finished = _step(potential, work, neighbours, state, row_b, settings, symmetry)
        if watch is not None:
            watch(state.origin_b, work, state.energy_b, state.force_b)
        step += 1
        if step % _LOOK_EVERY == 0 or finished > (1.0 - _COMPACT_AT) * len(work) or finished == len(work):
            _place(state, work, row_b, settings)
            _reject_collapsed(state, work, row_b, step >= _LOOK_EVERY)
            over = state.status_b != ACTIVE
            if over.any():
                _place(state, work, row_b, settings)
                done.collect(state, work, np.flatnonzero(over), settings)
                kept = np.flatnonzero(~over)
                if not len(kept):
                    return done.result()
                state, neighbours = state.take(work, kept), neighbours.take(work, kept)
                symmetry = symmetry.take(kept) if symmetry is not None else None
                work = work.take(kept)
                row_b = _row_b(work)


def _step(
    potential: Potential, work: Batch, neighbours: Neighbours, state: _State, row_b: Ints, settings: Settings,
    symmetry: Symmetry | None,
) -> int:  # fmt: skip
    """Evaluate the trial points and advance every optimiser; return how many crystals have finished."""
    energies_n, forces_nc, virials_bcc = potential.compute(work, neighbours)
    strain.pull_back(
        energies_n, forces_nc, virials_bcc, row_b, work.first_b, state.length_b, state.span_b, settings.mode,
        settings.pressure, work.cell_bcc, state.unscaled_b, state.deformation_b, state.projector_n,
        state.trial_energy_b, state.gradient_r,
    )  # fmt: skip
    if symmetry is not None:
        symmetrise(state.gradient_r, row_b, symmetry.first_b, symmetry.rotation_kcc, symmetry.maps, symmetry.map_b)
    finished: int = lbfgs.advance(
        state.trial_energy_b, state.gradient_r.ravel(), state.deformation_b, state.inverse_b, state.unscaled_b,
        state.length_b, row_b, settings.fmax, settings.max_steps, state.x_r.ravel(), state.trial_r.ravel(),
        state.accepted_r.ravel(), state.direction_r.ravel(), state.steps_taken_r.ravel(),
        state.gradient_changes_r.ravel(), state.rho_b, state.used_b, state.head_b,
        state.energy_b, state.alpha_b, state.slope_b, state.fails_b, state.careless_b, state.steps_b, state.status_b,
        state.force_b, state.virial_b,
    )  # fmt: skip
    fresh = np.isnan(state.start_b)
    if fresh.any():
        state.start_b[fresh] = state.energy_b[fresh]
    return finished


def _place(state: _State, work: Batch, row_b: Ints, settings: Settings) -> None:
    """Write the trial geometry into the batch."""
    strain.place(
        state.trial_r, row_b, work.first_b, state.length_b, state.span_b, settings.mode, state.cell_b,
        state.unscaled_b, state.deformation_b, state.inverse_b, work.positions_nc, work.cell_bcc,
    )  # fmt: skip


def _reject_collapsed(state: _State, work: Batch, row_b: Ints, settled: bool) -> None:
    """Call crystals exploded whose atoms have fallen onto each other, and return them to where they were sane."""
    contacts = Neighbours.build(work, TOUCHING, half=True)
    pairs_n = np.concatenate([[0], np.cumsum(contacts.last_n - contacts.first_n)])
    collapsed_b = np.diff(pairs_n[work.first_b]) > 0
    if not settled:  # a bad start gets the time to push its atoms apart
        collapsed_b &= state.status_b != ACTIVE
    row_collapsed = np.repeat(collapsed_b, np.diff(row_b))
    state.sane_r[~row_collapsed] = state.x_r[~row_collapsed]
    if collapsed_b.any():
        state.status_b[collapsed_b] = COLLAPSED
        state.energy_b[collapsed_b] = state.force_b[collapsed_b] = state.virial_b[collapsed_b] = np.nan
        state.trial_r[row_collapsed] = state.sane_r[row_collapsed]


class _Collector:
    """Gathers finished crystals in the order of the batch they came from."""

    def __init__(self, batch: Batch) -> None:
        count = len(batch)
        self.batch = batch
        self.positions_nc = batch.positions_nc.copy()
        self.cell_bcc = batch.cell_bcc.copy()
        self.status_b, self.steps_b = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.energy_b, self.start_b, self.force_b, self.virial_b = np.full((4, count), np.nan)

    def collect(self, state: _State, work: Batch, over: Ints, settings: Settings) -> None:
        """Take the results of these crystals of the present batch."""
        home = state.origin_b[over]
        self.positions_nc[_ranges(self.batch.first_b, home)] = work.positions_nc[_ranges(work.first_b, over)]
        self.cell_bcc[home] = work.cell_bcc[over]
        self.status_b[home], self.steps_b[home] = state.status_b[over], state.steps_b[over]
        work_done = settings.pressure * np.abs(np.linalg.det(work.cell_bcc[over]))
        self.energy_b[home] = state.energy_b[over] - work_done
        self.start_b[home] = state.start_b[over] - settings.pressure * np.abs(np.linalg.det(state.cell_b[over]))
        self.force_b[home], self.virial_b[home] = state.force_b[over], state.virial_b[over]

    def result(self) -> RelaxedBatch:
        """Return what has been gathered."""
        return RelaxedBatch(
            self.batch.moved(self.positions_nc, self.cell_bcc), self.status_b, self.steps_b, self.energy_b,
            self.start_b, self.force_b, self.virial_b,
        )  # fmt: skip


def periodic_span(batch: Batch) -> Floats:
    """Return the projector onto the span of the periodic lattice vectors of each crystal, shape (B, 3, 3)."""
    span = np.broadcast_to(np.eye(3), (len(batch), 3, 3)).copy()
    for b in np.flatnonzero(~batch.pbc_bc.all(axis=1)):
        kept = batch.cell_bcc[b][batch.pbc_bc[b]]
        basis = np.linalg.svd(kept)[2][: len(kept)] if len(kept) else np.zeros((0, 3))
        span[b] = basis.T @ basis
    return span


def _row_b(batch: Batch) -> Ints:
    """Return where the rows of each crystal's variables begin: its atoms, then three of its cell."""
    return np.asarray(batch.first_b + 3 * np.arange(len(batch) + 1), dtype=np.int64)


def _atom_rows(batch: Batch) -> Ints:
    return np.arange(len(batch.species_n)) + 3 * batch.crystal_n


def _ranges(first_b: Ints, kept: Ints) -> Ints:
    """Concatenate the ranges `first_b[b]:first_b[b + 1]` of some crystals."""
    length = (first_b[1:] - first_b[:-1])[kept]
    offsets = _offsets(length)
    return np.asarray(np.arange(offsets[-1]) + np.repeat(first_b[:-1][kept] - offsets[:-1], length), dtype=np.int64)


def _offsets(length_b: Ints) -> Ints:
    out = np.zeros(len(length_b) + 1, np.int64)
    np.cumsum(length_b, out=out[1:])
    return out
