"""Figures of ultra-fast potentials: curves over the distances of the data, three-body functions as slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption
from lodewell.fit.distances import WIDTH
from lodewell.potentials.uf import UF, Pair, Triple
from lodewell.potentials.uf import name as key_name
from lodewell.report.coverage import Coverage
from lodewell.report.style import BLUE, GREY, INK, PALE, VERMILION, figure, save
from lodewell.report.uf_embedding import embedding_panels
from lodewell.report.uf_facts import coverage, describe

__all__ = ["describe", "show"]

_SHELLS = (0.92, 1.0, 1.12, 1.3)  # legs of the slices, in units of the distance of the first neighbours
_SLICES = ("#7A5195", BLUE, "#2A9D8F", "#E9A23B")
Panel = Callable[[Any, Any], None]  # draws into a place of a figure
_FOOT = 0.2  # inches of the legend
_MOST_TRIPLES = 40  # drawn when none is named
_UNSEEN = "#E9EBEE"


def show(potential: UF, name: str, wanted: Sequence[str], out: str | Path | None) -> Path:
    """Draw curves with the distances of the training data, and three-body functions against the angle.

    `wanted` holds pairs such as "Si-O", triples, the central element first, such as "Si-O-O", and elements such as
    "Si", which stand for their embeddings; none draws all, but of more than 40 triples only those named are drawn.

    Raises:
        BadOption: for a pair or triple that the potential lacks.
    """
    pairs, triples, embedded = _chosen(potential, wanted)
    width, rows = _rows(potential, pairs, triples, embedded)
    heights = [row.height for row in rows]
    with figure(width, sum(heights) + _FOOT) as drawn:
        left_out = len(potential.triples) if not (wanted or triples) else 0
        more = f"; name one of {left_out} three-body functions to draw it, such as " if left_out else ""
        more += key_name(next(iter(potential.triples))) if left_out else ""
        drawn.suptitle(name + _lone(potential) + more, x=0.01, ha="left", fontsize=9.0, color=GREY)
        for row, part in zip(
            rows, drawn.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0], strict=True
        ):
            grid = part.add_gridspec(1, len(row.widths), width_ratios=row.widths)
            for k, _ in enumerate(row.widths):
                if k < len(row.panels):
                    row.panels[k](part, grid[k])
                else:
                    part.add_subplot(grid[k]).set_axis_off()  # keeps the panels of a row as wide as those above
        _explain(drawn, bool(pairs), any(coverage(potential, pair) for pair in potential.pairs))
        return save(drawn, _default_name(name, wanted) if out is None else out)


@dataclass(frozen=True)
class _Row:
    """Panels beside each other: `height` in inches, widths in proportion; a panel draws into a place of a figure."""

    height: float
    widths: tuple[float, ...]
    panels: Sequence[Panel]


def _rows(
    potential: UF, pairs: Sequence[Pair], triples: Sequence[Triple], embedded: Sequence[int]
) -> tuple[float, list[_Row]]:
    """Return the width in inches and the rows of a figure."""
    curves: list[Panel] = [partial(_pair, potential=potential, pair=pair) for pair in pairs]
    slices: list[Panel] = [partial(draw, potential=potential, triple=t) for t in triples for draw in (_angles, _map)]
    if len(triples) == 1 and len(pairs) < 2:
        rows = [_Row(4.1, (1.3,) * len(pairs) + (1.0, 1.15), curves + slices)]
        width = 13.0 if pairs else 8.6
    else:
        columns = 3 if triples else min(len(pairs), 3)
        tall = 4.6 if len(pairs) == 1 else 3.8
        rows = [_Row(tall, (1.0,) * columns, curves[k : k + columns]) for k in range(0, len(curves), columns or 1)]
        rows += [_Row(3.4, (1.0, 1.12) * 2, slices[k : k + 4]) for k in range(0, len(slices), 4)]
        width = 13.0 if triples else 6.4 if len(pairs) == 1 else 4.3 * len(pairs[:3])
    for panels in (embedding_panels(potential, z) for z in embedded):
        rows += [_Row(2.6, (1.0,) * 5, panels[k : k + 5]) for k in range(0, len(panels), 5)]
    return (13.0 if embedded else width), rows


def _lone(potential: UF) -> str:
    """Say what lone atoms have, unless it is nothing."""
    energies = [f"{chemical_symbols[z]} {round(e, 3) + 0.0:.3f} eV" for z, e in sorted(potential.energies.items())]
    if not any(potential.energies.values()):
        return ""
    return f", energy of a lone atom: {', '.join(energies)}".replace("-", "−")


def _chosen(potential: UF, wanted: Sequence[str]) -> tuple[list[Pair], list[Triple], list[int]]:
    """Return pairs, triples, and elements whose embeddings are drawn."""
    if not wanted:
        triples = list(potential.triples) if len(potential.triples) <= _MOST_TRIPLES else []
        return list(potential.pairs), triples, sorted(potential.embeddings)
    pairs: list[Pair] = []
    triples = []
    embedded: list[int] = []
    for text in wanted:
        z = [atomic_numbers.get(word, 0) for word in text.replace("–", "-").split("-")]
        if not 1 <= len(z) <= 3 or min(z) < 1:
            raise BadOption(f"'{text}' is neither a pair nor a triple of elements: write Si-O or Si-O-O")
        a, b = sorted(z[-2:]) if len(z) > 1 else (0, 0)
        if len(z) == 1 and z[0] in potential.embeddings:
            embedded.append(z[0])
        elif len(z) == 2 and (a, b) in potential.pairs:
            pairs.append((a, b))
        elif len(z) == 3 and (z[0], a, b) in potential.triples:
            triples.append((z[0], a, b))
        else:
            known = [chemical_symbols[z] for z in sorted(potential.embeddings)]
            known += map(key_name, (*potential.pairs, *potential.triples))
            raise BadOption(f"this potential has no spline {text}: it has {', '.join(known)}")
    return pairs, triples, embedded


def _default_name(name: str, wanted: Sequence[str]) -> Path:
    more = f"{wanted[0]}-and-{len(wanted) - 1}-more" if len(wanted) > 3 else "_".join(wanted)
    return Path(f"{name}-{more}.png" if wanted else f"{name}.png")


def _explain(drawn: Any, pairs: bool, counted: bool) -> None:
    """Say once, below all panels, what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if pairs:
        handles.append(Line2D([], [], color=GREY, ls="", marker="|", ms=5, mew=0.8, label="knots"))
        if counted:
            handles.append(Patch(color=PALE, lw=0, label=f"pairs in the training data, per {WIDTH:g} Å"))
            handles.append(Patch(color=VERMILION, alpha=0.1, lw=0, label="no data: wall or guess"))
    if counted and len(handles) != 3:
        handles.append(Patch(color=_UNSEEN, lw=0, label="no data"))
    if handles:
        drawn.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1.6, columnspacing=2.0)


