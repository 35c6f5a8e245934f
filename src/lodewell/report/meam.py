"""Figures of spline MEAMs: every spline over what the training data visited, holes shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption
from lodewell.fit.distances import WIDTH
from lodewell.potentials.meam.meam import MEAM, ROLES
from lodewell.potentials.meam.splines import Spline
from lodewell.report.families import Alarm, Description, fit_lines
from lodewell.report.style import BLUE, GREY, PALE, VERMILION, figure, save

__all__ = ["describe", "show"]

_LETTER = {"phi": "φ", "rho": "ρ", "u": "U", "f": "f", "g": "g"}
_COLUMNS = 3
_HOLE = {"r": 0.1, "n": 0.03, "cos": 0.05}  # worth seeing: in Å, of the range of n, in cosines
_TAIL = 0.08  # of U beyond the data, in their range


@dataclass(frozen=True)
class Visits:
    """What the data visited of one variable: counts (H,) between `edges` (H + 1,), and stretches without data."""

    counts: Floats
    edges: Floats
    empty: tuple[tuple[float, float], ...]

    @property
    def range(self) -> tuple[float, float]:
        """From the first to the last bin that is not empty."""
        filled = np.flatnonzero(self.counts)
        return float(self.edges[filled[0]]), float(self.edges[filled[-1] + 1])


def seen_by(potential: MEAM, role: str, name: str) -> Visits | None:
    """Return what the training data visited of a spline's variable; None where nothing is known."""
    known = potential.coverage
    if known is None:
        return None
    if role == "u":
        counts = np.asarray(known.density[name])
        edges = np.linspace(*known.density_range[name], len(counts) + 1)
        return _seen(counts, edges, _HOLE["n"] * (edges[-1] - edges[0]))
    if role == "g":
        counts = np.asarray(known.cosine[name])
        return _seen(counts, np.linspace(-1.0, 1.0, len(counts) + 1), _HOLE["cos"]) if counts.any() else None
    pairs = [p for p in known.distance if (p == name if role == "phi" else name in p.split("-"))]
    counts = np.asarray(sum((known.distance[p] for p in pairs), np.zeros(1)))
    last = float(potential.splines[role, name].x_k[-1])
    counts = counts[: int(np.ceil(last / WIDTH - 1e-9))]
    edges = np.minimum(WIDTH * np.arange(len(counts) + 1.0), last)
    return _seen(counts, edges, _HOLE["r"]) if counts.any() else None


def _seen(counts: Floats, edges: Floats, worth: float) -> Visits:
    ends = np.flatnonzero(np.diff(np.concatenate([[1], counts > 0, [1]]).astype(int)))
    stretches = zip(edges[ends[::2]].tolist(), edges[ends[1::2]].tolist(), strict=True)
    return Visits(counts, edges, tuple((a, b) for a, b in stretches if b - a >= worth))


