"""The picture of the package: test error against the time that an evaluation takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.potentials.calculator import FromCalculator
from lodewell.potentials.families import find_family
from lodewell.report import style
from lodewell.report.labels import place_labels, spread
from lodewell.report.style import GREY, INK, ORANGE, PALE, SKY, figure, lay_out, save

if TYPE_CHECKING:
    from lodewell.judge.compare.run import Comparison, Contender, Metric

_OTHER_CODES = (ORANGE, "other codes, through ASE")
_PANELS: tuple[tuple[Metric, str, float], ...] = (
    ("force", "force error, MAE of a component (eV/Å)", 1.0),
    ("energy", "energy error, MAE (meV/atom)", 1e3),
)


def draw_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Draw errors of forces and of energies against cost, with the front that none beats, and return the file."""
    with figure(11.6, 5.6) as drawn:
        panels = drawn.subplots(1, 2)
        for axes, (metric, label, scale) in zip(panels, _PANELS, strict=True):
            axes.set(xscale="log", yscale="log", xlabel="time of one evaluation (µs/atom)", ylabel=label)
            axes.set_title("Forces" if metric == "force" else "Energies")
            _limits(axes, comparison, metric, scale)
            _published(axes, comparison, metric, scale)
        first = comparison.rows[0].errors.overall
        drawn.suptitle(
            f"{comparison.cell}{': ' if comparison.cell else ''}accuracy and cost on {first.frames:,} test frames, "
            f"{first.atoms:,} atoms", x=0.01, ha="left", fontsize=12,
            fontweight="bold",
        )  # fmt: skip
        _foot(drawn, comparison)
        lay_out(drawn)
        for axes, (metric, _, scale) in zip(panels, _PANELS, strict=True):
            _points(axes, comparison, metric, scale)
        return save(drawn, path)


def _measured(comparison: Comparison, metric: Metric, scale: float) -> list[tuple[Contender, float, float]]:
    """Return the potentials that can be drawn, with cost (µs/atom) and error."""
    out = []
    for row in comparison.rows:
        error = row.mae(metric)
        if row.cost is not None and error is not None and error > 0.0:
            out.append((row, row.cost.us_per_atom, scale * error))
    return out


def _reported(comparison: Comparison, metric: Metric, scale: float) -> list[tuple[str, float | None, float]]:
    """Return names, costs and errors of what others report."""
    out = []
    for p in comparison.published:
        error = p.force_mae if metric == "force" else p.energy_mae
        if error is not None:
            out.append((p.name, p.us_per_atom, scale * error))
    return out


