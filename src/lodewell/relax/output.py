"""The files of a run, made from its ledger: tables, relaxed crystals, the best of them, trajectories, a summary.

One key joins them all: `index`, the place of a crystal in the input. It stands in the rows, in the header of each
frame, in the names of files and in their comment lines.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms

from lodewell.crystals.formats.extxyz.read import parse_frames
from lodewell.crystals.formats.extxyz.write import with_info
from lodewell.crystals.names import stems
from lodewell.crystals.paths import passed_over
from lodewell.crystals.write import cannot_hold, write_crystals
from lodewell.files import atomic_path, text_file, write_failure
from lodewell.ledger import Ledger
from lodewell.record import Run, write_summary
from lodewell.relax.options import RelaxOptions
from lodewell.relax.rank import DuplicateSearch, best_first, ranked
from lodewell.relax.result import ROW, Relaxation
from lodewell.text import json_text

SUFFIX = {
    "extxyz": ".extxyz", "cif": ".cif", "poscar": ".vasp", "db": ".db", "pymatgen": ".json",
    "optimade": ".optimade.json", "jarvis": ".jarvis.json",
}  # fmt: skip
_SEVERAL = ("cif", "poscar")  # formats of one file a crystal


@dataclass(frozen=True)
class Best:
    """Which of the relaxed crystals are written once more, for the calculations that follow.

    Attributes:
        count: how many; 0 for none. They have ended sanely and equal no better one.
        format: of the files.
        folders: a folder for each crystal, instead of files beside each other.
    """

    count: int = 0
    format: str = "poscar"
    folders: bool = False

    def path(self, stem: str) -> str:
        """Return the path of a crystal within the folder `best`."""
        if not self.folders:
            return f"{stem}{SUFFIX[self.format]}"
        return f"{stem}/" + ("POSCAR" if self.format == "poscar" else f"crystal{SUFFIX[self.format]}")


@dataclass(frozen=True)
class Files:
    """Which files a folder of results gets beside the usual ones.

    Attributes:
        format: of the relaxed crystals, beside extended XYZ.
        best: which of them are written once more, into the folder `best`.
    """

    format: str = "extxyz"
    best: Best = Best()


@dataclass(frozen=True)
class Output:
    """The results of a run and where their atoms are kept.

    Attributes:
        out: the folder.
        ledger: what is finished.
        keys: of the chunks, in input order.
        home: of each result, the key of its chunk and its place there.
        results: ranked, in input order, without their atoms.
        stems: what each crystal is called on disk.
        notes: what the user must know.
    """

    out: Path
    ledger: Ledger
    keys: Sequence[str]
    home: Sequence[tuple[str, int]]
    results: Sequence[Relaxation]
    stems: Sequence[str]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def collect(
        cls, out: Path, ledger: Ledger, keys: Sequence[str], options: RelaxOptions, duplicates: bool, calibrated: bool
    ) -> Output:
        """Rank what the chunks of the ledger hold; `calibrated` is the potential."""
        lines = [(key, place, line) for key in keys for place, line in enumerate(ledger.documents(key))]
        home = [(key, place) for key, place, _ in lines]
        results = [Relaxation(**line) for _, _, line in lines]
        search = DuplicateSearch(lambda k: _atoms(ledger, *home[k])) if duplicates else None
        results = ranked(results, options.pressure, search, calibrated)
        return cls(out, ledger, keys, home, results, stems(results))

    def crystal(self, k: int) -> Atoms:
        """Return a relaxed crystal that carries its row, called as its file is."""
        atoms = _atoms(self.ledger, *self.home[k])
        if "id" in atoms.info:
            atoms.info["input_id"] = atoms.info["id"]
        atoms.info |= {**self.results[k].tags(), "id": self.stems[k]}
        return atoms

    def frames(self, extra: bool = False) -> Iterator[tuple[Relaxation, bytes]]:
        """Yield each result that has a frame of extended XYZ, or several, and their text."""
        rows = iter(self.results)
        for key in self.keys:
            for text in self.ledger.data(key, extra=extra):
                row = next(rows)
                if text is not None:
                    yield row, with_info(text, row.tags())

    def folder(self, name: str, files: Sequence[str]) -> Path:
        """Make a folder for these files, and remove what an earlier run, and nobody else, has left there."""
        folder = self.out / name
        for stale in self.ledger.replace_files(name, files):
            path = folder / stale
            if path.resolve().is_relative_to(folder.resolve()):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
                    path.parent.rmdir()  # refused while something of the user's is in it
        try:
            for path in {folder, *((folder / file).parent for file in files)}:
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_failure(folder, error) from error
        return folder


def _atoms(ledger: Ledger, key: str, place: int) -> Atoms:
    found = next(parse_frames(ledger.piece(key, place) or b""), None)
    if not isinstance(found, Atoms):
        raise ledger.damaged()
    return found


def write_all(output: Output, files: Files, options: RelaxOptions) -> list[str]:
    """Write every file of results but the summary; return what the user must know."""
    with atomic_path(output.out / "relaxed.extxyz") as temporary, open(temporary, "wb") as stream:
        for row, frame in output.frames():
            if row.sane:
                stream.write(frame)
    write_table(output.out / "table.csv", output.results)
    with text_file(output.out / "results.json") as stream_of_text:
        stream_of_text.write(rows_json(output.results))
    if files.format != "extxyz":
        _write_format(output, files.format)
    if files.best.count:
        _write_best(output, files.best, options.pressure)
    if options.trajectory:
        _write_trajectories(output)
    return output.notes


def names_of_files(files: Files, options: RelaxOptions) -> list[str]:
    """Return the files and folders that `write_all` writes."""
    names = ["relaxed.extxyz", "table.csv", "results.json"]
    names += [name_of_format(files.format)] if files.format != "extxyz" else []
    return names + ["best"] * (files.best.count > 0) + ["trajectories"] * options.trajectory


def write_table(path: Path, rows: Iterable[Relaxation], more: Sequence[str] | None = None) -> None:
    """Write rows as CSV; `more` is the path of each one's file."""
    with text_file(path, newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*ROW, *(["path"] if more is not None else [])])
        for k, row in enumerate(rows):
            cells = ["" if value is None else value for value in row.row().values()]
            writer.writerow([*cells, more[k]] if more is not None else cells)