def show(potential: MEAM, name: str, wanted: Sequence[str], out: str | Path | None) -> Path:
    """Draw splines with what the training data visited.

    `wanted` holds names such as phi, u or g, elements such as Si and pairs such as Si-O; none draws all.

    Raises:
        BadOption: for a spline that the potential lacks.
    """
    chosen = _chosen(potential, wanted)
    columns = min(len(chosen), _COLUMNS)
    rows = -(-len(chosen) // columns)
    size = (6.4, 4.8) if len(chosen) == 1 else (4.3 * columns, 3.5 * rows)
    with figure(*size) as drawn:
        grid = drawn.add_gridspec(rows, columns)
        for k, (role, spline_name) in enumerate(chosen):
            _panel(drawn, grid[k // columns, k % columns], potential, role, spline_name)
        _explain(drawn, potential)
        drawn.suptitle(name + _lone(potential), x=0.01, ha="left", fontsize=9.0, color=GREY)
        return save(drawn, _default_name(name, wanted) if out is None else out)


def _chosen(potential: MEAM, wanted: Sequence[str]) -> list[tuple[str, str]]:
    everything = list(potential.splines)
    if not wanted:
        return everything
    chosen: list[tuple[str, str]] = []
    for text in wanted:
        word = text.replace("–", "-")
        turned = "-".join(word.split("-")[::-1])
        found = [
            key for key in everything
            if word.lower() == key[0] or word == _LETTER[key[0]] or key[1] in (word, turned)
        ]  # fmt: skip
        if not found:
            raise BadOption(
                f"this potential has no spline '{text}': name one of {', '.join(ROLES)}, an element or a pair of "
                f"{', '.join(potential.symbols)}"
            )
        chosen += [key for key in found if key not in chosen]
    return [key for key in everything if key in chosen]


def _default_name(name: str, wanted: Sequence[str]) -> Path:
    return Path(f"{name}-{'_'.join(wanted[:3])}.png" if wanted else f"{name}.png")


def _lone(potential: MEAM) -> str:
    if not any(potential.reference.values()):
        return ""
    energies = ", ".join(f"{s} {round(e, 3) + 0.0:.3f} eV" for s, e in potential.reference.items())
    return f", energy of a lone atom: {energies}".replace("-", "−")


def _explain(drawn: Any, potential: MEAM) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], color=GREY, ls="", marker="|", ms=5, mew=0.8, label="knots")]
    if potential.coverage is not None:
        handles.append(Patch(color=PALE, lw=0, label="what the training data hold (counts, logarithmic)"))
        handles.append(Patch(color=VERMILION, alpha=0.1, lw=0, label="no data"))
    drawn.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.6, columnspacing=2.0)


def _panel(drawn: Any, place: Any, potential: MEAM, role: str, name: str) -> None:
    """Draw a spline, and below it what the data visited."""
    spline, seen = potential.splines[role, name], seen_by(potential, role, name)
    if seen is None:
        upper = lower = drawn.add_subplot(place)
        if potential.coverage is not None:
            upper.axvspan(-1e3, 1e3, color=VERMILION, alpha=0.1, lw=0, zorder=0)
    else:
        inner = place.subgridspec(2, 1, height_ratios=(2.6, 1.0), hspace=0.0)
        upper = drawn.add_subplot(inner[0])
        lower = drawn.add_subplot(inner[1], sharex=upper)
        upper.tick_params(bottom=False, labelbottom=False)
    left, right = _span(role, spline, seen)
    x = np.linspace(left, right, 1200)
    y, _ = spline(x)
    bottom, top = _height(role, x, y, seen)
    upper.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    upper.plot(x, y, color=BLUE, zorder=3)
    knots = spline.x_k[(spline.x_k >= left) & (spline.x_k <= right)]
    upper.plot(knots, np.full(len(knots), bottom), "|", color=GREY, ms=9, mew=0.8, zorder=2)
    unit = " / eV" if role in ("phi", "u") else ""
    upper.set(xlim=(left, right), ylim=(bottom, top), ylabel=f"{_LETTER[role]}{unit}")
    upper.set_title(f"{_LETTER[role]} of {name.replace('-', '–')}")
    if seen is not None:
        lower.stairs(seen.counts, seen.edges, fill=True, color=PALE, zorder=1)
        what = {"u": "atoms", "g": "angles"}.get(role, "pairs")
        lower.set(yscale="log", ylim=(0.7, 3.0 * max(float(seen.counts.max()), 5.0)), ylabel=what)
        lower.minorticks_off()
        first, last = seen.range
        for a, b in ((left, first), *((a, b) for a, b in seen.empty if first < a and b < last), (last, right)):
            if b > a and (a != last or role in ("u", "g")):
                for axes in (upper, lower):
                    axes.axvspan(a, b, color=VERMILION, alpha=0.1, lw=0, zorder=0)
    lower.set_xlabel({"u": "n", "g": "cos θ"}.get(role, "r / Å"))