def _limits(axes: Any, comparison: Comparison, metric: Metric, scale: float) -> None:
    """Leave room around all marks: for labels, and half a decade at least on each axis."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    shown = _measured(comparison, metric, scale)
    reported = _reported(comparison, metric, scale)
    x = [c for _, c, _ in shown] + [c for _, c, _ in reported if c is not None] or [1.0]
    y = [e for _, _, e in shown] + [e for _, _, e in reported] or [1.0]
    axes.set_xlim(*_padded(min(x), max(x), 0.16))
    axes.set_ylim(*_padded(min(y), max(y), 0.12))
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        few = np.log10(high / low) < 1.6  # then 2 and 5 are named as well
        axis.set_minor_formatter(FuncFormatter(_two_and_five) if few else NullFormatter())
    axes.grid(which="major", color=PALE, lw=0.5, alpha=0.7)
    axes.set_axisbelow(True)


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    width = max(np.log10(high / low), 0.6)
    middle = 0.5 * np.log10(low * high)
    half = (0.5 + share) * width
    return float(10.0 ** (middle - half)), float(10.0 ** (middle + half))


def _two_and_five(value: float, _: Any) -> str:
    digit = value / 10.0 ** np.floor(np.log10(value) + 1e-9)
    return f"{value:g}" if round(digit) in (2, 5) and abs(digit - round(digit)) < 1e-6 else ""


def _published(axes: Any, comparison: Comparison, metric: Metric, scale: float) -> None:
    """Draw a line across for each error reported without a cost, its name at the right edge."""
    lines = [(name, error) for name, cost, error in _reported(comparison, metric, scale) if cost is None]
    if not lines:
        return
    low, high = (np.log10(v) for v in axes.get_ylim())
    wanted = [(np.log10(error) - low) / (high - low) for _, error in lines]
    heights = spread(wanted, 0.042, 0.01, 0.99)
    for (name, error), want, height in zip(lines, wanted, heights, strict=True):
        axes.axhline(error, color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"{name} {_digits(error)}", (1.0, want), xycoords="axes fraction", xytext=(1.035, height),
            textcoords="axes fraction", va="center", fontsize=8, color=GREY, annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.6, "shrinkA": 1, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip


def _digits(value: float) -> str:
    return f"{value:.2g}" if value < 10.0 else f"{value:.0f}"


def _points(axes: Any, comparison: Comparison, metric: Metric, scale: float) -> None:
    """Draw the front, the marks and their names."""
    shown = _measured(comparison, metric, scale)
    front = [(r.cost.us_per_atom, scale * (r.mae(metric) or 0.0)) for r in comparison.front(metric) if r.cost]
    line = _staircase(axes, front)
    for row, cost, error in shown:
        best = (cost, error) in front
        axes.plot(cost, error, "o", ms=9.0 if best else 7.0, color=_colour(row.kind), mec="white", mew=0.9, zorder=5)
    others = [(name, cost, error) for name, cost, error in _reported(comparison, metric, scale) if cost is not None]
    for _, cost, error in others:
        axes.plot(cost, error, "o", ms=7.0, mfc="white", mec=GREY, mew=1.2, zorder=4)
    places = [(c, e) for _, c, e in shown] + [(c, e) for _, c, e in others]
    names = [r.name for r, _, _ in shown] + [name for name, _, _ in others]
    colours = [_dark(_colour(r.kind)) for r, _, _ in shown] + [GREY] * len(others)
    if not places:
        axes.text(0.5, 0.5, "nothing to compare", transform=axes.transAxes, ha="center", color=GREY)
        return
    place_labels(axes, places, names, colours, avoid=line + _across(axes, comparison, metric, scale))


def _across(axes: Any, comparison: Comparison, metric: Metric, scale: float) -> list[tuple[float, float]]:
    """Return points along the lines of what is published."""
    low, high = axes.get_xlim()
    x = np.geomspace(low, high, 120).tolist()
    return [(v, error) for _, cost, error in _reported(comparison, metric, scale) if cost is None for v in x]


def _staircase(axes: Any, front: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Draw the border of what no potential reaches; return points along it."""
    if not front:
        return []
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = [front[0][0]], [top]
    for k, (cost, error) in enumerate(front):
        x += [cost, front[k + 1][0] if k + 1 < len(front) else right]
        y += [error, error]
    axes.plot(x, y, color=INK, lw=1.0, zorder=2, solid_joinstyle="miter")
    axes.fill_between([left, *x], [top, *y], bottom, color=PALE, alpha=0.28, lw=0, zorder=0)
    axes.text(0.02, 0.02, "reached by none of these", transform=axes.transAxes, fontsize=8, color=GREY, style="italic")
    axes.set(xlim=(left, right), ylim=(bottom, top))
    dense: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in zip(zip(x, y, strict=True), zip(x[1:], y[1:], strict=True), strict=False):
        t = np.linspace(0.0, 1.0, 25)
        dense += list(zip((x0 * (x1 / x0) ** t).tolist(), (y0 * (y1 / y0) ** t).tolist(), strict=True))
    return dense


def _colour(kind: str) -> str:
    return _legend(kind)[0]


def _legend(kind: str) -> tuple[str, str]:
    """Return the colour of a family, and what the legend calls it."""
    if kind == FromCalculator.kind:
        return _OTHER_CODES
    row = find_family(kind)
    return (SKY, "other") if row is None else (getattr(style, row.colour, row.colour), row.group)


def _dark(colour: str) -> str:
    """Darken a colour so that letters in it can be read."""
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = to_rgb(colour)
    return str(to_hex((0.78 * red, 0.78 * green, 0.78 * blue)))


def _foot(drawn: Any, comparison: Comparison) -> None:
    """Say below what the colours are and what was timed."""
    from matplotlib.lines import Line2D

    present = list(dict.fromkeys(_legend(r.kind) for r in comparison.rows))
    marks = [Line2D([], [], ls="", marker="o", ms=7, color=colour, label=name) for colour, name in present]
    marks.append(Line2D([], [], color=INK, lw=1.0, label="best at its cost"))
    if any(p.us_per_atom is None for p in comparison.published):
        marks.append(Line2D([], [], color=GREY, lw=0.8, ls=(0, (4, 3)), label="published error, cost not measured"))
    if any(p.us_per_atom is not None for p in comparison.published):
        hollow = Line2D([], [], ls="", marker="o", ms=7, mfc="white", mec=GREY, label="published, not measured here")
        marks.append(hollow)
    where = (
        f"energy, forces and virial of {comparison.cell_atoms:,} atoms of {comparison.cell}, one thread of "
        f"{comparison.machine}, all in one run"
        if comparison.cell
        else "no periodic crystal to time"
    )
    drawn.legend(handles=marks, loc="outside lower center", ncols=len(marks), handletextpad=0.5, columnspacing=1.6,
                 title=where, title_fontsize=8)  # fmt: skip
