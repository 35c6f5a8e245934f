"""A figure of what `lodewell check` found: structures, curves, phonons, the hot run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.interpolate import CubicSpline

from lodewell.report.style import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    figure,
    save,
)

if TYPE_CHECKING:
    from lodewell.judge.check.findings import CheckReport, Subject
    from lodewell.judge.check.prototypes import Prototype
    from lodewell.judge.check.units import Units

_MOST_ROWS = 5  # crystals drawn
_MOST_CURVES = 8  # in one panel
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)))
_LINES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK, YELLOW)


def draw_report(report: CheckReport, path: str | Path) -> Path:
    """Draw the report and return the file.

    First row: structures, pairs, angles. Then a row a crystal: equation of state, phonons, hot run.
    """
    subjects = report.subjects[:_MOST_ROWS]
    with figure(12.0, 3.9 + 3.3 * len(subjects)) as drawn:
        grid = drawn.add_gridspec(1 + len(subjects), 3)
        _structures(drawn.add_subplot(grid[0, 0]), report)
        _pairs(drawn.add_subplot(grid[0, 1]), report)
        _angles(drawn.add_subplot(grid[0, 2]), report)
        for row, subject in enumerate(subjects, 1):
            _equation(drawn.add_subplot(grid[row, 0]), subject, report.units)
            _phonons(drawn, grid[row, 1], subject, report.units)
            _hot_run(drawn, grid[row, 2], subject, report.units)
        counts = Counter[str](r.verdict for r in report.rows)
        said = {"ok": "ok", "look": "to look at", "bad": "bad", "skipped": "skipped"}
        found = ", ".join(f"{counts[verdict]} {words}" for verdict, words in said.items() if counts[verdict])
        kind = f" ({report.kind})" if report.kind != report.name else ""
        drawn.suptitle(f"{report.name}{kind}, {', '.join(report.elements)}: {found}", x=0.01, ha="left", fontsize=11)
        return save(drawn, path)


def _empty(axes: Any, text: str) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=8.5, wrap=True)


def _structures(axes: Any, report: CheckReport) -> None:
    """Draw energy against volume of the structures, each composition from its own elements, or from its best one."""
    axes.set_title("Structures")
    bound = [p for p in report.structures if p.above is not None and p.volume_k is not None]
    shown = _chosen(bound)
    if not shown:
        _empty(axes, "no structure is bound")
        return
    several = len({p.formula for p in shown}) > 1
    heights = [_height(p) for p in shown]
    span = max(max(heights) - min(heights), 0.15 * _depth(shown), 1e-6)
    for k, p in enumerate(shown):
        assert p.volume_k is not None
        assert p.energy_k is not None
        volume = np.linspace(p.volume_k[0], p.volume_k[-1], 400)
        over = CubicSpline(p.volume_k, p.energy_k)(volume) - (p.energy_per_atom or 0.0) + _height(p)
        over[over > max(heights) + 0.6 * span] = np.nan  # there stands the legend
        axes.plot(volume, over, color=_LINES[k % len(_LINES)], lw=1.3, label=_label(p, report.units))
        axes.plot(p.volume_per_atom, _height(p), "o", ms=4.0, color=_LINES[k % len(_LINES)])
    axes.set_ylim(min(heights) - 0.08 * span, max(heights) + (0.62 + 0.12 * len(shown)) * span)
    volumes = [p.volume_per_atom or 0.0 for p in shown]
    axes.set_xlim(0.72 * min(volumes), 1.28 * max(volumes))
    what = (
        "energy over the elements"
        if several and any(p.formation is not None for p in shown)
        else "energy over the best"
    )
    axes.set(xlabel="volume (Å³/atom)", ylabel=f"{what} ({report.units.energy}/atom)")
    axes.legend(loc="upper right", handlelength=1.2, labelspacing=0.25, borderaxespad=0.1, fontsize=7.5)


def _chosen(bound: Sequence[Prototype]) -> list[Prototype]:
    """Return the structures to draw, the best of each composition first in line when they are many."""
    kept = sorted(bound, key=lambda p: p.above or 0.0)[:_MOST_CURVES]
    return sorted(kept, key=lambda p: (_height(p), p.formula))


def _height(p: Prototype) -> float:
    return p.formation if p.formation is not None else (p.above or 0.0)


def _depth(shown: Sequence[Prototype]) -> float:
    """Return how much energy the widest scans see, which sets the scale where all structures are alike."""
    return max(float(p.energy_k[-1] - (p.energy_per_atom or 0.0)) for p in shown if p.energy_k is not None)


def _label(p: Prototype, units: Units) -> str:
    above = p.above or 0.0
    if above == 0.0:
        return f"{p.title}, lowest"
    text = f"+{1e3 * above:.0f} meV" if units.energy == "eV" else f"+{above:.2g} {units.energy}"
    return f"{p.title} {text}"


def _pairs(axes: Any, report: CheckReport) -> None:
    """Draw the energy of two atoms against their distance."""
    axes.set_title("Two atoms")
    seen = [d for d in report.dimers if np.isfinite(d.energy_k).any() and d.energy_k.any()][:_MOST_CURVES]
    if not seen:
        _empty(axes, "no pair interacts")
        return
    deepest = max(d.depth for d in seen)
    if deepest <= 0.0:
        deepest = max(float(np.median(np.abs(d.energy_k))) for d in seen)
    left = min(float(d.r_k[np.argmax(d.energy_k < 3.0 * deepest)]) for d in seen)
    axes.axhline(0.0, color=PALE, lw=0.8)
    for k, d in enumerate(seen):
        colour = COLOURS[k % len(COLOURS)]
        label = d.pair.replace("-", "–") + (
            f": {d.depth:.3g} {report.units.energy} at {d.r_min:.2f} Å" if d.r_min else ""
        )
        axes.plot(d.r_k, d.energy_k, color=colour, ls=_DASHES[k // len(COLOURS) % len(_DASHES)], label=label)
        if d.r_min:
            axes.plot(d.r_min, -d.depth, "o", ms=3.5, color=colour)
        if d.hole is not None:
            axes.axvspan(0.0, d.hole, color=VERMILION, alpha=0.08, lw=0)
    axes.set(xlim=(max(0.0, left - 0.25), max(float(d.r_k[-1]) for d in seen)), ylim=(-1.25 * deepest, 2.6 * deepest))
    axes.set(xlabel="distance (Å)", ylabel=f"energy ({report.units.energy})")
    axes.legend(loc="upper right", handlelength=1.4, labelspacing=0.3)


def _angles(axes: Any, report: CheckReport) -> None:
    """Draw what three atoms have beyond their pairs against the angle."""
    axes.set_title("Three atoms, beyond their pairs")
    seen = [t for t in report.trimers if np.isfinite(t.energy_sk).all() and np.abs(t.energy_sk).max() > 1e-9]
    if not report.trimers:
        _empty(axes, "not computed")
        return
    if not seen:
        _empty(axes, "a sum over pairs:\nan angle costs nothing")
        return
    axes.axhline(0.0, color=PALE, lw=0.8)
    for k, t in enumerate(seen[:6]):
        colour = COLOURS[k % len(COLOURS)]
        middle = len(t.bond_s) // 2
        axes.plot(t.angle_k, t.energy_sk[middle], color=colour, label=f"{t.name}, {t.bond_s[middle]:.2f} Å")
        if len(seen) == 1:
            for s, dashes in ((0, _DASHES[1]), (len(t.bond_s) - 1, _DASHES[2])):
                axes.plot(
                    t.angle_k, t.energy_sk[s], color=colour, lw=1.0, ls=dashes, label=f"bonds of {t.bond_s[s]:.2f} Å"
                )
    axes.set(xlim=(40, 180), xticks=[60, 90, 120, 150, 180], xlabel="angle at the middle atom (°)",
             ylabel=f"three-body energy ({report.units.energy})")  # fmt: skip
    axes.legend(loc="best", handlelength=1.8, labelspacing=0.3)


def _equation(axes: Any, subject: Subject, units: Units) -> None:
    """Draw energy against volume near rest with the fit, and write the moduli beside it."""
    axes.set_title(f"{subject.title}: stiffness")
    e, p = subject.equation, subject.crystal
    if e is None or p.volume_k is None or p.energy_k is None:
        _empty(axes, "no equation of state")
        return
    milli, unit = (1e3, "meV") if units.energy == "eV" else (1.0, units.energy)
    around = np.linspace(0.82 * e.volume, 1.3 * e.volume, 200)
    axes.plot(p.volume_k, milli * (p.energy_k - e.energy), color=PALE, lw=3.5, label="scaled as it is")
    axes.plot(around, milli * (e.fitted(around) - e.energy), color=BLUE, lw=1.3, label="Birch–Murnaghan fit")
    axes.plot(e.volume_k, milli * (e.energy_k - e.energy), "o", ms=3.5, color=VERMILION, label="computed")
    top = milli * max(float(e.fitted(np.array([0.84 * e.volume]))[0] - e.energy), 1e-9)
    axes.set(xlim=(around[0], around[-1]), ylim=(-0.08 * top, 1.15 * top), xlabel="volume (Å³/atom)",
             ylabel=f"energy over the minimum ({unit}/atom)")  # fmt: skip
    lines = [f"B = {_short(e.modulus * units.per_pressure)} {units.pressure}, dB/dp = {e.slope:.1f}"]
    if subject.elastic is not None:
        constants = subject.elastic.constants()
        if len(constants) < 7:
            parts = [f"{name.translate(_SUBSCRIPTS)} {_short(v * units.per_pressure)}" for name, v in constants.items()]
            lines += ["  ".join(parts[k : k + 3]) for k in range(0, len(parts), 3)]
        if not subject.elastic.stable:
            lines.append("elastically unstable")
    # The bowl of the curve is where there is room.
    text = "\n".join(lines).replace("-", "−")
    axes.text(0.48, 0.98, text, transform=axes.transAxes, ha="center", va="top", fontsize=8, linespacing=1.5)
    axes.legend(loc="upper center", bbox_to_anchor=(0.48, 0.92 - 0.06 * len(lines)), handlelength=1.4,
                labelspacing=0.3)  # fmt: skip


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100.0 else f"{value:.3g}"


def _phonons(drawn: Any, place: Any, subject: Subject, units: Units) -> None:
    """Draw bands and density of states; what is imaginary lies in the shaded part."""
    p = subject.phonons
    if p is None:
        axes = drawn.add_subplot(place)
        axes.set_title(f"{subject.title}: phonons")
        _empty(axes, "not computed: without phonopy, or not asked for")
        return
    inner = place.subgridspec(1, 2, width_ratios=(3.2, 1.0), wspace=0.04)
    bands, states = drawn.add_subplot(inner[0]), drawn.add_subplot(inner[1])
    bands.set_title(f"{subject.title}: phonons")
    bottom, top = min(p.lowest, 0.0), p.highest
    margin = 0.05 * (top - bottom)
    low = bottom - margin if not p.real else -margin
    for axes in (bands, states):
        axes.set_ylim(low, top + margin)
        axes.axhline(0.0, color=GREY, lw=0.7)
        if not p.real:
            axes.axhspan(low, 0.0, color=VERMILION, alpha=0.08, lw=0)
    if len(p.path_qm):
        jumps = np.flatnonzero(np.diff(p.distance_q) < 1e-9) + 1
        for some in np.split(np.arange(len(p.distance_q)), jumps):
            bands.plot(p.distance_q[some], p.path_qm[some], color=BLUE, lw=1.1)
        bands.set_xlim(p.distance_q[0], p.distance_q[-1])
        ticks, labels = _joined(p.ticks, p.labels)
        bands.set_xticks(ticks, labels)
        bands.tick_params(axis="x", length=0)
        for tick in ticks:
            bands.axvline(tick, color=PALE, lw=0.7, zorder=0)
    else:
        _empty(bands, "no path for this lattice")
    if not p.real:
        bands.text(0.02, 0.02, "imaginary", transform=bands.transAxes, fontsize=8, color=VERMILION)
    bands.set_ylabel(f"frequency ({units.frequency})")
    at, density = p.density()
    states.fill_betweenx(at, density, color=BLUE, alpha=0.25, lw=0)
    states.plot(density, at, color=BLUE, lw=1.0)
    states.set(xlim=(0.0, 1.1 * float(density.max())), xticks=[], xlabel="states")
    states.tick_params(labelleft=False)


def _joined(ticks: Sequence[float], labels: Sequence[str]) -> tuple[list[float], list[str]]:
    """Write two names at a place where the path jumps, and Γ for G; leave out names that would overlap."""
    places: list[float] = []
    names: list[str] = []
    for tick, label in zip(ticks, labels, strict=True):
        text = "Γ" if label == "G" else label
        if places and abs(tick - places[-1]) < 1e-9:
            names[-1] += f"|{text}"
        else:
            places.append(tick)
            names.append(text)
    length = places[-1] - places[0]
    kept = [0]
    for k in range(1, len(places)):
        letters = len(names[k]) + len(names[kept[-1]])
        if places[k] - places[kept[-1]] > (0.012 + 0.014 * letters) * length:
            kept.append(k)
    return [places[k] for k in kept], [names[k] for k in kept]


def _hot_run(drawn: Any, place: Any, subject: Subject, units: Units) -> None:
    """Draw temperature and total energy against time."""
    d = subject.dynamics
    title = f"{subject.title}: hot run"
    if d is None or not len(d.time_k):
        axes = drawn.add_subplot(place)
        axes.set_title(title)
        _empty(axes, "not computed" if d is None else f"it did not survive the heating: {d.blown_up}")
        return
    inner = place.subgridspec(2, 1, hspace=0.06)
    upper = drawn.add_subplot(inner[0])
    lower = drawn.add_subplot(inner[1], sharex=upper)
    upper.set_title(title)
    upper.plot(d.time_k, d.kinetic_k * units.per_temperature, color=VERMILION, lw=1.0)
    wanted = d.wanted * units.per_temperature
    upper.axhline(wanted, color=GREY, lw=0.8, ls=_DASHES[1])
    upper.set_ylabel(f"temperature\n({units.temperature})")
    upper.set_ylim(0.0, 1.15 * max(float(d.kinetic_k.max()) * units.per_temperature, wanted))
    upper.text(0.98, 0.06, f"heated to {wanted:,.0f} K" if units.temperature == "K" else f"heated to {wanted:.3g} kT",
               transform=upper.transAxes, ha="right", fontsize=8, color=GREY)  # fmt: skip
    upper.tick_params(labelbottom=False)
    change = 1e6 * (d.energy_k - d.energy_k.mean())
    lower.plot(d.time_k, change, color=BLUE, lw=1.0)
    reach = max(1.8 * float(np.abs(change).max()), 10.0 * d.wanted)
    lower.set(ylim=(-reach, reach), xlabel=f"time at constant energy ({units.time})")
    lower.set_ylabel(f"energy change\n(µ{units.energy}/atom)")
    text = d.blown_up or f"drift {1e6 * d.drift:+.2g} µ{units.energy}/atom/ps".replace("-", "−")
    lower.text(0.98, 0.06, text, transform=lower.transAxes, ha="right", fontsize=8,
               color=VERMILION if d.blown_up else GREY)  # fmt: skip
    drawn.align_ylabels([upper, lower])
