"""A figure of errors: predicted against reference, errors against distance, and whether error bars tell the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa

from lodewell.crystals.batch import Floats
from lodewell.report.style import BLUE, COLOURS, GREY, INK, ORANGE, PALE, VERMILION, figure, save

if TYPE_CHECKING:
    from lodewell.judge.test.errors import Errors
    from lodewell.judge.test.tally import Calibration, Error

_MANY = 3_000  # points from which on density is drawn, not points
_KINDS = 6  # config types that get a colour of their own
_NAMES = {"energy": "Energy", "force": "Forces", "stress": "Stress"}
_PAPER = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
_LEGEND: dict[str, Any] = {"facecolor": "white", "framealpha": 0.85, "edgecolor": "none"}
_BAR_COLOURS = {"energy": BLUE, "force": VERMILION, "stress": ORANGE}


def draw_errors(errors: Errors, path: str | Path) -> Path:
    """Draw all that the sample of single errors shows, and return the file.

    Above: parity of energies, force components and stress components, the errors themselves under each. Below: force
    errors and energy errors against the nearest distance; and the calibration of the error bars where there are any,
    else how the errors are distributed.
    """
    with figure(11.4, 8.6) as drawn:
        grid = drawn.add_gridspec(2, 3, height_ratios=(1.35, 1.0))
        for column, kind in enumerate(_NAMES):
            _parity(drawn, grid[0, column], errors, kind)
        _force_by_distance(drawn.add_subplot(grid[1, 0]), errors)
        _energy_by_distance(drawn.add_subplot(grid[1, 1]), errors)
        last = drawn.add_subplot(grid[1, 2])
        if errors.calibration:
            _calibration(last, errors.calibration)
        else:
            _distribution(last, errors)
        whole = errors.overall
        drawn.suptitle(f"{errors.name}: {whole.frames:,} frames, {whole.atoms:,} atoms", x=0.01, ha="left", fontsize=11)
        _legend(drawn, errors)
        return save(drawn, path)


def _columns(errors: Errors, kind: str) -> tuple[Floats, Floats, Floats, str, Error]:
    """Return reference and predicted values (flat), the kind of each, their unit, and the overall error."""
    rows = getattr(errors.points, kind)
    width = {"energy": 1, "force": 3, "stress": 6}[kind]
    scale = {"energy": 1.0, "force": 1.0, "stress": 1.0 / GPa}[kind]
    unit = {"energy": "eV/atom", "force": "eV/Å", "stress": "GPa"}[kind]
    kinds = np.repeat(rows[:, -1], width)
    return (
        scale * rows[:, :width].ravel(), scale * rows[:, width : 2 * width].ravel(), kinds, unit,
        getattr(errors, kind),
    )  # fmt: skip


def _parity(drawn: Any, place: Any, errors: Errors, kind: str) -> None:
    reference, predicted, kinds, unit, error = _columns(errors, kind)
    inner = place.subgridspec(2, 1, height_ratios=(3.0, 1.0), hspace=0.04)
    upper = drawn.add_subplot(inner[0])
    lower = drawn.add_subplot(inner[1], sharex=upper)
    upper.set_title(_NAMES[kind])
    if not len(reference):
        upper.text(0.5, 0.5, f"the data have no {kind}", transform=upper.transAxes, ha="center", color=GREY)
        for axes in (upper, lower):
            axes.set(xticks=[], yticks=[])
        return
    shift = float(error.shift or 0.0) if kind == "energy" else 0.0
    shifted = abs(shift) > 3.0 * float(error.rmse_shifted or 0.0)  # another zero of energy: no use in drawing it
    offset = shift if shifted else 0.0
    low, high = (float(f([f(reference), f(predicted - offset)])) for f in (np.min, np.max))
    margin = 0.04 * (high - low) + 1e-9
    upper.plot([low - margin, high + margin], [low - margin, high + margin], color=GREY, lw=0.8, zorder=1)
    _cloud(upper, errors, reference, predicted - offset, kinds)
    upper.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    upper.set_ylabel(f"predicted{' − shift' if shifted else ''} ({unit})")
    upper.tick_params(labelbottom=False)
    upper.text(0.04, 0.96, _numbers(kind, error, shifted), transform=upper.transAxes, va="top", fontsize=8, color=INK,
               linespacing=1.35, bbox=_PAPER, zorder=5)  # fmt: skip
    milli = 1e3 if kind == "energy" else 1.0
    difference = milli * (predicted - offset - reference)
    lower.axhline(0.0, color=GREY, lw=0.8, zorder=1)
    _cloud(lower, errors, reference, difference, kinds, small=True)
    reach = 1.15 * float(np.quantile(np.abs(difference), 0.999)) + 1e-12
    lower.set(ylim=(-reach, reach))
    lower.set_xlabel(f"reference ({unit})")
    lower.set_ylabel(f"error ({'meV/atom' if kind == 'energy' else unit})")
    drawn.align_ylabels([upper, lower])


def _numbers(kind: str, error: Error, shifted: bool) -> str:
    scale, unit = {"energy": (1e3, "meV/atom"), "force": (1.0, "eV/Å"), "stress": (1.0 / GPa, "GPa")}[kind]
    lines = [f"MAE {_short(scale * (error.mae or 0.0))} {unit}", f"RMSE {_short(scale * (error.rmse or 0.0))} {unit}"]
    if shifted:
        lines += [f"shift {scale * (error.shift or 0.0):+,.1f} {unit}",
                  f"RMSE without it {_short(scale * (error.rmse_shifted or 0.0))} {unit}"]  # fmt: skip
    return "\n".join(lines).replace("-", "−")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100.0 else f"{value:.3g}"


def _shown(errors: Errors) -> list[str]:
    """Return the config types that get a colour, the commonest first; none if there is only one."""
    kinds = errors.points.kinds
    if len(kinds) < 2:
        return []
    return sorted(kinds, key=lambda k: -errors.by_config_type[k or "(none)"].frames)[:_KINDS]


def _cloud(axes: Any, errors: Errors, x: Floats, y: Floats, kinds: Floats, small: bool = False) -> None:
    """Draw points in the colours of their config types, rare types on top; densely packed ones fade."""
    shown = _shown(errors)
    many = len(x) > _MANY
    size, alpha = (2.5, 0.35) if many else ((7.0, 0.8) if small else (14.0, 0.85))
    colours = {errors.points.kinds.index(name): COLOURS[k] for k, name in enumerate(shown)}
    present, counts = np.unique(kinds, return_counts=True)
    for kind in present[np.argsort(-counts, kind="stable")]:
        mine = kinds == kind
        colour = colours.get(int(kind), GREY if shown else BLUE)
        axes.scatter(x[mine], y[mine], s=size, color=colour, alpha=alpha, linewidths=0, zorder=2, rasterized=many)


def _legend(drawn: Any, errors: Errors) -> None:
    from matplotlib.lines import Line2D

    shown = _shown(errors)
    if not shown:
        return
    marks = [Line2D([], [], ls="", marker="o", ms=5, color=COLOURS[k], label=name or "no config_type")
             for k, name in enumerate(shown)]  # fmt: skip
    if len(errors.points.kinds) > len(shown):
        marks.append(Line2D([], [], ls="", marker="o", ms=5, color=GREY, label="others"))
    drawn.legend(handles=marks, loc="outside lower center", ncols=len(marks), handletextpad=0.2, columnspacing=1.6)


def _force_by_distance(axes: Any, errors: Errors) -> None:
    """Draw the length of the force error on each atom against its nearest neighbour's distance."""
    axes.set(title="Force error by distance", xlabel="nearest neighbour (Å)", ylabel="|ΔF| (eV/Å)")
    rows = errors.points.force
    near, length = rows[:, 9], np.linalg.norm(rows[:, 3:6] - rows[:, 0:3], axis=1)
    # Forces that symmetry makes vanish on both sides agree to rounding, and say nothing.
    seen = np.isfinite(near) & ((np.abs(rows[:, :6]) > 1e-6).any(axis=1))
    near, length, kinds = near[seen], length[seen], rows[seen, 10]
    if not len(near):
        axes.text(0.5, 0.5, "the data have no forces", transform=axes.transAxes, ha="center", color=GREY)
        return
    low, high = np.quantile(near, (0.0005, 0.9995))
    _cloud(axes, errors, near, length, kinds, small=True)
    edges = np.linspace(low, high + 1e-9, 1 + int(np.clip(len(near) // 60, 4, 24)))
    which = np.digitize(near, edges) - 1
    middles, centre, worst = [], [], []
    for k in range(len(edges) - 1):
        here = length[which == k]
        if len(here) >= 10:
            middles.append(0.5 * (edges[k] + edges[k + 1]))
            centre.append(np.median(here))
            worst.append(np.quantile(here, 0.95))
    axes.plot(middles, centre, color=INK, lw=1.6, zorder=4, label="median")
    axes.plot(middles, worst, color=INK, lw=1.0, ls=(0, (4, 2)), zorder=4, label="19 of 20 are below")
    top = float(length.max())
    bottom = max(0.6 * float(np.quantile(length, 0.02)), 1e-4 * top)
    axes.set(yscale="log", ylim=(bottom, top * (top / bottom) ** 0.2), xlim=(low - 0.02, high + 0.02))
    _plain_log(axes.yaxis)
    axes.legend(loc="upper right", ncols=2, handlelength=1.8)


def _energy_by_distance(axes: Any, errors: Errors) -> None:
    """Draw the energy error of each frame against its shortest distance."""
    axes.set(title="Energy error by distance", xlabel="shortest distance in the frame (Å)")
    rows = errors.points.energy
    axes.set_ylabel("energy error (meV/atom)")
    if not len(rows):
        axes.text(0.5, 0.5, "the data have no energies", transform=axes.transAxes, ha="center", color=GREY)
        return
    shift = float(errors.energy.shift or 0.0)
    shifted = abs(shift) > 3.0 * float(errors.energy.rmse_shifted or 0.0)
    error = 1e3 * (rows[:, 1] - rows[:, 0] - (shift if shifted else 0.0))
    axes.axhline(0.0, color=GREY, lw=0.8, zorder=1)
    seen = np.isfinite(rows[:, 3])
    sigma = 1e3 * rows[:, 2]
    if np.isfinite(sigma).any():
        axes.errorbar(rows[seen, 3], error[seen], yerr=sigma[seen], fmt="none", ecolor=PALE, elinewidth=1.0, zorder=1)
        axes.set_title("bars: ± σ", loc="right", fontsize=8, fontweight="normal", color=GREY)
    _cloud(axes, errors, rows[seen, 3], error[seen], rows[seen, 4])
    if shifted:
        axes.set_ylabel("energy error − shift (meV/atom)")


def _calibration(axes: Any, bars: dict[str, Calibration]) -> None:
    """Draw which share of the errors lies inside the interval that should hold a given share."""
    axes.plot([0, 100], [0, 100], color=GREY, lw=0.8)
    axes.fill_between([0, 100], [0, 100], 100, color=PALE, alpha=0.25, lw=0)
    for kind, c in bars.items():
        axes.plot(100 * c.expected_q, 100 * c.observed_q, color=_BAR_COLOURS[kind],
                  label=f"{kind}: error/σ has rms {c.z_rms:.2f}")  # fmt: skip
    axes.text(4, 96, "bars too long", color=GREY, fontsize=8, va="top")
    axes.text(96, 42, "bars too short", color=GREY, fontsize=8, ha="right")
    axes.set(title="Error bars", xlabel="predicted: inside the interval (%)", ylabel="observed (%)", xlim=(0, 100),
             ylim=(0, 100))  # fmt: skip
    axes.legend(loc="lower right", handlelength=1.4, borderaxespad=0.2, frameon=True, **_LEGEND)


def _distribution(axes: Any, errors: Errors) -> None:
    """Draw the share of force components whose error exceeds a given size."""
    axes.set(title="Distribution of force errors", xlabel="size of the error (eV/Å)", ylabel="components above it (%)")
    reference, predicted, kinds, _, _ = _columns(errors, "force")
    if not len(reference):
        axes.text(0.5, 0.5, "the data have no forces", transform=axes.transAxes, ha="center", color=GREY)
        return
    size = np.abs(predicted - reference)
    for k, name in enumerate(_shown(errors)):
        mine = np.sort(size[kinds == errors.points.kinds.index(name)])
        if len(mine):
            axes.plot(mine, 100.0 * (1.0 - np.arange(len(mine)) / len(mine)), color=COLOURS[k], lw=1.2)
    whole = np.sort(size)
    axes.plot(whole, 100.0 * (1.0 - np.arange(len(whole)) / len(whole)), color=INK, label="all")
    axes.set(xscale="log", yscale="log", xlim=(max(float(np.quantile(whole, 0.05)), 1e-4 * whole[-1]), 1.3 * whole[-1]),
             ylim=(100.0 / max(len(whole), 10), 130.0))  # fmt: skip
    _plain_log(axes.xaxis)
    _plain_log(axes.yaxis)
    axes.legend(loc="lower left", handlelength=1.4)


def _plain_log(axis: Any) -> None:
    """Write 0.01, 0.1, 1 in place of powers of ten."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
