"""`lodewell.compare`: accuracy against cost, for any number of potentials on the same test data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ase import Atoms

from lodewell.crystals.labels.consistency import CheckedFrames, Contradictions
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, Refusal, keys_in, read_labels
from lodewell.crystals.supercell import repeated
from lodewell.errors import BadCrystal, BadFile, BadOption
from lodewell.judge.check.prototypes import formula_of
from lodewell.judge.compare.timing import Cost, costs, processor, typical
from lodewell.judge.test.comparison import errors_of
from lodewell.judge.test.errors import Errors
from lodewell.judge.test.run import Data, split
from lodewell.options import keywords_checked
from lodewell.potentials.base import Potential
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.progress import Progress, silent

Metric: TypeAlias = Literal["force", "energy"]


@dataclass(frozen=True)
class PublishedErrors:
    """Errors of a potential as somebody else reports them, drawn as a horizontal mark, or a point if the cost is known.

    Attributes:
        name: as it should be written.
        energy_mae: eV/atom, or None.
        force_mae: eV/Å, or None.
        us_per_atom: µs an atom, or None; not measured here.
    """

    name: str
    energy_mae: float | None = None
    force_mae: float | None = None
    us_per_atom: float | None = None


@dataclass(frozen=True)
class Contender:
    """One potential: its name and family, its errors, and its cost (None if there was no cell to time it on)."""

    name: str
    kind: str
    errors: Errors
    cost: Cost | None

    def mae(self, metric: Metric) -> float | None:
        """Return the mean absolute error of force components (eV/Å) or of energies per atom (eV)."""
        return self.errors.force.mae if metric == "force" else self.errors.energy.mae

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        errors = self.errors.json()
        return {
            "name": self.name,
            "kind": self.kind,
            "us_per_atom": None if self.cost is None else self.cost.us_per_atom,
            "us_per_atom_new_list": None if self.cost is None else self.cost.fresh_us_per_atom,
            "spread": None if self.cost is None else self.cost.spread,
            **{key: errors[key] for key in ("energy", "force", "stress", "frames", "atoms")},
            "refused": len(self.errors.refused),
        }


@dataclass(frozen=True)
class Comparison:
    """What `lodewell.compare` returns.

    Attributes:
        rows: a potential each, in the order given.
        published: what others report.
        cell: formula of the cell that was timed; "" where none was.
        cell_atoms: atoms in it.
        machine: the processor.
    """

    rows: tuple[Contender, ...]
    published: tuple[PublishedErrors, ...]
    cell: str
    cell_atoms: int
    machine: str

    def front(self, metric: Metric) -> list[Contender]:
        """Return the potentials that none beats in both error and cost, the cheapest first."""
        known = [r for r in self.rows if r.cost is not None and r.mae(metric) is not None]
        known.sort(key=lambda r: (r.cost.us_per_atom if r.cost else 0.0, r.mae(metric)))
        out: list[Contender] = []
        best = float("inf")
        for row in known:
            error = row.mae(metric)
            if error is not None and error < best:
                out.append(row)
                best = error
        return out

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "potentials": [row.json() for row in self.rows],
            "front": {metric: [r.name for r in self.front(metric)] for metric in ("force", "energy")},
            "published": [vars(p) for p in self.published],
            "timed_on": {"cell": self.cell, "atoms": self.cell_atoms, "threads": 1, "processor": self.machine},
        }

    def figure(self, path: str | Path) -> Path:
        """Draw error against cost and return the file."""
        from lodewell.report.accuracy_cost import draw_comparison

        return draw_comparison(self, path)


@keywords_checked
def compare(
    potentials: Mapping[str, AnyPotential] | Sequence[str | Path | Potential],
    data: Data,
    *,
    published: Sequence[PublishedErrors] = (),
    atoms: int = 2000,
    seconds: float = 3.0,
    keys: LabelKeys = LabelKeys(),  # noqa: B008 frozen
    contradictions: Contradictions = "refuse",
    progress: Progress = silent,
) -> Comparison:
    """Test potentials on labelled crystals, and time them on a larger cell of the same material in the same run.

    The cell is the crystal with the median volume per atom, repeated. Contenders take turns on one thread. An
    evaluation gives energy, forces and virial, its neighbour list kept with a skin of 0.5 Å as in dynamics.

    Args:
        potentials: by name: lodewell potentials, their names or files, or ASE calculators; or a sequence of potentials
            and files.
        data: files, folders or patterns, or crystals with labels on them: `ase.Atoms`, or `lodewell.Labelled`.
        published: errors that others report.
        atoms: at least so many atoms are in the cell that is timed.
        seconds: spent on each contender, at least.
        keys: names of the labels in files, where they should not be found by themselves.
        contradictions: what becomes of labels that contradict each other, as by a wrong unit; "note" goes on.
        progress: told the stage, and the frames done.

    Raises:
        BadOption: when there is nothing to compare.
        BadFile: when a path is not there, no frame could be compared, or labels contradict each other.
    """
    engines = named(potentials)
    if not engines:
        raise BadOption("give one potential at least")
    if atoms < 1:
        raise BadOption(f"the cell needs at least one atom, not {atoms}")
    frames = _Frames(data, keys)
    if contradictions == "refuse":
        progress("reading")
        frames.look()
    errors = {}
    for name, engine in engines.items():
        refused: list[Refusal] = []
        try:
            errors[name] = errors_of(
                engine,
                frames.read(refused),
                name=name,
                refused=refused,
                uncertainty=False,
                points=0,
                progress=partial(_named_stage, progress, f"testing {name}"),
            )
        except BadFile as error:
            raise BadFile(f"{name}: {error}") from error
    cell = frames.cell(list(engines.values()), atoms)
    measured: dict[str, Cost] = {}
    if cell is not None:
        progress(f"timing on {len(cell):,} atoms")
        measured = costs(engines, cell, seconds=seconds)
    rows = [Contender(name, engine.kind, errors[name], measured.get(name)) for name, engine in engines.items()]
    formula = "" if cell is None else formula_of(cell)
    return Comparison(tuple(rows), tuple(published), formula, 0 if cell is None else len(cell), processor())


def _named_stage(progress: Progress, name: str, stage: str, done: int = 0, total: int | None = None, /) -> None:
    progress(name, done, total)


def named(potentials: Mapping[str, AnyPotential] | Sequence[str | Path | Potential]) -> dict[str, Potential]:
    """Return potentials by name; those without a name get that of their file or family, numbered if it is taken."""
    if isinstance(potentials, Mapping):
        return {str(name): as_potential(given) for name, given in potentials.items()}
    if isinstance(potentials, str | Path | Potential):
        potentials = [potentials]
    out: dict[str, Potential] = {}
    for given in potentials:
        add_named(out, given)
    return out


def add_named(engines: dict[str, Potential], given: AnyPotential, name: str = "") -> None:
    """Add a potential under its name, or that of its file or family; a number is added where the name is taken."""
    engine = as_potential(given)
    if not name:
        name = Path(given).name.removesuffix(".lodewell") if isinstance(given, str | Path) else engine.kind
    free, number = name, 2
    while free in engines:
        free, number = f"{name} ({number})", number + 1
    engines[free] = engine


class _Frames:
    """Labelled crystals that can be read once for each potential."""

    def __init__(self, data: Data, keys: LabelKeys) -> None:
        self.paths, given = split(data, keys)
        self.keys = keys
        self.given: list[Labelled] = list(given)

    def read(self, refused: list[Refusal]) -> Iterable[Labelled]:
        """Yield the frames, bad ones as rows of `refused`."""
        return iter(self.given) if self.paths is None else read_labels(self.paths, self.keys, refused)

    def look(self) -> None:
        """Read all frames once, and refuse labels that contradict each other."""
        for _ in CheckedFrames(
            self.read([]), self.keys if self.paths is None else keys_in(self.paths, self.keys), "refuse"
        ):
            pass

    def cell(self, engines: list[Potential], wanted: int) -> Atoms | None:
        """Return a cell of `wanted` atoms or more that every potential can take, or None if there is no crystal."""

        def usable() -> Iterator[Atoms]:
            for frame in self.read([]):
                if frame.atoms.pbc.all() and not any(e.unsupported(frame.atoms.numbers) for e in engines):
                    yield frame.atoms

        chosen = typical(list(usable()))
        if chosen is None:
            return None
        cell = repeated(chosen, wanted)
        if not cell.get_volume() > 0.0:
            raise BadCrystal("the crystal to be timed has no volume")
        return cell
