"""What `lodewell.check` returns: rows with verdicts, and everything behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodewell.judge.check.clusters import Dimer, Trimer
from lodewell.judge.check.dynamics import Dynamics
from lodewell.judge.check.elastic import ElasticConstants
from lodewell.judge.check.equation_of_state import EquationOfState
from lodewell.judge.check.phonons import Phonons
from lodewell.judge.check.prototypes import Prototype
from lodewell.judge.check.units import Units
from lodewell.judge.check.verdicts import WORST_FIRST, Row, Verdict


@dataclass(frozen=True)
class Subject:
    """A crystal that was looked at closely; what could not be computed, or was not asked for, is None."""

    crystal: Prototype
    equation: EquationOfState | None = None
    elastic: ElasticConstants | None = None
    phonons: Phonons | None = None
    dynamics: Dynamics | None = None

    @property
    def title(self) -> str:
        """Composition and structure."""
        return self.crystal.title


@dataclass(frozen=True)
class CheckReport:
    """All that `lodewell.check` found.

    | field | meaning |
    |---|---|
    | `name`, `kind` | of the potential |
    | `elements` | symbols |
    | `units` | in which the rows are told |
    | `rows` | findings, each with its verdict |
    | `structures` | common structures, or the crystals given, at rest |
    | `dimers`, `trimers` | curves of two and three atoms |
    | `subjects` | crystals looked at closely |
    | `seconds` | it took |
    """

    name: str
    kind: str
    elements: tuple[str, ...]
    units: Units
    rows: tuple[Row, ...]
    structures: tuple[Prototype, ...]
    dimers: tuple[Dimer, ...]
    trimers: tuple[Trimer, ...]
    subjects: tuple[Subject, ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst of all rows."""
        met = {row.verdict for row in self.rows}
        return next(v for v in WORST_FIRST if v in met or v == "skipped")

    def json(self) -> dict[str, Any]:
        """Return everything but the curves, as plain values."""
        return {
            "potential": self.name, "kind": self.kind, "elements": list(self.elements), "verdict": self.verdict,
            "units": {"energy": self.units.energy, "length": "Å", "pressure": self.units.pressure},
            "rows": [row.row() for row in self.rows],
            "structures": [_plain(p) for p in self.structures],
            "seconds": round(self.seconds, 2),
        }  # fmt: skip

    def figure(self, path: str | Path) -> Path:
        """Draw curves, structures, phonons and the hot run, and return the file."""
        from lodewell.report.physics import draw_report

        return draw_report(self, path)


def _plain(p: Prototype) -> dict[str, Any]:
    keys = (
        "name",
        "formula",
        "message",
        "energy_per_atom",
        "volume_per_atom",
        "nearest",
        "lattice",
        "formation",
        "above",
    )
    return {key: getattr(p, key) for key in keys}