def rows_json(results: Sequence[Relaxation]) -> str:
    """Return the rows of all results as JSON, one a line."""
    return "[\n" + ",\n".join(json_text(r.row()) for r in results) + "\n]\n"


def name_of_format(form: str) -> str:
    """Return the file, or the folder of files, that holds the relaxed crystals in another format."""
    return f"relaxed-{form}" if form in _SEVERAL else "relaxed.db" if form == "db" else f"relaxed.{form}.json"


def _write_format(output: Output, form: str) -> None:
    """Write the relaxed crystals in another format too: a folder of CIFs or POSCARs, or one file."""
    name = name_of_format(form)
    kept = _held(output, [r.index for r in output.results if r.sane], form, name)
    if form not in _SEVERAL:
        write_crystals(output.out / name, map(output.crystal, kept), format=form)
        return
    files = [output.stems[k] + SUFFIX[form] for k in kept]
    folder = output.folder(name, files)
    for k, file in zip(kept, files, strict=True):
        write_crystals(folder / file, output.crystal(k), format=form)


def _write_best(output: Output, best: Best, pressure: float) -> None:
    """Write the best crystals into a folder, and a table of them in their order."""
    order = [r.index for r in best_first(output.results, pressure)]
    kept = _held(output, order, best.format, "best", best.count)
    files = [best.path(output.stems[k]) for k in kept]
    folder = output.folder("best", files)
    for k, file in zip(kept, files, strict=True):
        write_crystals(folder / file, output.crystal(k), format=best.format)
    write_table(folder / "table.csv", [output.results[k] for k in kept], files)


def _held(output: Output, chosen: Sequence[int], form: str, name: str, count: int | None = None) -> list[int]:
    """Return those of the crystals that a format can hold, up to a number, and tell of the others."""
    if form not in ("cif", "poscar", "jarvis"):
        return list(chosen[:count])
    kept: list[int] = []
    left_out: dict[str, list[int]] = {}
    for k in chosen:
        if len(kept) == count:
            break
        why = cannot_hold(form, output.crystal(k))
        (kept if why is None else left_out.setdefault(why, [])).append(k)
    for why, indices in left_out.items():
        some = ", ".join(map(str, indices[:5])) + (f" and {len(indices) - 5:,} more" if len(indices) > 5 else "")
        output.notes.append(f"{name} is without index {some}: {why}")
    return kept


def _write_trajectories(output: Output) -> None:
    """Write every step of each crystal, a file a crystal."""
    filmed = [f"{output.stems[row.index]}.extxyz" for row, _ in output.frames(extra=True)]
    folder = output.folder("trajectories", filmed)
    for row, film in output.frames(extra=True):
        with atomic_path(folder / f"{output.stems[row.index]}.extxyz") as temporary:
            temporary.write_bytes(film)


def write_run(
    output: Output, run: Run, files: Files, options: RelaxOptions, paths: Sequence[str], potential: dict[str, Any],
    resumed: int, notes: Sequence[str],
) -> None:  # fmt: skip
    """Write the summary."""
    count = len(output.results)
    inputs = {"crystals": paths or "memory", "passed_over": passed_over(paths), "potential": potential}
    results = {
        "crystals": count,
        "counts": dict(Counter(r.status for r in output.results)),
        "crystals_per_second": round((count - resumed) / max(run.laps["relaxing"], 1e-3), 1),
    }
    names = names_of_files(files, options)
    write_summary(
        output.out,
        run.summary(
            inputs=inputs, options=options, results=results, resumed=resumed, notes=notes,
            outputs=[output.out / name for name in names],
        ),
    )  # fmt: skip