def _pair(drawn: Any, place: Any, potential: UF, pair: Pair) -> None:
    """Draw a curve and, below it, how often the data hold each distance."""
    spline, known = potential.pairs[pair], coverage(potential, pair)
    low, high = spline.axis.low, spline.axis.high
    if known is None:
        upper = lower = drawn.add_subplot(place)
    else:
        inner = place.subgridspec(2, 1, height_ratios=(2.4, 1.0), hspace=0.0)
        upper = drawn.add_subplot(inner[0])
        lower = drawn.add_subplot(inner[1], sharex=upper)
        upper.tick_params(bottom=False, labelbottom=False)
    r = np.linspace(max(0.5 * low, 0.02), high, 1500)
    u = spline(r)
    bottom, top, left = _window(r, u, known)
    upper.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    upper.plot(r, u, color=BLUE, zorder=3)
    knots = spline.axis.edge_i
    upper.plot(knots, np.full(len(knots), bottom), "|", color=GREY, ms=9, mew=0.8, zorder=2)
    upper.set(xlim=(left, high), ylim=(bottom, top), ylabel="V₂ / eV")
    upper.set_title(key_name(pair).replace("-", "–"))
    _mark_minimum(upper, r, u, known)
    if known is not None:
        lower.stairs(known.count_h, WIDTH * np.arange(len(known.count_h) + 1), fill=True, color=PALE, zorder=1)
        most = float(known.count_h[: known.used].max())
        lower.set(yscale="log", ylim=(0.7, 2.0 * max(most, 5.0)), ylabel="pairs")
        lower.minorticks_off()
        for a, b in ((0.0, known.shortest), *known.holes):
            for axes in (upper, lower):
                axes.axvspan(a, b, color=VERMILION, alpha=0.1, lw=0, zorder=0)
    lower.set_xlabel("r / Å")


