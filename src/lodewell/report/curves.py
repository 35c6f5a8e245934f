"""Draws the curves of a potential, with what the crystals said about each: error band, histogram, counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.crystals.chemistry import ANION_CLASSES
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.pairs.pair import pair_name, pair_species
from lodewell.potentials.pairs.table import PairTable
from lodewell.potentials.statistical.statistical import BIN, Statistical, as_statistical
from lodewell.potentials.statistical.thin import thin_p
from lodewell.potentials.store import load
from lodewell.potentials.sum import Sum
from lodewell.report import ionic
from lodewell.report.bonds import longest_bond, well
from lodewell.report.families import figures_of
from lodewell.report.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, VERMILION, figure, save

FEW = 6  # pairs drawn when none is named
MOST_CLASSES = 4  # classes drawn over the curve of all crystals
_CLASS_COLOURS = dict.fromkeys(ANION_CLASSES, INK) | {
    "oxide": VERMILION, "sulfide": GREEN, "fluoride": PURPLE, "chloride": SKY, "nitride": "#8C6D1F",
    "other": GREY, "selenide": "#4B8F8C", "bromide": "#7F7FC4", "iodide": "#5A3E85", "hydride": "#B8860B",
}  # fmt: skip


def show(
    potential: str | Path | Potential,
    pairs: Sequence[str] = (),
    out: str | Path | None = None,
    variant: str | None = None,
) -> Path:
    """Draw curves and return the file.

    Families that are no sums over pairs draw their splines in their own way: see `lodewell.report.families`; ionic
    potentials are drawn term by term: see `lodewell.report.ionic`.

    Args:
        potential: a shipped name, a file, or the potential itself.
        pairs: such as ["Li-O", "P-O"]; several make a grid; none means the best known few. Of UF potentials also
            triples, the central element first, such as "Si-O-O"; none means all.
        out: PNG, SVG or PDF; None names it after potential and pairs, in the current folder.
        variant: draw the curve of this anion class alone; None draws that of all crystals and the classes over it.

    Raises:
        UnsupportedElement: for a pair without a curve.
        BadOption: for a pair or class that is none, or a potential that is no sum over pairs.
        BadFile: when the file cannot be written.
    """
    model = potential if isinstance(potential, Potential) else load(potential)
    name = Path(potential).stem if isinstance(potential, (str, Path)) else model.kind
    own: Any = ionic if ionic.is_ionic(model) else figures_of(model.kind)
    if own is not None:
        if variant is not None:
            raise BadOption("only statistical potentials have curves of anion classes: leave --variant out")
        written: Path = own.show(model, name, pairs, out)
        return written
    chosen = [p.replace("–", "-") for p in pairs] or _few(model)
    for pair in chosen:
        _check(model, pair, variant)
    columns = min(len(chosen), 3) if len(chosen) != 4 else 2
    rows = -(-len(chosen) // columns)
    size = (6.4, 4.8) if len(chosen) == 1 else (3.9 * columns, 3.4 * rows)
    with figure(*size) as drawn:
        grids = drawn.add_gridspec(rows, columns)
        for k, pair in enumerate(chosen):
            _panel(drawn, grids[k], model, pair, variant, name if len(chosen) == 1 else None)
        if isinstance(model, Statistical):
            _explain(drawn)
        return save(drawn, _default_name(name, chosen, variant) if out is None else out)


def _default_name(name: str, pairs: Sequence[str], variant: str | None) -> Path:
    more = f"{pairs[0]}-and-{len(pairs) - 1}-more" if len(pairs) > 3 else "_".join(pairs)
    return Path(f"{name}-{more}{f'-{variant}' if variant else ''}.png")


def _few(model: Potential) -> list[str]:
    """Return the pairs to draw when none is named."""
    if isinstance(model, Statistical):
        best = [p for p in np.argsort(-model.evidence.structures_p, kind="stable") if model.variant_p[p] < 0]
        return [pair_name(*model.pairs_pz[p]) for p in best[:FEW]]
    if isinstance(model, Sum):
        named = [t for _, t in model.terms if t.species is not None]
        return list(dict.fromkeys(p for t in named for p in _few(t)))[:FEW]
    names = model.names if isinstance(model, PairTable) else list(getattr(model, "pairs", {}))
    if not names and model.species is None:
        raise BadOption("this potential knows every element: name the pairs to draw, such as Si-O")
    return [pair_name(*pair_species(p)) for p in names][:FEW]


def _check(model: Potential, pair: str, variant: str | None) -> None:
    if variant is not None and variant not in ANION_CLASSES:
        raise BadOption(f"there is no class '{variant}': choose one of {', '.join(ANION_CLASSES)}")
    table = as_statistical(model)
    if table is not None:
        table.index(pair, variant)
    elif why := model.unsupported(np.array(pair_species(pair))):
        raise BadOption(why)


def _explain(drawn: Any) -> None:
    """Say once, below all panels, what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=BLUE, label="U(r)"),
        Patch(color=BLUE, alpha=0.22, lw=0, label="± standard error"),
        Patch(color=PALE, lw=0, label="g(r) before smoothing"),
        Line2D([], [], color=ORANGE, lw=1.0, label="nearest contacts (scaled)"),
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1.6, columnspacing=1.6)


