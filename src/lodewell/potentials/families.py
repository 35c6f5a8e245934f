"""The list of families: one row each, from which everything is read that differs between families.

A row is made of text, so that this module imports none of them. A package of its own brings a row by an entry point of
the group `lodewell.families`, named like the kind, and a script by `register`; see `docs/extending.md`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lodewell.errors import BadOption, did_you_mean

GROUP = "lodewell.families"
PAIRS = "pair potential"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Family:
    """One family of potentials. A place is text such as "package.module:name".

    | field | meaning |
    |---|---|
    | `kind` | its name in files, tables and commands |
    | `potential` | place of the class, a `lodewell.Potential` |
    | `description` | a few words |
    | `fit` | place of a `lodewell.fit.run.FitFunction`; without one the family is not fitted |
    | `options` | place of the dataclass of options of the fit |
    | `fit_help` | what `lodewell fit KIND --help` says first |
    | `figures` | a module like `lodewell.report.families.Figures`; without one, curves of pairs are drawn |
    | `exports` | by format, place of `write(potential, elements, folder)`; sums over pairs need none |
    | `reads` | by ending of another code's files, place of a function that reads them |
    | `references` | its papers: names in `lodewell.report.citations`, or places of a `Reference` |
    | `group`, `colour` | in the legend of `lodewell compare`: its name, and a colour (of `report.style`, or another) |
    """

    kind: str
    potential: str
    description: str
    fit: str = ""
    options: str = ""
    fit_help: str = ""
    figures: str = ""
    exports: Mapping[str, str] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    references: tuple[str, ...] = ()
    group: str = "other"
    colour: str = "SKY"


def imported(place: str) -> Any:
    """Import "package.module:name", or "package.module"."""
    module, _, name = place.partition(":")
    found = import_module(module)
    return getattr(found, name) if name else found


_PAIR = "lodewell.potentials.pairs.pair"
_IONIC = "lodewell.potentials.ionic.ionic"
_ROWS = (
    Family("lennard-jones", f"{_PAIR}:LennardJones", "Lennard-Jones 12-6", references=("JONES",), group=PAIRS,
           colour="GREEN"),
    Family("morse", f"{_PAIR}:Morse", "Morse", references=("MORSE",), group=PAIRS, colour="GREEN"),
    Family("buckingham", f"{_PAIR}:Buckingham", "Buckingham exp-6", references=("BUCKINGHAM",), group=PAIRS,
           colour="GREEN"),
    Family("zbl", f"{_PAIR}:ZBL", "screened repulsion of nuclei", references=("ZBL",), group=PAIRS, colour="GREEN"),
    Family("table", "lodewell.potentials.pairs.table:PairTable", "tables of pairs", group=PAIRS, colour="GREEN"),
    Family("statistical", "lodewell.potentials.statistical.statistical:Statistical", "statistical pairs",
           references=("ANTYPOV",), group=PAIRS, colour="GREEN"),
    Family("coulomb", f"{_IONIC}:Coulomb", "point charges on a lattice", references=("EWALD",)),
    Family("london", f"{_IONIC}:London", "dispersion on a lattice", references=("EWALD",)),
    Family("born-mayer", f"{_IONIC}:BornMayer", "Born-Mayer repulsion on a lattice", references=("BORN_MAYER",)),
    Family("sum", "lodewell.potentials.sum:Sum", "sum of potentials", group="sum", colour="PURPLE"),
    Family(
        "uf", "lodewell.potentials.uf.uf:UF", "two- and three-body splines",
        fit="lodewell.fit.uf.run:fit_uf_files", options="lodewell.fit.uf.options:UFOptions",
        fit_help="Fit two- and three-body splines (UF) to energies, forces and stresses by linear least squares.",
        figures="lodewell.report.uf", exports={"lammps": "lodewell.interop.lammps.uf3:write_uf3"},
        reads={".uf3": "lodewell.interop.lammps.uf3:read_uf3"}, references=("UF",),
        group="two- and three-body splines", colour="BLUE",
    ),
    Family(
        "meam", "lodewell.potentials.meam.meam:MEAM", "spline MEAM",
        fit="lodewell.fit.meam.run:fit_meam_files", options="lodewell.fit.meam.options:MEAMOptions",
        fit_help="Fit a spline MEAM to energies, forces and stresses: many restarts of least squares, the best ones "
        "followed.\n\nAn interrupted fit leaves the best so far in FILE, and FILE.partial, from which the same command "
        "goes on.",
        figures="lodewell.report.meam", exports={"lammps": "lodewell.interop.lammps.meam:write_meam_spline"},
        reads={".meam.spline": "lodewell.interop.lammps.meam:read_meam_spline"}, references=("MEAM",),
        group="spline MEAM", colour="VERMILION",
    ),
    Family(
        "gap", "lodewell.potentials.gap.gap:GAP", "Gaussian approximation potential",
        fit="lodewell.fit.gap.run:fit_gap_files", options="lodewell.fit.gap.options:GAPOptions",
        fit_help="Fit a Gaussian approximation potential (GAP) to energies, forces and stresses.",
        figures="lodewell.report.gap",
        exports=dict.fromkeys(("lammps", "quip"), "lodewell.interop.quip.gap:write_quip"),
        reads={".xml": "lodewell.interop.quip.gap:read_quip"}, references=("GAP", "SOAP"),
        group="Gaussian approximation", colour="INK",
    ),
)  # fmt: skip

_BY_KIND = {row.kind: row for row in _ROWS}  # and what a process registers


def register(family: Family) -> None:
    """Make a family known to this process. An entry point makes it known to the command line and to workers, too.

    Raises:
        BadOption: when the kind is taken by another family.
    """
    known = _BY_KIND.setdefault(family.kind, family)
    if known != family:
        raise BadOption(f"there is a family '{family.kind}' already, {known.potential}: choose another kind")


def families() -> dict[str, Family]:
    """Return every family by kind: ours, those of installed packages, and those registered."""
    for kind in _installed():
        find_family(kind)
    return dict(_BY_KIND)


def find_family(kind: str) -> Family | None:
    """Return the row of a kind, or None if nobody brings one."""
    if kind not in _BY_KIND and (entry := _installed().get(kind)) is not None:
        try:
            row = entry.load()
            if not isinstance(row, Family) or row.kind != kind:
                raise TypeError(f"{entry.value} is no Family of the kind '{kind}'")
        except Exception as error:  # whatever another package raises, ours goes on without it
            logger.warning("the family %s cannot be used: %s: %s", kind, type(error).__name__, error)
            return None
        _BY_KIND[kind] = row
    return _BY_KIND.get(kind)


def family_of(kind: str) -> Family:
    """Return the row of a kind.

    Raises:
        BadOption: when there is none, with the nearest that is.
    """
    if (row := find_family(kind)) is None:
        known = sorted(families())
        raise BadOption(f"there is no family '{kind}'{did_you_mean(kind, known)}; there are {', '.join(known)}")
    return row


def in_workers(kind: str) -> bool:
    """Tell whether processes started by this one know a family: ours, and those of installed packages."""
    return kind in {row.kind for row in _ROWS} or kind in _installed()


@cache
def _installed() -> dict[str, EntryPoint]:
    """Return what installed packages name in their entry points, by kind."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}
