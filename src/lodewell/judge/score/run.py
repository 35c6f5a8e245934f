"""Score crystals: their energy, where it stands among known crystals, and which of their contacts are odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from ase import Atoms

from lodewell.batching import greedy
from lodewell.crystals.batch import Batch, Flags, Floats
from lodewell.crystals.chemistry import reduced_formula
from lodewell.crystals.given import given_list, in_memory
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.read import Chunk, Record, chunks
from lodewell.crystals.remarks import remarks_on
from lodewell.crystals.validate import validate
from lodewell.judge.score.contacts import Contact, ContactSurvey, odd_contacts, survey
from lodewell.options import keywords_checked
from lodewell.potentials.base import Potential, charged
from lodewell.potentials.given import AnyPotential, as_potential
from lodewell.potentials.pairs.pair import pair_name
from lodewell.potentials.pairs.table import CurvePotential
from lodewell.potentials.statistical.percentile import Percentile, percentile
from lodewell.potentials.statistical.statistical import Statistical, as_statistical
from lodewell.potentials.statistical.thin import thin_p, thin_text
from lodewell.progress import Progress, silent
from lodewell.record import Run
from lodewell.relax.hull import candidates_hull
from lodewell.workers.base import Outcome

__all__ = ["Contact", "Percentile", "Score", "percentile", "ranked", "score", "score_stream"]

Crystals: TypeAlias = Atoms | str | Path | Sequence[Atoms | str | Path]
CHUNK = 400  # crystals a task: about a quarter of a second of work
FEW = 4  # chunks that are done here sooner than worker processes would have started
ATOMS = 20_000  # atoms packed at a time, so that one chunk of giants does not eat the memory


@dataclass(frozen=True)
class Score:
    """What became of one crystal. Lower energies and percentiles look more like known crystals.

    | field | meaning |
    |---|---|
    | `file`, `frame` | where it came from (no file: in memory); frames count from zero |
    | `id` | its own name, if the file gave one |
    | `formula` | reduced, symbols sorted |
    | `status` | `scored`, `unsupported` (an element has no curve) or `bad input` |
    | `message` | why not, and the cure; why a scored crystal has no rank; else empty |
    | `remark` | what the reader said of it: sites left out, what its file says against it; else empty |
    | `energy_per_atom` | eV; dimensionless times one where the potential was not calibrated |
    | `percentile` | 0-100 %, the share of known crystals with a lower or equal energy |
    | `percentile_among` | among whom: "Li-O-P (213 crystals)" |
    | `volume_per_atom` | Å^3; None without a volume |
    | `rank` | 1 is the lowest energy per atom of all crystals of this formula; None when not scored, or charged |
    | `charge` | e; charges of the cell that a background neutralises, so that its energy compares with no other |
    | `contacts` | odd contacts, the worst first, up to 50 |
    | `warnings` | curves that rest on thin statistics |
    | `pair_energies` | pair of elements -> what it adds to the energy per atom (eV) |
    | `energies_n` | energy of each atom (eV), shape (N,) |
    | `index` | its place in the input, from zero |
    | `above_hull` | eV/atom above the convex hull of all crystals scored, where no percentile compares formulas |
    """

    file: str | None
    frame: int
    id: str | None
    formula: str | None
    status: Literal["scored", "unsupported", "bad input"]
    message: str
    remark: str = ""
    energy_per_atom: float | None = None
    percentile: float | None = None
    percentile_among: str | None = None
    volume_per_atom: float | None = None
    rank: int | None = None
    charge: float = 0.0
    contacts: tuple[Contact, ...] = ()
    warnings: tuple[str, ...] = ()
    pair_energies: dict[str, float] | None = None
    energies_n: Floats | None = None
    index: int = 0
    above_hull: float | None = None

    def row(self) -> dict[str, Any]:
        """Return plain values for JSON and tables, without the energies of atoms."""
        keys = ("index", "file", "frame", "id", "formula", "status", "message", "remark", "energy_per_atom",
                "percentile", "percentile_among", "volume_per_atom", "rank", "above_hull", "pair_energies")  # fmt: skip
        values: dict[str, Any] = {key: getattr(self, key) for key in keys}
        values["contacts"] = [
            {"atoms": c.label, "first": c.first + 1, "second": c.second + 1, "pair": c.pair, "distance": c.distance,
             "image": list(c.image), "share": c.share, "known": c.known, "text": str(c)}
            for c in self.contacts
        ]  # fmt: skip
        values["warnings"] = list(self.warnings)
        return values


@keywords_checked
def score(
    crystals: Crystals, potential: AnyPotential = "spp", *, strict_formula: bool = False,
    workers: int | None = 1, cluster: str | None = None, progress: Progress = silent,
) -> list[Score]:  # fmt: skip
    """Score crystals and rank them; one result a crystal, in the order they came, refused ones included.

    Args:
        crystals: `ase.Atoms`, or files, folders and patterns, or a list of either.
        potential: a shipped name, a file, or any potential; percentiles and contacts need a statistical one.
        strict_formula: refuse crystals of files that contradict themselves, instead of remarking on them.
        workers: processes for files; None is every core. In a script, that needs `if __name__ == "__main__":`.
        cluster: as in `lodewell.workers.open_workers`.
        progress: told how many crystals are done.

    Raises:
        BadFile: when a path or the potential does not exist.
    """
    model = as_potential(potential)
    rows: list[Score] = []
    with Run("score", workers=workers, cluster=cluster, progress=progress) as run:
        for scored in score_stream(crystals, model, strict_formula=strict_formula, run=run):
            rows.append(scored)
            run.progress("scoring crystals", len(rows))
        run.progress("ranking")
    return ranked(rows, hull=wants_hull(model))


def score_stream(
    crystals: Crystals, potential: AnyPotential = "spp", *, strict_formula: bool = False, run: Run
) -> Iterator[Score]:  # fmt: skip
    """Score crystals one after the other in constant memory; not ranked, since that takes all of them."""
    model = as_potential(potential)
    given = given_list(crystals)
    records = in_memory(given)
    if records is not None:
        while some := list(islice(records, CHUNK)):
            yield from score_records(some, model)
        return
    recipes = chunks(given, CHUNK, strict=strict_formula)
    first = list(islice(recipes, FEW))
    if len(first) < FEW:
        run.alone()
    for outcome in run.workers.map(partial(_score_chunk, potential=model), chain(first, recipes)):
        yield from _lost(outcome) if outcome.value is None else outcome.value


def _score_chunk(chunk: Chunk, potential: Potential) -> list[Score]:
    return score_records(chunk.read(), potential)


def _lost(outcome: Outcome[Chunk, list[Score]]) -> Iterator[Score]:
    """Give the crystals of a chunk that could not be worked on a row each."""
    for file, frame in outcome.task.entries():
        yield Score(file, frame, None, None, "bad input", outcome.error or "lost")


def wants_hull(potential: Potential) -> bool:
    """Tell whether energies of different formulas are compared on a convex hull: true eV, and no percentile."""
    return potential.calibrated and as_statistical(potential) is None


def ranked(scored: Iterable[Score], *, hull: bool = False) -> list[Score]:
    """Fill in `index`, `rank` and, if asked for, `above_hull`, order kept."""
    rows = [replace(row, index=k) for k, row in enumerate(scored)]
    good = [k for k, s in enumerate(rows) if s.energy_per_atom is not None and not s.charge]
    good.sort(key=lambda k: rows[k].energy_per_atom or 0.0)
    count: Counter[str] = Counter()
    for k in good:
        formula = rows[k].formula or ""
        count[formula] += 1
        rows[k] = replace(rows[k], rank=count[formula])
    if hull and good:
        found = candidates_hull([rows[k].formula or "" for k in good], [rows[k].energy_per_atom or 0.0 for k in good])
        for k, height in zip(good, found.above_c.tolist(), strict=True):
            rows[k] = replace(rows[k], above_hull=height)
    return rows


def best_first(scored: Sequence[Score]) -> list[Score]:
    """Return those with a rank, the best first: by percentile, else by height above the hull, else by energy."""
    chosen = [row for row in scored if row.rank is not None]
    return sorted(chosen, key=lambda r: (r.percentile or 0.0, r.above_hull or 0.0, r.energy_per_atom or 0.0))


def score_records(records: Sequence[Record], potential: Potential) -> list[Score]:
    """Score what was read; bad entries keep their place with the reason."""
    out: list[Score | None] = [None] * len(records)
    good: list[int] = []
    for k, record in enumerate(records):
        refused = _refusal(record, potential)
        out[k] = refused
        if refused is None:
            good.append(k)
    for group in greedy(good, lambda k: len(records[k].atoms or ()), ATOMS, potential.most_crystals):
        atoms = [a for k in group if (a := records[k].atoms) is not None]
        for k, scored in zip(group, _score_batch([records[k] for k in group], atoms, potential), strict=True):
            out[k] = scored
    return [s for s in out if s is not None]


def _refusal(record: Record, potential: Potential) -> Score | None:
    atoms = record.atoms
    if atoms is None:
        return Score(record.file or None, record.frame, None, None, "bad input", record.error or "unreadable")
    why = validate(atoms)
    if why:
        formula = reduced_formula(atoms.numbers) if len(atoms) and 0 < max(atoms.numbers) <= 118 else None
        return Score(record.file or None, record.frame, _id(atoms), formula, "bad input", why)
    if why := potential.refuses(atoms):
        return Score(record.file or None, record.frame, _id(atoms), reduced_formula(atoms.numbers), "unsupported", why)
    return None


def _id(atoms: Atoms) -> str | None:
    found = atoms.info.get("id")
    return None if found is None else str(found)


def _score_batch(records: list[Record], atoms: list[Atoms], potential: Potential) -> Iterator[Score]:
    batch = Batch.from_atoms(atoms)
    table = as_statistical(potential)
    curves = potential if isinstance(potential, CurvePotential) else None
    neighbours = Neighbours.build(batch, max(potential.cutoff, table.cutoff if table else 0.0), half=True)
    found = survey(batch, neighbours, curves or table)
    energies_n = found.energies_n
    if curves is None:  # a sum or another family: its own energies, the table's contacts
        energies_n = potential.compute(batch, potential.neighbours(batch))[0]
    table_energy_b = np.bincount(batch.crystal_n, found.energies_n, len(batch)) / batch.count_b
    energy_b = np.bincount(batch.crystal_n, energies_n, len(batch)) / batch.count_b
    contacts = odd_contacts(batch, found, table) if table else [()] * len(batch)
    few_p = thin_p(table) if table else np.zeros(0, np.bool_)
    volume_b = np.where(batch.pbc_bc.all(axis=1), batch.volume_b, 0.0) / batch.count_b
    for b, (record, crystal, s) in enumerate(zip(records, atoms, batch.slices, strict=True)):
        place = percentile(table, float(table_energy_b[b]), crystal.numbers) if table else None
        charge = potential.excess_charge(crystal)
        yield Score(
            record.file or None, record.frame, _id(crystal), reduced_formula(crystal.numbers), "scored",
            f"{charged(charge)}: it has no rank" if charge else "",
            remark=remarks_on(crystal),
            charge=charge,
            energy_per_atom=float(energy_b[b]),
            percentile=place.value if place else None,
            percentile_among=place.label if place else None,
            volume_per_atom=float(volume_b[b]) or None,
            contacts=contacts[b],
            warnings=_thin(table, few_p, found, b) if table else (),
            pair_energies=_pair_energies(found, b, len(crystal)) if curves or table else None,
            energies_n=energies_n[s],
        )  # fmt: skip


def _pair_energies(found: ContactSurvey, b: int, count: int) -> dict[str, float]:
    elements = [int(z) for z in found.element_be[b] if z]
    return {
        pair_name(z1, z2): float(found.energy_bee[b, i, j]) / count
        for i, z1 in enumerate(elements)
        for j, z2 in enumerate(elements[i:], i)
    }


def _thin(table: Statistical, few_p: Flags, found: ContactSurvey, b: int) -> tuple[str, ...]:
    """Warn of each pair of the crystal whose curve rests on too little."""
    elements = [int(z) for z in found.element_be[b] if z]
    types = [int(table._type_z[z]) for z in elements]
    out = []
    for i, a in enumerate(types):
        for c in types[i:]:
            p = int(table._curve_vtt[0, a, c])
            if p >= 0 and few_p[p]:
                out.append(thin_text(table, p))
    return tuple(out)
