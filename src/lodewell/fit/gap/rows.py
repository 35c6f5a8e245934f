"""The rows of a GAP fit: what a labelled crystal says of the weights, each row over its expected error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Labelled, LabelledChunk
from lodewell.crystals.voigt import SIX
from lodewell.errors import BadOption
from lodewell.fit.data import Folds, frame_weight, stress_rows
from lodewell.fit.gap.options import GAPOptions, triple
from lodewell.fit.gap.prior import Prior
from lodewell.fit.linear.least_squares import LinearSystem
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.design import Design

ENERGY, FORCE, STRESS = "energy", "force", "stress"
GIVEN = "given"  # rows with a σ of their own, over which they are divided already


@dataclass(frozen=True)
class Block:
    """Rows of one kind of a frame.

    | field | shape | meaning |
    |---|---|---|
    | `name` | | kind, and what sort of σ it has: "force", "force/liquid", "force/given" |
    | `rows_xm` | (X, M) | by the weights α, in eV/√atom, eV/Å |
    | `targets_x` | (X,) | labels less what the prior's mean and the baseline say |
    | `sigma` | | by which both were divided, an array (X,) or 1 |
    """

    name: str
    rows_xm: Floats
    targets_x: Floats
    sigma: Floats | float = 1.0


@dataclass(frozen=True)
class GAPRows:
    """Makes the rows of a frame; can be sent to workers.

    sorts: config_types whose σ are chosen on their own. folds: of the cross-validation, None for a single one.
    """

    design: Design
    prior: Prior
    baseline: Potential | None
    options: GAPOptions
    sorts: frozenset[str] = frozenset()
    folds: Folds | None = None
    given: Mapping[str, tuple[float, float, float]] = field(init=False)

    def __post_init__(self) -> None:
        given = {kind: triple(text, kind) for kind, text in self.options.config_sigmas.items()}
        object.__setattr__(self, "given", given)

    def blocks(self, frame: Labelled) -> Iterator[Block]:
        """Yield the rows of energy / √N (eV), forces (eV/Å), and virial / √N (eV)."""
        atoms, count = frame.atoms, len(frame.atoms)
        rows = self.design.rows(atoms, derivatives=frame.forces_nc is not None or frame.stress_cc is not None)
        below = None if self.baseline is None else self.baseline.evaluate(atoms)[0]
        root = np.sqrt(count)
        if frame.energy is not None:
            binding = frame.energy - self.prior.energy_of(atoms.numbers) - (below.energy if below else 0.0)
            yield self._block(ENERGY, rows.energies_nm.sum(axis=0)[None] / root, np.array([binding / root]), frame)
        if frame.forces_nc is not None:
            forces_nc = frame.forces_nc - (below.forces_nc if below else 0.0)
            yield self._block(FORCE, rows.forces_ncm.reshape(3 * count, -1), forces_nc.ravel(), frame)
        if frame.stress_cc is not None and len(wanted := stress_rows(self.options)):
            v = rows.virials_bccm[0]
            virial_vm = (0.5 * (v + v.transpose(1, 0, 2)))[SIX] / root
            label_cc = -frame.stress_cc * atoms.get_volume() - (below.virial_cc if below else 0.0)
            yield self._block(STRESS, wanted @ virial_vm, wanted @ label_cc[SIX] / root, frame)

    def _block(self, kind: str, rows_xm: Floats, targets_x: Floats, frame: Labelled) -> Block:
        targets_x = targets_x - rows_xm @ self.prior.weights_m
        sigma = self._own(kind, frame)
        if sigma is None:
            sort = f"/{frame.config_type}" if frame.config_type in self.sorts else ""
            return Block(kind + sort, rows_xm, targets_x)
        if np.ndim(sigma):
            assert isinstance(sigma, np.ndarray)
            return Block(f"{kind}/{GIVEN}", rows_xm / sigma[:, None], targets_x / sigma, sigma)
        return Block(f"{kind}/{GIVEN}", rows_xm / sigma, targets_x / sigma, sigma)

    def _own(self, kind: str, frame: Labelled) -> Floats | float | None:
        """Return σ as the frame, its config_type or the options have it, None where it is to be chosen."""
        place = (ENERGY, FORCE, STRESS).index(kind)
        own = _of_frame(kind, frame)
        if own is not None:
            return own
        if frame.config_type in self.given:
            return self.given[frame.config_type][place]
        options = self.options
        return (options.energy_sigma, options.force_sigma, options.virial_sigma)[place]

    def white(self, block: Block) -> Floats:
        """Return rows (X, M) by the white coordinates that are open."""
        rows_xm = self.design.whitened(block.rows_xm)
        rows_xm[:, self.prior.pinned_m] = 0.0
        return rows_xm

    def fold(self, frame: Labelled, streamed: LinearSystem) -> None:
        """Fold the rows of a frame, in white coordinates and with its weight."""
        if self.prior.settles(frame):
            return
        fold, weight = 0 if self.folds is None else self.folds.of(frame), frame_weight(frame, self.options)
        for block in self.blocks(frame):
            streamed.add(block.name, fold, self.white(block), block.targets_x, weight)

    def fold_chunk(self, chunk: LabelledChunk) -> tuple[LinearSystem, int]:
        """Fold the rows of some frames; return them and the number of frames (runs in the workers)."""
        streamed = LinearSystem(self.design.columns)
        frames = chunk.read()[0]
        for frame in frames:
            self.fold(frame, streamed)
        return streamed, len(frames)


def _of_frame(kind: str, frame: Labelled) -> Floats | float | None:
    """Return σ that the frame itself gives, for its rows; total energies and virials have it for the whole frame."""
    info, arrays, count = frame.atoms.info, frame.atoms.arrays, len(frame.atoms)
    if kind == FORCE:
        for name in ("force_component_sigma", "force_atom_sigma"):
            if name in arrays:
                each = np.asarray(arrays[name], dtype=float).reshape(count, -1)
                return _positive(np.broadcast_to(each, (count, 3)).ravel(), name, frame)
        return _positive(info["force_sigma"], "force_sigma", frame) if "force_sigma" in info else None
    name = "energy_sigma" if kind == ENERGY else "virial_sigma"
    if name not in info:
        return None
    found = _positive(np.mean(np.asarray(info[name], dtype=float)), name, frame)
    return float(found / np.sqrt(count))


def _positive(value: Floats | float, name: str, frame: Labelled) -> Floats | float:
    array = np.asarray(value, dtype=float)
    if not (array > 0.0).all():
        raise BadOption(f"{frame.where}: {name} must be above 0 and finite")
    return array if array.ndim else float(array)
