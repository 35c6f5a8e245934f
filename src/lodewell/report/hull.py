"""A figure of the convex hull of candidates: a curve for two elements, a triangle for three, a tetrahedron for four."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats, Ints
from lodewell.relax.hull import Hull
from lodewell.report.style import BLUE, GREY, INK, ORANGE, PALE, figure, save

_ROOM = np.array([0.13, 0.035])  # of a name, in edges of the triangle
_LINES = 80  # stable formulas between which tie lines are looked for
_CORNERS = {
    3: np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]]),
    4: np.array([[0.0, 0.12], [0.66, -0.12], [1.0, 0.24], [0.5, 0.95]]),  # a tetrahedron seen from the side
}
_HIDDEN = (0, 2)  # the edge of the tetrahedron that is behind the others


def can_draw(hull: Hull) -> bool:
    """Tell whether there are two to four elements and more than one formula of them."""
    return 2 <= len(hull.elements) <= 4 and len(hull.formulas) > 1


def draw_hull(hull: Hull, path: str | Path) -> Path:
    """Draw the hull of two to four elements."""
    with figure(6.4, 4.4 if len(hull.elements) == 2 else 5.2) as drawn:
        axes = drawn.subplots()
        if len(hull.elements) == 2:
            _curve(axes, hull)
        else:
            _simplex(drawn, axes, hull)
        return save(drawn, path)


def _curve(axes: Any, hull: Hull) -> None:
    """Draw energies against composition, measured from the line between the two ends of the hull."""
    x_f = hull.share_fe[:, 1]
    stable = np.flatnonzero(hull.stable_f)
    stable = stable[np.argsort(x_f[stable])]
    low, high = stable[0], stable[-1]
    slope = (hull.energy_f[high] - hull.energy_f[low]) / (x_f[high] - x_f[low])
    base_f = hull.energy_f[low] + slope * (x_f - x_f[low])
    y_c = (hull.hull_f - base_f)[hull.formula_c] + hull.above_c
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.scatter(x_f[hull.formula_c], y_c, s=18, color=ORANGE, linewidths=0, label="above the hull", zorder=2)
    y_f = hull.energy_f - base_f
    axes.plot(x_f[stable], y_f[stable], color=BLUE, marker="o", markersize=5, label="on the hull", zorder=3)
    for f in stable.tolist():
        axes.annotate(hull.formulas[f], (x_f[f], y_f[f]), xytext=(0, -13), textcoords="offset points",
                      ha="center", fontsize=8)  # fmt: skip
    first, second = hull.elements
    ends = f"{hull.formulas[low]} and {hull.formulas[high]}"
    axes.set(
        xlabel=f"share of {second} in {first}–{second}", ylabel=f"energy from {ends} (eV/atom)", xlim=(-0.04, 1.04),
        title="Hull of the candidates",
    )  # fmt: skip
    # What lies far above must not flatten the hull.
    depth = max(-float(y_f[stable].min()), 0.02)
    top = min(float(y_c.max(initial=0.0)), 2.0 * depth)
    axes.set_ylim(-1.25 * depth, max(top, 0.25 * depth) * 1.15)
    outside = int((y_c > top * 1.15).sum())
    axes.legend(title=f"{outside:,} crystals lie higher" if outside else None, loc="best", title_fontsize=8)


def _simplex(drawn: Any, axes: Any, hull: Hull) -> None:
    """Draw compositions in a triangle or a tetrahedron, coloured by the height of the lowest crystal of each."""
    corners = _CORNERS[len(hull.elements)]
    at_f = hull.share_fe @ corners
    _frame(axes, hull, corners)
    stable = np.flatnonzero(hull.stable_f)
    if len(stable) <= _LINES:
        _ties(axes, at_f, hull.tie_lines())
    above = np.flatnonzero(~hull.stable_f)
    height = (hull.energy_f - hull.hull_f)[above]
    if len(above):
        shown = axes.scatter(*at_f[above].T, c=height, cmap="YlOrRd", vmin=0.0, vmax=max(float(height.max()), 1e-3),
                             s=24, linewidths=0.4, edgecolors=GREY, zorder=3)  # fmt: skip
        drawn.colorbar(shown, ax=axes, shrink=0.6, label="lowest crystal above the hull (eV/atom)")
    axes.scatter(*at_f[stable].T, s=34, color=BLUE, linewidths=0, zorder=4)
    for f in _with_room(at_f, [f for f in stable.tolist() if hull.formulas[f] not in hull.elements]):
        axes.annotate(hull.formulas[f], at_f[f], xytext=(5, 5), textcoords="offset points", fontsize=8, zorder=5)
    axes.set_title(f"Hull of the candidates: {len(stable):,} of {len(hull.formulas):,} formulas lie on it")


def _with_room(at_f: Floats, formulas: list[int]) -> list[int]:
    """Return those that can be named without covering each other's names; the corners are named elsewhere."""
    named: list[int] = []
    for f in formulas:
        if all((np.abs(at_f[f] - at_f[other]) > _ROOM).any() for other in named):
            named.append(f)
    return named


def _frame(axes: Any, hull: Hull, corners: Floats) -> None:
    """Draw the edges and name the corners."""
    middle = corners.mean(axis=0)
    for first in range(len(corners)):
        for second in range(first):
            hidden = len(corners) == 4 and {first, second} == set(_HIDDEN)
            axes.plot(
                *corners[[first, second]].T, color=INK, linewidth=0.9, linestyle=":" if hidden else "-", zorder=2.5
            )
    for symbol, corner in zip(hull.elements, corners, strict=True):
        out = corner - middle
        axes.annotate(symbol, corner, xytext=tuple(14.0 * out / np.linalg.norm(out)), textcoords="offset points",
                      ha="center", va="center", fontsize=10, fontweight="bold")  # fmt: skip
    axes.set_aspect("equal")
    axes.margins(0.1)
    axes.axis("off")


def _ties(axes: Any, at_f: Floats, lines: Ints) -> None:
    for first, second in lines.tolist():
        axes.plot(*at_f[[first, second]].T, color=PALE, linewidth=0.9, zorder=2)
