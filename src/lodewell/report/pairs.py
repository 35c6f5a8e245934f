"""What stands behind each curve of a statistical potential, and what a potential is, in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import ANION_CLASSES
from lodewell.errors import UnsupportedElement
from lodewell.interop.curves import chosen_elements
from lodewell.potentials.statistical.statistical import Statistical, as_statistical
from lodewell.potentials.statistical.thin import thin_p
from lodewell.potentials.store import find, load, read_header, shipped
from lodewell.report.bonds import longest_bond, usual_bond, well
from lodewell.report.families import Description, figures_of


@dataclass(frozen=True)
class PairRow:
    """One curve.

    | field | meaning |
    |---|---|
    | `pair` | "Li-O" |
    | `variant` | its anion class, such as "oxide"; None for the curve of all crystals |
    | `structures` | crystals that hold both elements |
    | `families` | how many of them are independent, near-duplicates counted once |
    | `prior` | share of the prior in the curve, 0 all data to 1 none |
    | `flagged` | thin: more than half prior, or fewer than five independent crystals |
    | `r_min` | where the curve is lowest (Å) |
    | `u_min` | its value there (eV, scale included) |
    | `error_min` | its standard error there |
    """

    pair: str
    variant: str | None
    structures: int
    families: float
    prior: float
    flagged: bool
    r_min: float
    u_min: float
    error_min: float

    def row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True)
class PotentialRow:
    """One potential: `pairs`, `flagged`, `classes` and `known` are None where the family has no such thing."""

    name: str
    kind: str
    elements: tuple[str, ...]
    cutoff: float
    calibrated: bool
    energy_scale: float | None
    pairs: int | None
    flagged: int | None
    classes: tuple[str, ...] | None
    known: int | None
    data: str
    created: str
    size: int

    def row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def minima(table: Statistical) -> tuple[Floats, Floats, Floats]:
    """Return where the well of each bond is (Å), the value there (eV) and its standard error (eV); each (P,).

    Where a curve has no well at bond length, its value at the most frequent one is told; see `lodewell.report.bonds`.
    """
    rows = np.arange(len(table.u_pk))
    k_p = np.clip([_bottom(table, int(p)) for p in rows], 2, len(table.r_k) - 3)
    low, mid, high = table.u_pk[rows, k_p - 1], table.u_pk[rows, k_p], table.u_pk[rows, k_p + 1]
    bend = np.maximum(low - 2.0 * mid + high, 1e-12)
    offset = np.where((mid < low) & (mid <= high), np.clip(0.5 * (low - high) / bend, -0.5, 0.5), 0.0)
    r_p = table.r_k[k_p] + offset * (table.r_k[3] - table.r_k[2])
    u_p = mid - 0.25 * (low - high) * offset
    scale = table.energy_scale
    return r_p, scale * u_p, scale * table.evidence.error_pk[rows, k_p]


def _bottom(table: Statistical, p: int) -> int:
    found = well(table.r_k, table.u_pk[p], 1.0, longest_bond(table, p))
    if found is not None:
        return found
    usual = usual_bond(table, p)
    return int(np.searchsorted(table.r_k, usual)) if usual is not None else int(table.u_pk[p, 1:-1].argmin()) + 1


def pair_rows(table: Statistical, elements: str | Sequence[str] | None = None, flagged: bool = False) -> list[PairRow]:
    """Return a row a curve, the best known first, only of these elements and only the flagged ones if asked.

    Raises:
        UnsupportedElement: for an element that the table does not know.
    """
    wanted = None if elements is None else set(chosen_elements(table, elements))
    e, flagged_p = table.evidence, thin_p(table)
    r_p, u_p, error_p = minima(table)
    out = []
    for p in np.lexsort((-e.structures_p, table.variant_p >= 0)):
        z1, z2 = (int(z) for z in table.pairs_pz[p])
        if (wanted is not None and not {z1, z2} <= wanted) or (flagged and not flagged_p[p]):
            continue
        v = int(table.variant_p[p])
        out.append(
            PairRow(
                f"{chemical_symbols[z1]}-{chemical_symbols[z2]}", ANION_CLASSES[v] if v >= 0 else None,
                int(e.structures_p[p]), float(e.families_p[p]), float(e.prior_p[p]), bool(flagged_p[p]),
                float(r_p[p]), float(u_p[p]), float(error_p[p]),
            )
        )  # fmt: skip
    return out


def potential_rows(names: Sequence[str | Path] | None = None) -> list[PotentialRow]:
    """Describe potentials by name or file; None means all that are shipped.

    Raises:
        BadFile: when one does not exist or is damaged.
    """
    files = {str(n): shipped().get(str(n), Path(n)) for n in names} if names is not None else shipped()
    return [_describe(name, path) for name, path in files.items()]


def _describe(name: str, path: Path) -> PotentialRow:
    header, model = read_header(path), load(path)  # which tells whether the header is right
    elements = header["elements"]
    symbols = tuple(chemical_symbols[z] for z in elements) if elements != "all" else ("all",)
    table = as_statistical(model)
    pairs = flagged = known = classes = None
    if table is not None:
        plain = table.variant_p < 0
        pairs, flagged = int(plain.sum()), int(thin_p(table)[plain].sum())
        known = len(table.known.energy_x)
        classes = tuple(ANION_CLASSES[v] for v in sorted(set(table.variant_p[~plain].tolist())))
    about = {**(table.about if table is not None else {}), **header.get("about", {})}
    return PotentialRow(
        name, header["kind"], symbols, float(header["cutoff"]), bool(header["units"]["calibrated"]),
        table.energy_scale if table is not None else None, pairs, flagged, classes, known,
        _data(about), header["created"], path.stat().st_size,
    )  # fmt: skip


def _data(about: dict[str, Any]) -> str:
    """Find in the metadata the words that say what a potential was made from."""
    if "crystals_used" in about:
        families = f" in {_count(about['families'])} families" if "families" in about else ""
        return f"{_count(about['crystals_used'])} crystals{families}"
    data = about.get("data")
    if isinstance(data, dict) and "frames" in data:
        named = data.get("files")
        files = ", ".join(Path(str(file)).name for file in named) if isinstance(named, list) else ""
        return f"{_count(data['frames'])} labelled crystals, {_count(data.get('atoms', 0))} atoms" + (
            f" ({files})" if files else ""
        )
    for key in ("summary", "description", "data", "sources", "source"):
        value = about.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
            return ", ".join(value)
        if isinstance(value, dict):
            return ", ".join(str(k) for k in value)
    return ""


def _count(value: Any) -> str:
    """Write a number of metadata, which anybody may have written."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def description(
    name: str | Path, elements: str | Sequence[str] | None = None, flagged: bool = False
) -> Description | None:
    """Describe the splines of a potential of a family that does so itself, or return None.

    Raises:
        UnsupportedElement: for an element that it does not know.
    """
    path = find(name)
    header = read_header(path)
    family = figures_of(header["kind"])
    if family is None:
        return None
    model = load(path)
    if elements is not None:
        chosen_elements(model, elements)
    return family.describe(model, header.get("about", {})).only(elements, flagged)


def statistical(name: str | Path) -> Statistical:
    """Load a potential that has evidence to show.

    Raises:
        UnsupportedElement: when it holds no statistical table.
    """
    table = as_statistical(load(name))
    if table is None:
        raise UnsupportedElement(f"{name} is no statistical table: there are no counts to list")
    return table
