"""A figure of what relaxing did: energies and volumes before and after, and what it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.report.style import BLUE, GREY, INK, ORANGE, PALE, VERMILION, figure, save

if TYPE_CHECKING:
    from lodewell.relax.result import Relaxation

_LINES = 60  # up to this many crystals each gets a line of its own
_OF_STATUS = {"converged": BLUE, "max steps": ORANGE, "exploded": VERMILION, "unsupported": GREY, "bad input": INK}


def draw_relaxation(results: Sequence[Relaxation], path: str | Path) -> Path:
    """Draw energies before and after, volume changes, steps and statuses of many relaxed crystals."""
    done = [r for r in results if r.sane and r.energy_per_atom is not None and r.start_energy_per_atom is not None]
    with figure(9.6, 6.4) as drawn:
        (energies, volumes), (steps, statuses) = drawn.subplots(2, 2, width_ratios=(1.5, 1.0))
        _energies(energies, done)
        _volumes(volumes, done)
        _steps(steps, done)
        _statuses(statuses, results)
        return save(drawn, path)


def _energies(axes: Any, done: Sequence[Relaxation]) -> None:
    """Draw one arrow a crystal from its energy before to after, best first; clouds where they are many."""
    order = sorted(done, key=lambda r: r.energy_per_atom or 0.0)
    before = np.array([r.start_energy_per_atom for r in order], dtype=float)
    after = np.array([r.energy_per_atom for r in order], dtype=float)
    place = np.arange(1, len(order) + 1)
    if len(order) <= _LINES:
        axes.vlines(place, after, before, color=PALE, linewidth=3.0)
        size, alpha = 22, 1.0
    else:
        size, alpha = 4, 0.45
    axes.scatter(place, before, s=size, color=ORANGE, alpha=alpha, linewidths=0, label="before", zorder=2)
    axes.scatter(place, after, s=size, color=BLUE, linewidths=0, label="after", zorder=3)
    axes.set(xlabel="crystals, lowest energy first", ylabel="energy per atom (eV)", title="Energy before and after")
    if order:
        # A few hopeless starts must not flatten all the rest.
        low, high = min(after.min(), before.min()), np.quantile(before, 0.98 if len(order) > _LINES else 1.0)
        high = max(high, after.max())
        margin = 0.05 * (high - low) + 1e-6
        axes.set_ylim(low - margin, high + margin)
        outside = int((before > high + margin).sum())
        legend = axes.legend(
            title=f"{outside:,} starts lie above" if outside else None, loc="upper left", bbox_to_anchor=(0.0, 1.02),
            ncols=2, title_fontsize=8, alignment="left", markerscale=1.0 if len(order) <= _LINES else 3.0,
        )  # fmt: skip
        legend.set_in_layout(False)
        axes.set_ylim(top=high + 4.0 * margin)


def _volumes(axes: Any, done: Sequence[Relaxation]) -> None:
    """Draw how volumes changed; what lies outside the middle 98 % of many is counted at the ends."""
    from matplotlib.ticker import MaxNLocator

    change = [
        100.0 * (r.volume_per_atom / r.start_volume_per_atom - 1.0)
        for r in done
        if r.volume_per_atom and r.start_volume_per_atom
    ]
    axes.set(xlabel="volume change (%)", ylabel="crystals", title="Volume")
    if not change:
        axes.text(0.5, 0.5, "no crystals with a volume", transform=axes.transAxes, ha="center", color=GREY)
        return
    low, high = np.quantile(change, (0.01, 0.99)) if len(change) > _LINES else (min(change), max(change))
    width = max(high - low, 1.0)
    edges = np.linspace(low - 0.02 * width, high + 0.02 * width, 1 + int(np.clip(2.0 * np.sqrt(len(change)), 6, 30)))
    axes.hist(np.clip(change, low, high), bins=edges, color=BLUE)
    axes.set_ylim(top=1.15 * axes.get_ylim()[1])  # room for the label of the median
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axvline(0.0, color=GREY, linewidth=0.8)
    middle = float(np.median(change))
    axes.axvline(middle, color=VERMILION, linewidth=1.2)
    axes.annotate(f"median {middle:+.1f} %", (middle, 0.97), xycoords=("data", "axes fraction"), xytext=(4, 0),
                  textcoords="offset points", va="top", fontsize=8, color=VERMILION)  # fmt: skip


def _steps(axes: Any, done: Sequence[Relaxation]) -> None:
    """Draw how far each energy fell against the steps that took."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set(xlabel="steps", ylabel="energy gained per atom (eV)", title="Steps taken")
    if not done:
        axes.text(0.5, 0.5, "nothing was relaxed", transform=axes.transAxes, ha="center", color=GREY)
        return
    steps = np.array([r.steps for r in done], dtype=float)
    fell = np.array([(r.start_energy_per_atom or 0.0) - (r.energy_per_atom or 0.0) for r in done])
    colour = [_OF_STATUS[r.status] for r in done]
    size = 22 if len(done) <= _LINES else 5
    axes.scatter(np.maximum(steps, 0.8), np.maximum(fell, 1e-5), s=size, c=colour, alpha=0.6, linewidths=0)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    # A decade at least, so that there is a labelled tick.
    axes.set_xlim(max(0.7, min(steps.min(), 10.0) / 1.2), max(steps.max(), 100.0) * 1.2)
    axes.set_ylim(max(fell.min(), 1e-5) / 1.5, max(fell.max(), 10.0 * max(fell.min(), 1e-5)) * 1.5)


def _statuses(axes: Any, results: Sequence[Relaxation]) -> None:
    counts = Counter(r.status for r in results)
    names = [s for s in _OF_STATUS if counts[s]][::-1]
    bars = axes.barh(names, [counts[s] for s in names], color=[_OF_STATUS[s] for s in names], height=0.6)
    axes.bar_label(bars, labels=[f"{counts[s]:,}" for s in names], padding=4, fontsize=8)
    axes.set(xlabel="crystals", title="How they ended", ylim=(min(len(names) - 3, 0) - 0.6, len(names) - 0.4))
    axes.margins(x=0.15)