def _window(r: Floats, u: Floats, known: Coverage | None) -> tuple[float, float, float]:
    """Choose energies (lowest, highest) and the distance from which on a curve is worth seeing."""
    start = int(np.argmin(u)) // 2 if known is None else int(np.searchsorted(r, known.shortest))
    inside = u[min(start, len(u) - 2) :]
    depth = max(-float(inside.min()), 0.0)
    beyond = float(inside[len(inside) // 3 :].max())
    scale = max(depth, beyond, 1e-3 * float(np.abs(inside).max()), 1e-6)
    top = min(max(float(inside.max()), 0.4 * scale), 3.0 * scale)
    span = top + depth
    above = np.flatnonzero(u[:start] > top + 0.08 * span)
    wall = float(r[above[-1]]) - 0.1 if len(above) else float(r[0])
    left = wall if known is None else max(wall, known.shortest - 0.6)
    return -depth - 0.22 * span, top + 0.08 * span, max(0.0, float(np.floor(10.0 * left) / 10.0))


def _mark_minimum(axes: Any, r: Floats, u: Floats, known: Coverage | None) -> None:
    inside = u if known is None else np.where(known.seen(r), u, np.inf)
    dips = np.flatnonzero((inside[1:-1] < inside[:-2]) & (inside[1:-1] <= inside[2:]) & (inside[1:-1] < 0.0)) + 1
    if len(dips):
        k = dips[np.argmin(u[dips])]
        axes.plot(r[k], u[k], "o", ms=3.5, color=BLUE, zorder=4)
        axes.annotate(
            f"{r[k]:.2f} Å, {u[k]:.{2 if abs(u[k]) >= 0.0995 else 4}f}".replace("-", "−"),
            (r[k], u[k]), xytext=(9, -3), textcoords="offset points", fontsize=8, va="top",
        )  # fmt: skip


def _shell(potential: UF, center: int, other: int) -> float:
    """Return a typical distance of first neighbours, Å: of the data, or else where the curve is lowest."""
    pair = min(center, other), max(center, other)
    if (known := coverage(potential, pair)) is not None:
        return known.shell
    if pair not in potential.pairs:
        return 0.6 * potential.cutoff
    spline = potential.pairs[pair]
    r = np.linspace(spline.axis.low + 0.15 * (spline.axis.high - spline.axis.low), spline.axis.high, 400)
    return float(r[np.argmin(spline(r))])


def _legs(potential: UF, triple: Triple) -> list[tuple[float, float]]:
    """Return the legs of the slices, Å."""
    i, j, k = triple
    v = potential.triples[triple]
    near = _shell(potential, i, j), _shell(potential, i, k)
    ends = v.axes[0].high, v.axes[1].high
    near = tuple(min(r, 0.9 * end) for r, end in zip(near, ends, strict=True))  # type: ignore[assignment]
    return [
        (near[0] * f, near[1] * f) for f in _SHELLS if near[0] * f < 0.97 * ends[0] and near[1] * f < 0.97 * ends[1]
    ]


def _third(r_ij: Floats, r_ik: Floats, angle: Floats) -> Floats:
    """Return the third side of triangles with these legs (Å) and angles between them (degrees)."""
    square = r_ij**2 + r_ik**2 - 2.0 * r_ij * r_ik * np.cos(np.radians(angle))
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def _seen(potential: UF, triple: Triple, r_ij: Floats, r_ik: Floats, r_jk: Floats) -> NDArray[np.bool_]:
    """Return whether the data hold all three distances of triangles."""
    i, j, k = triple
    seen = np.ones(np.broadcast_shapes(np.shape(r_ij), np.shape(r_ik), np.shape(r_jk)), dtype=bool)
    for pair, r in (((i, j), r_ij), ((i, k), r_ik), ((j, k), r_jk)):
        if (known := coverage(potential, pair)) is not None:
            seen &= known.seen(r)
    return seen


def _title(triple: Triple) -> str:
    i, j, k = (chemical_symbols[z] for z in triple)
    return f"{j}–{i}–{k}"


def _angles(drawn: Any, place: Any, potential: UF, triple: Triple) -> None:
    """Draw a three-body function against the angle at a few leg lengths; dashed where the data have no such one."""
    axes, angle = drawn.add_subplot(place), np.linspace(20.0, 180.0, 321)
    axes.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    shown, alike = [], True
    for k, (r_ij, r_ik) in enumerate(_legs(potential, triple)):
        r_jk = _third(np.array(r_ij), np.array(r_ik), angle)
        value = potential.triples[triple](np.array(r_ij), np.array(r_ik), r_jk)
        seen = _seen(potential, triple, np.array(r_ij), np.array(r_ik), r_jk)
        label = f"r = {r_ij:.2f} Å" if r_ij == r_ik else f"{r_ij:.2f}, {r_ik:.2f} Å"
        alike &= r_ij == r_ik
        width = 2.0 if abs(_SHELLS[k] - 1.0) < 1e-9 else 1.2
        axes.plot(angle, np.where(seen, value, np.nan), color=_SLICES[k], lw=width, label=label, zorder=3)
        axes.plot(angle, value, color=_SLICES[k], lw=0.9, ls=(0, (2, 2)), alpha=0.7, zorder=2)
        shown.append(value[seen] if seen.any() else value)
    low, high = min(float(v.min()) for v in shown), max(float(v.max()) for v in shown)
    span = max(high - low, 1e-6)
    axes.set(xlim=(20, 180), xticks=[30, 60, 90, 120, 150, 180], ylim=(low - 0.1 * span, high + 0.3 * span))
    axes.set(xlabel="θ / °", ylabel=f"V₃({'r, r' if alike else 'r₁, r₂'}, θ) / eV")
    axes.set_title(_title(triple))
    axes.legend(loc="upper right", ncols=2, handlelength=1.3, labelspacing=0.25, columnspacing=1.0, borderaxespad=0.1)


def _map(drawn: Any, place: Any, potential: UF, triple: Triple) -> None:
    """Draw a three-body function of two equal legs and the angle between them."""
    axes, v = drawn.add_subplot(place), potential.triples[triple]
    end = min(v.axes[0].high, v.axes[1].high)
    begin = max(v.axes[0].low, v.axes[1].low)
    known = [c for z in triple[1:] if (c := coverage(potential, (triple[0], z))) is not None]
    if known:
        begin = max(begin, max(c.shortest for c in known) - 0.25)
    else:
        begin = max(begin, 0.6 * _shell(potential, *triple[:2]))
    r, angle = np.linspace(begin, end, 161)[:, None], np.linspace(0.0, 180.0, 181)[None, :]
    side = _third(r, r, angle)
    value, seen = v(r, r, side), _seen(potential, triple, r, r, side)
    within = np.abs(value[seen & (r > begin + 0.1 * (end - begin))])
    most = float(np.quantile(within, 0.995)) if within.size and within.max() > 0 else 1.0
    box = (0.0, 180.0, float(begin), float(end))
    drawn_map = axes.imshow(value, extent=box, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most,
                            interpolation="bilinear")  # fmt: skip
    fine_r, fine = np.linspace(begin, end, 801)[:, None], np.linspace(0.0, 180.0, 721)[None, :]
    held = _seen(potential, triple, fine_r, fine_r, _third(fine_r, fine_r, fine))
    axes.contourf(fine[0], fine_r[:, 0], held.astype(float), [-0.5, 0.5], colors=[_UNSEEN])
    levels = most * np.array([-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75])
    axes.contour(angle[0], r[:, 0], np.where(seen, value, np.nan), levels, colors=INK, linewidths=0.4,
                 linestyles="solid", alpha=0.5)  # fmt: skip
    for k, (r_ij, r_ik) in enumerate(_legs(potential, triple)):
        if r_ij == r_ik:
            axes.plot([176.0, 180.0], [r_ij, r_ij], color=_SLICES[k], lw=2.2, solid_capstyle="butt", clip_on=False)
    axes.set(xlim=(0, 180), ylim=(begin, end), xticks=[0, 60, 120, 180], xlabel="θ / °", ylabel="r / Å")
    axes.set_title("V₃(r, r, θ) / eV")
    bar = drawn.colorbar(drawn_map, ax=axes, pad=0.02, fraction=0.06, extend="both")
    bar.outline.set_visible(False)
