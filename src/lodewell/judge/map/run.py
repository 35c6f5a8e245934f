"""`lodewell.map_crystals`: crystals, or their atoms, as points in a plane, alike ones near each other.

Each is described by SOAP, compared by its kernel and laid out by kernel principal components (De, Bartók, Csányi &
Ceriotti, Phys. Chem. Chem. Phys. 18, 13754 (2016)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.given import given_list, in_memory
from lodewell.crystals.read import Record, read_crystals
from lodewell.crystals.validate import validate
from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap import average, spectra
from lodewell.errors import BadOption
from lodewell.judge.map.kernel_pca import KernelPCA
from lodewell.judge.map.options import MapOptions
from lodewell.judge.map.rows import By, MapPoint, coloured, placed, refusal, rows_of
from lodewell.judge.score.run import Crystals
from lodewell.options import options_of
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.potentials.store import load
from lodewell.progress import Progress, silent

APART = 8  # elements that are told apart unless asked for
_HELD = 200_000  # atoms kept in memory between the two passes
_SPOOL = 100_000_000  # bytes of vectors kept in memory; beyond that on disk
_NUMBERS = 30_000_000  # of all landmarks together
_EVERY = 50  # crystals between two reports
_BLOCK = 2000  # vectors laid out at a time
_UNITS = {"energy": "eV/atom", "volume": "Å³/atom", "density": "g/cm³", "uncertainty": "meV"}


@dataclass(frozen=True)
class CrystalMap:
    """What `lodewell.map_crystals` returns.

    Attributes:
        rows: a crystal or an atom each, in the order they came, refused ones included.
        by: what a point is.
        soap: how each was described.
        together: whether all elements were taken for the same.
        shares: of the variance along the two axes.
        landmarks: points by which the axes were laid.
        colour: name of the `value` of the rows.
        points: coordinates (M, 2) of the sparse points of a GAP; None without one.
    """

    rows: tuple[MapPoint, ...]
    by: By
    soap: Soap
    together: bool
    shares: tuple[float, float]
    landmarks: int
    colour: str
    points: Floats | None = None

    @property
    def unit(self) -> str:
        """Unit of the values, "" where there is none."""
        return _UNITS.get(self.colour, "")

    @property
    def mapped(self) -> list[MapPoint]:
        """The rows that have a place."""
        return [row for row in self.rows if row.x is not None]

    @property
    def sentence(self) -> str:
        """What was drawn, in words."""
        s, count = self.soap, len(self.mapped)
        alike = ""
        if self.together:
            alike = f"; elements are not told apart, as is the default for more than {APART} (--species does)"
        by = "all its points" if self.landmarks == count else f"a sample of {self.landmarks:,}"
        return (
            f"{count:,} {self.by} by SOAP to {s.cutoff:g} Å (σ {s.sigma:g} Å, {s.n_max} radial functions, l to "
            f"{s.l_max}, ζ {s.zeta:g}){alike}. Axes by {by} hold {100 * self.shares[0]:.0f} % and "
            f"{100 * self.shares[1]:.0f} % of the variance."
        )

    def figure(self, path: str | Path) -> Path:
        """Draw the map and return the file."""
        from lodewell.report.map import draw_map

        return draw_map(self, path)

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "by": self.by, "soap": dict(self.soap.__dict__) | {"elements_told_apart": not self.together},
            "shares": list(self.shares), "landmarks": self.landmarks, "colour": self.colour, "unit": self.unit,
            "rows": [row.row() for row in self.rows],
            "sparse_points": None if self.points is None else self.points.tolist(),
        }  # fmt: skip


@options_of(MapOptions)
def map_crystals(
    crystals: Crystals,
    options: MapOptions,
    *,
    potential: str | Path | GAP | None = None,
    progress: Progress = silent,
) -> CrystalMap:
    """Lay crystals, or their atoms, out in a plane so that alike ones are near each other.

    Args:
        crystals: `ase.Atoms`, or files, folders and patterns, or a list of either; read twice where they are many.
        options: a `MapOptions`, or its fields as keywords:
        potential: a GAP: its SOAP describes the atoms, and its sparse points are laid out with them.
        progress: told the stage, and the crystals done.

    Raises:
        BadOption: for a colour that no crystal has, a potential without SOAP, or no crystal that can be mapped.
        BadFile: when a path does not exist.
    """
    gap = None if potential is None else _as_gap(potential)
    term = None if gap is None else _term(gap, options)
    survey = _FirstLook.of(crystals, progress)
    by: By = options.by or ("crystals" if term is None and options.element is None else "atoms")
    if by == "crystals" and term is None and options.element is not None:
        raise BadOption("an element chooses among atoms: leave it out, or draw a map by atoms")
    together = options.species is False or (options.species is None and len(survey.numbers) > APART)
    together = together and term is None
    soap = term.descriptor if term is not None else _soap(survey, options, together)
    assert isinstance(soap, Soap)
    wanted = chemical_symbols[soap.centre] if term is not None else options.element
    rows: list[MapPoint] = []
    with SpooledTemporaryFile(max_size=_SPOOL) as spool:
        for k, record in enumerate(survey.records(crystals)):
            if k % _EVERY == 0:
                progress("describing crystals", k, survey.count)
            refused = refusal(record, gap)
            if refused is not None:
                rows.append(refused)
                continue
            assert record.atoms is not None
            atom_k = _chosen(record.atoms, by, wanted)
            rows += rows_of(record, atom_k if by == "atoms" else None, options.colour, gap)
            spool.write(_vectors(record.atoms, soap, atom_k, by, together).astype(np.float32).tobytes())
        progress("laying out the map")
        pca, xy_nk = _laid_out(spool, soap, options)
    points = pca.project(term.points_md) if term is not None and by == "atoms" else None
    rows, colour = coloured(placed(rows, xy_nk), options.colour, by)
    shares = float(pca.shares_k[0]), float(pca.shares_k[1])
    return CrystalMap(tuple(rows), by, soap, together, shares, len(pca.landmarks_ld), colour, points)


@dataclass(frozen=True)
class _FirstLook:
    """A first look: entries, elements, volumes of an atom, and the entries themselves if they are few."""

    count: int
    numbers: frozenset[int]
    volume: float | None
    held: tuple[Record, ...] | None

    @classmethod
    def of(cls, crystals: Crystals, progress: Progress) -> _FirstLook:
        numbers: set[int] = set()
        volumes: list[float] = []
        held: list[Record] | None = []
        count = atoms = 0
        for record in _read(crystals):
            count += 1
            if count % (10 * _EVERY) == 0:
                progress("reading crystals", count)
            if record.atoms is not None and validate(record.atoms) is None:
                numbers.update(record.atoms.numbers.tolist())
                atoms += len(record.atoms)
                if record.atoms.pbc.all():
                    volumes.append(record.atoms.get_volume() / len(record.atoms))
            if held is not None:
                held.append(record)
                held = held if atoms <= _HELD else None
        if not numbers:
            raise BadOption("there is no crystal that could be mapped")
        volume = float(np.median(volumes)) if volumes else None
        return cls(count, frozenset(numbers), volume, None if held is None else tuple(held))

    def records(self, crystals: Crystals) -> Iterator[Record]:
        """Yield the entries again."""
        yield from _read(crystals) if self.held is None else self.held


def _read(crystals: Crystals) -> Iterator[Record]:
    given = given_list(crystals)
    records = in_memory(given)
    yield from read_crystals(given) if records is None else records


def _as_gap(given: str | Path | GAP) -> GAP:
    potential = given if isinstance(given, GAP) else load(given)
    if not isinstance(potential, GAP):
        raise BadOption(f"{given} is a {potential.kind} potential: a map takes a GAP, which has sparse points")
    return potential


def _term(gap: GAP, options: MapOptions) -> Term:
    """Return the SOAP term of the element that was asked for, or the one with most sparse points."""
    terms = {chemical_symbols[t.descriptor.centre]: t for t in gap.terms if isinstance(t.descriptor, Soap)}
    if not terms:
        raise BadOption("this GAP has no SOAP term, so there is nothing to compare environments by")
    if options.element is None:
        return max(terms.values(), key=lambda term: len(term.weights_m))
    if options.element not in terms:
        raise BadOption(f"this GAP has no SOAP term of {options.element}: choose one of {', '.join(terms)}")
    return terms[options.element]


def _soap(survey: _FirstLook, options: MapOptions, together: bool) -> Soap:
    """Return the descriptor: its reach grows with the room that an atom has, everything else with its reach."""
    reach = round(1.85 * survey.volume ** (1.0 / 3.0), 1) if survey.volume else 5.0
    cutoff = options.cutoff or min(max(reach, 2.0), 8.0)
    species = (0,) if together else tuple(sorted(survey.numbers))
    return Soap(
        species[0], species, cutoff, 0.2 * cutoff, options.n_max, options.l_max, options.sigma or 0.1 * cutoff,
        options.zeta,
    )  # fmt: skip


def _chosen(atoms: Atoms, by: By, element: str | None) -> Ints:
    """Return the atoms that are drawn; all of them make a crystal."""
    if by == "crystals" or element is None:
        return np.arange(len(atoms))
    return np.flatnonzero(np.array(atoms.get_chemical_symbols()) == element)


def _vectors(atoms: Atoms, soap: Soap, atom_k: Ints, by: By, together: bool) -> Floats:
    """Return the vectors of a crystal: one of all atoms, or one each of those chosen."""
    if together:
        atoms = atoms.copy()
        atoms.numbers[:] = soap.centre
    legs = Legs.of_atoms(atoms, soap.cutoff)
    return average(soap, legs)[None] if by == "crystals" else spectra(soap, legs)[atom_k]


def _laid_out(spool: Any, soap: Soap, options: MapOptions) -> tuple[KernelPCA, Floats]:
    """Return the axes and the coordinates (N, 2) of all vectors."""
    width = 4 * soap.size
    count = spool.tell() // width
    if count == 0:
        raise BadOption("no crystal could be mapped" + (f": none holds {options.element}" if options.element else ""))

    def read(first: int, many: int) -> Floats:
        spool.seek(first * width)
        return np.frombuffer(spool.read(many * width), dtype=np.float32).reshape(many, soap.size).astype(float)

    most = max(3, min(options.landmarks, _NUMBERS // soap.size))
    chosen = np.arange(count)
    if count > most:
        chosen = np.sort(np.random.default_rng(options.seed).choice(count, most, replace=False))
    pca = KernelPCA.of(np.concatenate([read(int(n), 1) for n in chosen]), soap.zeta)
    blocks = [pca.project(read(first, min(_BLOCK, count - first))) for first in range(0, count, _BLOCK)]
    return pca, np.concatenate(blocks)
