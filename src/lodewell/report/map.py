"""Figures of maps: crystals or atoms in the plane of kernel principal components, coloured by what is known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.report.labels import place_labels
from lodewell.report.style import COLOURS, GREY, INK, PALE, figure, save

if TYPE_CHECKING:
    from lodewell.judge.map.run import CrystalMap

KINDS = (*COLOURS, "#7A5195", "#8C6D1F", "#4B8F8C", "#B3446C")
_FEW = 40  # points that are labelled with their formulas
_MANY = 5000  # points from which on they are pixels in SVG and PDF
_LABELS = {
    "energy": "energy", "volume": "volume", "density": "density", "uncertainty": "standard deviation of atomic energy",
}  # fmt: skip


def draw_map(found: CrystalMap, path: str | Path) -> Path:
    """Draw a map and return the file."""
    rows = found.mapped
    xy = np.array([(row.x, row.y) for row in rows], dtype=float)
    values = [row.value for row in rows]
    numbers = [value for value in values if isinstance(value, float)]
    words = [value for value in values if isinstance(value, str)]
    with figure(8.4, 6.2) as drawn:
        axes = drawn.add_subplot()
        name_axes(axes, found.shares)
        axes.set_title(_title(found))
        if found.points is not None:
            scatter_points(axes, found.points)
        if len(numbers) >= len(words):
            array = np.array([value if isinstance(value, float) else np.nan for value in values])
            scatter_numbers(drawn, axes, xy, array, _label(found, array))
        else:
            scatter_kinds(axes, xy, [str(value) if value is not None else "unknown" for value in values])
        if len(rows) <= _FEW and found.by == "crystals":
            names = [row.formula or "" for row in rows]
            place_labels(axes, [(x, y) for x, y in xy.tolist()], names, [GREY] * len(rows), size=7.0)
        axes.set_title(_how(found), loc="right", fontsize=7.5, fontweight="normal", color=GREY)
        return save(drawn, path)


def _title(found: CrystalMap) -> str:
    count = len(found.mapped)
    one = found.by[:-1] if count == 1 else found.by
    formulas = {row.formula for row in found.mapped}
    of = f" of {formulas.pop()}" if len(formulas) == 1 else ""
    return f"{count:,} {one}{of}"


def _how(found: CrystalMap) -> str:
    s = found.soap
    alike = ", elements not told apart" if found.together else ""
    return f"SOAP to {s.cutoff:g} Å, σ {s.sigma:g} Å, n {s.n_max}, l {s.l_max}, ζ {s.zeta:g}{alike}"


def _label(found: CrystalMap, array: Floats) -> str:
    """Name the colour bar; energies of one composition count from the lowest."""
    if found.colour == "energy" and len({row.formula for row in found.mapped}) == 1:
        array -= np.nanmin(array)
        return f"energy above the lowest / {found.unit}"
    name = _LABELS.get(found.colour, found.colour)
    return f"{name} / {found.unit}" if found.unit else name


def name_axes(axes: Any, shares: Sequence[float]) -> None:
    """Label the axes with their shares of the variance."""
    for which, share, word in (("x", shares[0], "first"), ("y", shares[1], "second")):
        axes.set(**{f"{which}label": f"{word} principal component, {100 * share:.0f} % of the variance"})
    axes.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    axes.axvline(0.0, color=PALE, lw=0.8, zorder=0)


def size_of(count: int) -> float:
    """Return the area of a mark: smaller the more there are."""
    return float(np.clip(9000.0 / max(1, count), 3.0, 46.0))


def scatter_numbers(drawn: Any, axes: Any, xy: Floats, values: Floats, label: str) -> None:
    """Draw points coloured by numbers, dark and on top where they are low; those without a number in grey."""
    known = np.isfinite(values)
    look: dict[str, Any] = {"s": size_of(len(xy)), "linewidths": 0, "rasterized": len(xy) > _MANY}
    axes.scatter(*xy[~known].T, color=PALE, zorder=1, **look)
    low, high = (float(np.quantile(values[known], q)) for q in (0.01, 0.99))
    beyond = (values[known].min() < low - 0.25 * (high - low), values[known].max() > high + 0.25 * (high - low))
    low, high = low if beyond[0] else values[known].min(), high if beyond[1] else values[known].max()
    order = np.argsort(-values[known], kind="stable")
    shade = axes.scatter(*xy[known][order].T, c=values[known][order], cmap=shades(), vmin=low, vmax=high, zorder=2,
                         alpha=0.9, **look)  # fmt: skip
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[beyond]
    bar = drawn.colorbar(shade, ax=axes, pad=0.02, fraction=0.046, extend=extend)
    bar.outline.set_visible(False)
    bar.solids.set_alpha(1.0)
    bar.set_label(label)


def shades() -> Any:
    """Return colours from dark blue to yellow, without the yellow that white swallows."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0.0, 0.94, 256)))


def scatter_kinds(axes: Any, xy: Floats, kinds: Sequence[str]) -> None:
    """Draw points coloured by words, the commonest first and below; what is beyond the colours is grey."""
    count = Counter(kinds)
    told = [kind for kind, _ in count.most_common() if kind != "unknown"]
    shown = told if len(told) <= len(KINDS) else told[: len(KINDS) - 1]
    rest = np.array([kind not in shown for kind in kinds])
    look: dict[str, Any] = {"s": size_of(len(xy)), "linewidths": 0, "rasterized": len(xy) > _MANY}
    for k, kind in enumerate(shown):
        mine = np.array([other == kind for other in kinds])
        axes.scatter(*xy[mine].T, color=KINDS[k], alpha=0.85, zorder=2 + k, label=f"{kind} ({count[kind]:,})", **look)
    if rest.any():
        several = len({kind for kind, r in zip(kinds, rest, strict=True) if r})
        label = f"{several:,} others ({rest.sum():,})" if several > 1 else f"unknown ({rest.sum():,})"
        axes.scatter(*xy[rest].T, color=PALE, zorder=1, label=label, **look)
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handletextpad=0.2)
    for handle in legend.legend_handles:
        handle.set_sizes([28.0])
        handle.set_alpha(1.0)


def scatter_points(axes: Any, xy: Floats) -> None:
    """Draw sparse points as rings on top of everything."""
    axes.scatter(*xy.T, s=1.6 * size_of(4 * len(xy)), facecolors="none", edgecolors=INK, linewidths=0.6, zorder=30,
                 label=f"sparse points ({len(xy):,})")  # fmt: skip
    axes.legend(loc="best")