def _span(role: str, spline: Spline, seen: Visits | None) -> tuple[float, float]:
    """Choose what of the variable is worth seeing."""
    first, last = float(spline.x_k[0]), float(spline.x_k[-1])
    if role == "g":
        return -1.0, 1.0
    if role == "u":
        low, high = (first, last) if seen is None else (min(first, seen.range[0]), max(last, seen.range[1]))
        return low - _TAIL * (high - low), high + _TAIL * (high - low)
    if seen is None:  # a wall has many knots, and is not worth seeing
        return max(first, 0.3 * last) if role == "phi" else first, last
    return max(0.0, seen.range[0] - 0.4), last


def _height(role: str, x: Floats, y: Floats, seen: Visits | None) -> tuple[float, float]:
    """Choose the values to show: all where data are, and of walls the foot."""
    inside = y
    if seen is not None:
        first, last = seen.range
        mine = (x >= first) & (x <= last)
        inside = y[mine] if mine.sum() > 1 else y
    low, high = float(inside.min()), float(inside.max())
    if role == "phi":
        low = min(low, 0.0)
        high = min(high, max(-3.0 * low, 0.4 * high, 1e-6))
    span = max(high - low, 1e-9)
    return low - 0.16 * span, high + 0.08 * span


def describe(potential: MEAM, about: Mapping[str, Any]) -> Description:
    """Describe a potential: what it was fitted to, and each spline with what the data say of it."""
    lone = ", ".join(f"{s} {round(e, 4) + 0.0:.4f} eV" for s, e in potential.reference.items()).replace("-", "−")
    lines = [f"pairs to {potential.cutoff:g} Å, angles to {potential.near:g} Å", f"energy of a lone atom: {lone}"]
    lines += fit_lines(about)
    if "parameters" in about:
        lines.append(f"{about['parameters']:,} numbers fitted")
    errors = about.get("training_errors") or {}
    shown = [f"{kind} {e['rmse']:.3g} {e['unit']}" for kind, e in errors.items()]
    if shown:
        lines.append("root mean square errors on the training data: " + ", ".join(shown))
    rivals = 0 if potential.ensemble is None else len(potential.ensemble.members)
    lines.append(
        f"error bars: from {rivals} rival fits" if rivals else "error bars: none (fit with --members 2 or more)"
    )
    rows = tuple(_row(potential, role, name) for role, name in potential.splines)
    return Description(tuple(lines), rows, _TABLE)


def _row(potential: MEAM, role: str, name: str) -> dict[str, Any]:
    spline, seen = potential.splines[role, name], seen_by(potential, role, name)
    recorded = potential.coverage is not None
    holes = None
    if seen is not None:
        first, last = seen.range
        holes = [[a, b] for a, b in seen.empty if a > first and b < last]
    return {
        "spline": f"{_LETTER[role]} {name}", "elements": name.split("-"), "knots": len(spline.x_k),
        "first": float(spline.x_k[0]), "last": float(spline.x_k[-1]),
        "variable": {"u": "n", "g": "cos θ"}.get(role, "Å"),
        "data": None if seen is None else list(seen.range), "holes": holes,
        "flagged": recorded and (seen is None or bool(holes)),
    }  # fmt: skip


def _holes(row: Mapping[str, Any]) -> str:
    if row["holes"] is None:
        return Alarm("no data") if row["flagged"] else "unknown"
    return Alarm(", ".join(f"{a:.2f}…{b:.2f}" for a, b in row["holes"])) if row["holes"] else "none"


_TABLE = (
    ("spline", lambda row: str(row["spline"])),
    ("of", lambda row: str(row["variable"])),
    ("knots", lambda row: str(row["knots"])),
    ("from", lambda row: f"{row['first']:.3g}".replace("-", "−")),
    ("to", lambda row: f"{row['last']:.3g}".replace("-", "−")),
    ("data from", lambda row: "" if row["data"] is None else f"{row['data'][0]:.3g}".replace("-", "−")),
    ("to", lambda row: "" if row["data"] is None else f"{row['data'][1]:.3g}".replace("-", "−")),
    ("holes in the data", _holes),
)
