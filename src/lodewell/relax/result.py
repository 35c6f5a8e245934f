"""What becomes of a crystal that was given to be relaxed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lodewell.crystals.names import TAGS
from lodewell.text import printable

if TYPE_CHECKING:
    from ase import Atoms

# The keys of a row of results.json, of `lodewell relax --json` and of table.csv, in this order.
ROW = (
    "index", "file", "frame", "id", "formula", "status", "message", "remark", "steps", "energy_per_atom", "percentile",
    "max_force", "volume_per_atom", "rank", "duplicate_of", "above_hull", "start_energy_per_atom",
    "start_volume_per_atom",
)  # fmt: skip
DOUBLED = 2.0  # times the starting volume, or its inverse: more than relaxing a sound crystal does


@dataclass(frozen=True, slots=True)
class Relaxation:
    """One crystal after relaxing, or the reason why there is none. No number is ever NaN: None stands for unknown.

    Attributes:
        file: where it came from; None for crystals given in memory.
        frame: its number in that file, or in the list that was given.
        id: `info["id"]` of the crystal, if it has one.
        formula: its composition, such as "Li3O4P".
        status: "converged", "max steps", "exploded" (`atoms` is the last sane geometry), "unsupported" or "bad input".
        message: why, when the status is not "converged"; why there is no rank; that the volume has doubled or halved;
            else empty.
        remark: what the reader said of it: sites left out, what its file says against it; else empty.
        steps: evaluations of the potential after the first.
        energy_per_atom: eV, the work of a pressure not included.
        percentile: share of known crystals of the same chemistry that lie lower, for potentials that know crystals.
        max_force: largest force left on any atom, eV/Å.
        volume_per_atom: Å^3; None for molecules, slabs and chains.
        rank: 1 for the lowest energy (under pressure: enthalpy) per atom of all crystals of this reduced formula that
            ended sanely; duplicates share it.
        charge: e; charges of the cell that a background neutralises, so that its energy compares with no other.
        duplicate_of: `index` of the better crystal that this one equals, if any.
        start_energy_per_atom: eV, of the crystal as it was given.
        start_volume_per_atom: Å^3, likewise.
        atoms: the relaxed crystal with its `info`, arrays and constraints, its energy in `info["energy"]`, and what
            joins it to this row: `index`, `rank`, `status`, `duplicate_of`, `source`, see `tags`.
        trajectory: the crystal at every step, where asked for.
        index: its place in the input, from zero, and so in the results: the key that joins tables, frames and files.
        above_hull: eV/atom (under pressure: of enthalpy) above the convex hull of all that ended sanely, for potentials
            whose energies are true eV.
    """

    file: str | None
    frame: int
    id: str | None
    formula: str | None
    status: str
    message: str = ""
    remark: str = ""
    steps: int | None = None
    energy_per_atom: float | None = None
    percentile: float | None = None
    max_force: float | None = None
    volume_per_atom: float | None = None
    rank: int | None = None
    duplicate_of: int | None = None
    charge: float = 0.0
    start_energy_per_atom: float | None = None
    start_volume_per_atom: float | None = None
    atoms: Atoms | None = field(default=None, repr=False)
    trajectory: tuple[Atoms, ...] | None = field(default=None, repr=False)
    index: int = 0
    above_hull: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of tables and of `lodewell relax --json`."""
        return {key: getattr(self, key) for key in ROW}

    def tags(self) -> dict[str, Any]:
        """Return what the written crystal carries of its row in `info`, without what is unknown."""
        return {key: value for key in TAGS if (value := getattr(self, key)) is not None}

    @property
    def source(self) -> str | None:
        """Where the crystal came from, "file:frame"; None for crystals given in memory."""
        return None if self.file is None else printable(f"{self.file}:{self.frame}")

    @property
    def sane(self) -> bool:
        """Whether there is a relaxed geometry to be used: converged, or stopped on the way."""
        return self.status in ("converged", "max steps")

    @property
    def growth(self) -> float | None:
        """How many times larger than at the start the volume is; None for molecules, slabs and chains."""
        if not self.volume_per_atom or not self.start_volume_per_atom:
            return None
        return self.volume_per_atom / self.start_volume_per_atom

    @property
    def doubled(self) -> bool:
        """Whether the volume has at least doubled or halved."""
        return self.growth is not None and not 1.0 / DOUBLED < self.growth < DOUBLED