def _panel(drawn: Any, place: Any, model: Potential, pair: str, variant: str | None, name: str | None) -> None:
    """Draw one pair; `name` titles a figure that has no other."""
    table = model if isinstance(model, Statistical) else None
    if table is None:
        upper = drawn.add_subplot(place)
    else:
        inner = place.subgridspec(2, 1, height_ratios=(2.3, 1.0), hspace=0.0)
        upper = drawn.add_subplot(inner[0])
        lower = drawn.add_subplot(inner[1], sharex=upper)
        upper.tick_params(labelbottom=False)
    r = np.linspace(0.02, model.cutoff, 1400)
    z1, z2 = pair_species(pair)
    u, _ = model.pair_curve(z1, z2, r, variant)
    nearest, unit, lowest = None, 0.0, well(r, u)
    if table is not None:
        nearest, unit = _nearest(table, pair, variant), table.energy_scale
        lowest = well(r, u, unit, longest_bond(table, table.curve_index(z1, z2, variant)))
    bottom, top, left = _window(r, u, lowest, nearest, unit)
    upper.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    if table is not None:
        _classes(upper, table, pair, r, variant)
        _band(upper, table, pair, variant)
    upper.plot(r, u, color=BLUE, zorder=3, label=f"in {variant}s" if variant else "all crystals")
    upper.set(ylim=(bottom, top), xlim=(left, model.cutoff))
    upper.set_ylabel("U / eV" if model.calibrated else "U  (kT = 1)")
    title = pair.replace("-", "–") + (f" in {variant}s" if variant else "")
    upper.set_title(f"{title}, {name}" if name else title)
    _mark_well(upper, r, u, lowest)
    if table is None:
        upper.set_xlabel("r / Å")
        return
    _counts(upper, table, pair, variant)
    first = _histogram(lower, table, pair, variant)
    upper.set_xlim(min(left, first) if first > 0.0 else left, model.cutoff)
    if upper.get_legend_handles_labels()[1][1:]:
        upper.legend(loc="upper right", handlelength=1.4, labelspacing=0.25, borderaxespad=0.2)


def _nearest(table: Statistical, pair: str, variant: str | None) -> float | None:
    """Return the distance (Å) that one known nearest contact in ten undercuts; None if there are none."""
    contact_h = table.evidence.contact_ph[table.curve_index(*pair_species(pair), variant)]
    return BIN * float(np.searchsorted(np.cumsum(contact_h), 0.1 * contact_h.sum())) if contact_h.sum() > 0 else None


def _window(
    r: Floats, u: Floats, well: int | None, nearest: float | None = None, unit: float = 0.0
) -> tuple[float, float, float]:
    """Choose the energies (lowest, highest) and the distance from which on it is worth seeing them.

    From the nearest contacts on, or from a well, and a piece of the wall before; else the outer part of the wall.
    """
    start = len(u) // 4 if well is None else well
    if nearest is not None:
        start = min(start, int(np.searchsorted(r, nearest))) if well is not None else int(np.searchsorted(r, nearest))
    low, high = min(float(u[start:].min()), 0.0), max(float(u[start:].max()), 0.0)
    span = max(high - low, 0.5 * unit, 1e-6)
    bottom = low - 0.18 * span
    top = high + (0.1 if nearest is None else 1.0) * span if well is None else high + max(0.2 * span, 0.5 * abs(low))
    above = np.flatnonzero(u[:start] > top)
    left = float(r[above[-1]]) if len(above) else 0.0
    return bottom, top, max(0.0, float(np.floor(2.0 * (left - 0.15)) / 2.0))


