"""What `lodewell list` tells of an ultra-fast potential: each spline, and what the data say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.potentials.uf.basis import UFBasis
from lodewell.potentials.uf.splines import Pair, Triple, name
from lodewell.potentials.uf.uf import UF
from lodewell.report.coverage import Coverage, covered
from lodewell.report.families import Alarm, Description, fit_lines


def coverage(potential: UF, pair: Pair) -> Coverage | None:
    """Return which distances of a pair the data hold; None when none do, or the potential keeps no record."""
    pair = min(pair), max(pair)
    spline = potential.pairs.get(pair)
    return None if spline is None else covered(potential.distances.get(pair), spline.axis.high)


def describe(potential: UF, about: Mapping[str, Any]) -> Description:
    """Describe a potential: what it was fitted to, and each spline with what the data say of it."""
    ends = [s.axis.high for s in potential.pairs.values()]
    legs = [axis.high for v in potential.triples.values() for axis in v.axes[:2]]
    lone = ", ".join(f"{chemical_symbols[z]} {round(e, 4) + 0.0:.4f} eV" for z, e in sorted(potential.energies.items()))
    lines = [f"pairs to {_range(ends)} Å" + (f", triples with legs to {_range(legs)} Å" if legs else "")]
    lines += [f"energy of a lone atom: {lone}".replace("-", "−"), *fit_lines(about)]
    for z, embedding in sorted(potential.embeddings.items()):
        many = len(embedding.pairs)
        lines.append(
            f"embedding of {chemical_symbols[z]}: {len(embedding.densities)} densities, {many} functions of two"
        )
    lines.append("error bars: " + ("known" if potential.uncertain else "none (fit with --uncertainty)"))
    rows = [_pair_row(potential, pair) for pair in potential.pairs]
    blocks = UFBasis.of(potential).blocks
    rows += [_triple_row(potential, triple, blocks[triple].count) for triple in potential.triples]
    return Description(tuple(lines), tuple(rows), _COLUMNS)


def _range(values: Sequence[float]) -> str:
    low, high = min(values, default=0.0), max(values, default=0.0)
    return f"{high:g}" if high - low < 1e-9 else f"{low:g} … {high:g}"


def _pair_row(potential: UF, pair: Pair) -> dict[str, Any]:
    spline, known = potential.pairs[pair], coverage(potential, pair)
    recorded = bool(potential.distances)
    r = np.linspace(spline.axis.low, spline.axis.high, 1000)
    u = spline(r) if known is None else np.where(known.seen(r), spline(r), np.inf)
    k = int(np.argmin(u))
    return {
        "spline": name(pair), "elements": [chemical_symbols[z] for z in pair], "bodies": 2,
        "end_A": spline.axis.high, "coefficients": spline.axis.size,
        "minimum_A": float(r[k]) if u[k] < 0.0 else None, "minimum_eV": float(u[k]) if u[k] < 0.0 else None,
        "counted": None if not recorded else 0 if known is None else int(known.count_h[: known.used].sum()),
        "shortest_A": None if known is None else known.shortest,
        "holes_A": None if known is None else [list(hole) for hole in known.holes],
        "flagged": recorded and (known is None or bool(known.holes)),
    }  # fmt: skip


def _triple_row(potential: UF, triple: Triple, count: int) -> dict[str, Any]:
    v = potential.triples[triple]
    i, j, k = triple
    unseen = [name(sorted(p)) for p in ((i, j), (i, k), (j, k)) if coverage(potential, p) is None]
    return {
        "spline": name(triple), "elements": [chemical_symbols[z] for z in triple], "bodies": 3,
        "end_A": min(v.axes[0].high, v.axes[1].high), "coefficients": count,
        "minimum_A": None, "minimum_eV": None, "counted": None, "shortest_A": None, "holes_A": None,
        "flagged": bool(potential.distances) and bool(unseen),
    }  # fmt: skip


def _minimum(row: Mapping[str, Any]) -> str:
    if row["minimum_A"] is None:
        return "–" if row["bodies"] == 2 else ""
    return f"{row['minimum_eV']:.3g} eV at {row['minimum_A']:.2f} Å".replace("-", "−")


def _holes(row: Mapping[str, Any]) -> str:
    if row["bodies"] == 3:
        return Alarm("pairs never seen") if row["flagged"] else ""
    if row["holes_A"] is None:
        return Alarm("no data") if row["flagged"] else "unknown"
    return Alarm(", ".join(f"{a:.2f}–{b:.2f} Å" for a, b in row["holes_A"])) if row["holes_A"] else "none"


_COLUMNS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("spline", lambda row: str(row["spline"])),
    ("to", lambda row: f"{row['end_A']:.2f} Å"),
    ("coefficients", lambda row: f"{row['coefficients']:,}"),
    ("pairs in the data", lambda row: "" if row["counted"] is None else f"{row['counted']:,}"),
    ("shortest", lambda row: "" if row["shortest_A"] is None else f"{row['shortest_A']:.2f} Å"),
    ("lowest", _minimum),
    ("holes in the data", _holes),
)
