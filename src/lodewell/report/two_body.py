"""Two-body functions: a curve and, below it, how often the training data hold each distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.fit.distances import WIDTH
from lodewell.report.coverage import Coverage
from lodewell.report.style import BLUE, GREY, PALE, VERMILION


@dataclass(frozen=True)
class TwoBody:
    """What is drawn of a pair of elements.

    Attributes:
        title: such as "Si–O".
        energy: of a pair at distances (Å), eV.
        low, high: where the curve may be drawn, Å.
        marks: distances marked along the lower edge, such as knots.
        known: which distances the training data hold.
        others: further curves: energy, and how its line looks.
        label: of the vertical axis.
    """

    title: str
    energy: Callable[[Floats], Floats]
    low: float
    high: float
    marks: Floats
    known: Coverage | None
    others: Sequence[tuple[Callable[[Floats], Floats], dict[str, Any]]] = ()
    label: str = "V₂ / eV"


def draw_pair(drawn: Any, place: Any, pair: TwoBody) -> None:
    """Draw a curve and, below it, how often the data hold each distance."""
    known, high = pair.known, pair.high
    if known is None:
        upper = lower = drawn.add_subplot(place)
    else:
        inner = place.subgridspec(2, 1, height_ratios=(2.4, 1.0), hspace=0.0)
        upper = drawn.add_subplot(inner[0])
        lower = drawn.add_subplot(inner[1], sharex=upper)
        upper.tick_params(bottom=False, labelbottom=False)
    r = np.linspace(max(0.5 * pair.low, 0.02), high, 1500)
    u = pair.energy(r)
    bottom, top, left = window(r, u, known)
    upper.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    for energy, look in pair.others:
        upper.plot(r, energy(r), zorder=2, **look)
    upper.plot(r, u, color=BLUE, zorder=3)
    upper.plot(pair.marks, np.full(len(pair.marks), bottom), "|", color=GREY, ms=9, mew=0.8, zorder=2)
    upper.set(xlim=(left, high), ylim=(bottom, top), ylabel=pair.label)
    upper.set_title(pair.title)
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


def window(r: Floats, u: Floats, known: Coverage | None) -> tuple[float, float, float]:
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