def _mark_well(axes: Any, r: Floats, u: Floats, k: int | None) -> None:
    if k is None:
        return
    digits = 2 if abs(u[k]) >= 0.095 else 4
    text = f"{r[k]:.2f} Å, {u[k]:.{digits}f}".replace("-", "−")
    axes.plot(r[k], u[k], "o", ms=3.5, color=BLUE, zorder=4)
    higher = np.flatnonzero(u[k:] > u[k])
    if u[k] <= u[k:].min() or not len(higher):
        axes.annotate(text, (r[k], u[k]), xytext=(7, -3), textcoords="offset points", fontsize=8, va="top")
        return
    outside = float(r[k + higher[-1]])  # the curve falls below the well later: the words stand beyond that flank
    line = {"arrowstyle": "-", "color": GREY, "lw": 0.6, "shrinkA": 0.0, "shrinkB": 3.0}
    axes.annotate(
        text, (r[k], u[k]), xytext=(outside + 0.02 * float(r[-1]), u[k]), fontsize=8, va="center", arrowprops=line
    )


def _classes(axes: Any, table: Statistical, pair: str, r: Floats, variant: str | None) -> None:
    """Draw the curves of single anion classes thinly, the best known first."""
    if variant is not None:
        return
    z1, z2 = pair_species(pair)
    rows = np.flatnonzero((table.pairs_pz == (z1, z2)).all(axis=1) & (table.variant_p >= 0))
    rows = rows[np.argsort(-table.evidence.structures_p[rows], kind="stable")][:MOST_CLASSES]
    for p in rows:
        u, _ = table.curves.values(int(p), r)
        name = ANION_CLASSES[table.variant_p[p]]
        axes.plot(r, table.energy_scale * u, color=_CLASS_COLOURS[name], lw=1.0, zorder=2, label=f"in {name}s")


def _band(axes: Any, table: Statistical, pair: str, variant: str | None) -> None:
    p = table.curve_index(*pair_species(pair), variant)
    u_k, error_k = table.energy_scale * table.u_pk[p], table.energy_scale * table.evidence.error_pk[p]
    axes.fill_between(table.r_k, u_k - error_k, u_k + error_k, color=BLUE, alpha=0.22, lw=0, zorder=1)


def _counts(axes: Any, table: Statistical, pair: str, variant: str | None) -> None:
    p = table.curve_index(*pair_species(pair), variant)
    e = table.evidence
    structures, families, prior = int(e.structures_p[p]), float(e.families_p[p]), float(e.prior_p[p])
    text = f"{structures:,} crystal{'' if structures == 1 else 's'}"
    if round(families) != structures:
        text += f", {families:,.0f} independent"
    if prior > 0.0:
        text += f", {100 * prior:.0f} % prior"
    flagged = bool(thin_p(table)[p])
    axes.set_title(text, loc="right", fontsize=7.5, fontweight="normal", color=VERMILION if flagged else GREY)


def _histogram(axes: Any, table: Statistical, pair: str, variant: str | None) -> float:
    """Draw ḡ(r) before smoothing, and the nearest contacts to the same height; return where they begin (Å)."""
    p = table.curve_index(*pair_species(pair), variant)
    g_h, contact_h = table.evidence.g_ph[p], table.evidence.contact_ph[p]
    edges = BIN * np.arange(len(g_h) + 1)
    axes.set(xlabel="r / Å", ylabel="g(r)")
    if g_h.max() <= 0.0:
        axes.set(ylim=(0.0, 1.0), yticks=[])
        axes.text(0.5, 0.5, "no known crystal holds both", transform=axes.transAxes, ha="center", va="center",
                  fontsize=8, color=GREY)  # fmt: skip
        return 0.0
    axes.stairs(g_h, edges, fill=True, color=PALE, zorder=1)
    peak = float(g_h.max())
    if contact_h.max() > 0:
        axes.stairs(contact_h * (peak / contact_h.max()), edges, color=ORANGE, lw=1.0, zorder=2)
    axes.axhline(1.0, color=GREY, lw=0.6, ls=(0, (4, 3)), zorder=0)
    axes.set(ylim=(0.0, 1.08 * peak))
    first = float(edges[np.argmax(g_h > 0.01 * peak)])
    return max(0.0, float(np.floor(2.0 * (first - 0.5)) / 2.0))
