"""Figures of the embedding of a UF potential: its densities' radial functions, and functions of pairs of densities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.potentials.uf.embedding import Density, Embedding
from lodewell.potentials.uf.uf import UF
from lodewell.report.style import COLOURS, INK, PALE
from lodewell.report.uf_facts import coverage

_ORDERS = ("n", "p₁", "p₂", "p₃")


def embedding_panels(potential: UF, z: int) -> list[Callable[[Any, Any], None]]:
    """Return what draws each panel of an element's embedding into a place of a figure."""
    embedding = potential.embeddings[z]
    panels: list[Callable[[Any, Any], None]] = [partial(_radial, potential=potential, z=z)]
    for (a, b), c in zip(embedding.pairs, embedding.coefficients or (), strict=True):
        two = embedding.densities[a], embedding.densities[b]
        panels.append(partial(_map, embedding=embedding, z=z, two=two, coefficients=c))
    return panels


def _radial(drawn: Any, place: Any, potential: UF, z: int) -> None:
    """Draw the radial functions over the distances of the data."""
    axes, embedding = drawn.add_subplot(place), potential.embeddings[z]
    shown: dict[bytes, Density] = {}
    for d in embedding.densities:
        shown.setdefault(d.radial.knots_k.tobytes() + bytes([d.neighbour]), d)
    r = np.linspace(0.0, embedding.cutoff, 600)
    several = len({d.neighbour for d in embedding.densities}) > 1
    for k, d in enumerate(shown.values()):
        f = d.radial.design(r)[:, 0]
        peak = f"{r[np.argmax(f)]:.2f} Å"
        label = f"{chemical_symbols[d.neighbour]} {peak}" if several else peak
        axes.plot(r, f, color=COLOURS[k % len(COLOURS)], lw=1.4, label=label, zorder=3)
    if not several and (known := coverage(potential, (z, embedding.densities[0].neighbour))) is not None:
        count = known.count_h[: known.used]
        edges = np.linspace(0.0, potential.cutoff, len(count) + 1)
        g = np.convolve(count / (edges[1:] - 0.5 * edges[1]) ** 2, np.hanning(9), mode="same")
        axes.stairs(0.66 * g / g.max(), edges, fill=True, color=PALE, zorder=0)
    axes.set(xlim=(0.0, embedding.cutoff), ylim=(0.0, 1.0), yticks=[0.0, 0.5], xlabel="r / Å", ylabel="f(r)")
    axes.set_title(f"{chemical_symbols[z]}: densities")
    axes.legend(loc="upper left", handlelength=1.0, labelspacing=0.2, borderaxespad=0.1, fontsize=7.5, ncols=2)


def _name(d: Density, embedding: Embedding) -> str:
    """Return such as "p₂ (O 2.40 Å)": the order, and where the radial function peaks."""
    peak = float(d.radial.knots_k[1:4].mean())
    several = len({other.neighbour for other in embedding.densities}) > 1
    return f"{_ORDERS[d.order]} (" + (f"{chemical_symbols[d.neighbour]} " if several else "") + f"{peak:.2f} Å)"


def _map(
    drawn: Any, place: Any, embedding: Embedding, z: int, two: tuple[Density, Density], coefficients: Floats
) -> None:
    """Draw U of two densities where the training data have them: between the first inner knots and the last ones."""
    from matplotlib.ticker import MaxNLocator

    axes = drawn.add_subplot(place)
    x, y = (np.linspace(d.values.edge_i[min(1, len(d.values.edge_i) - 2)], d.values.high, 90) for d in two)
    value = two[0].values.design(x) @ coefficients @ two[1].values.design(y).T
    most = max(float(np.quantile(np.abs(value), 0.99)), 1e-9)
    box = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    shade = axes.imshow(value.T, extent=box, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most,
                        interpolation="bilinear")  # fmt: skip
    axes.contour(x, y, value.T, most * np.array([-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75]), colors=INK,
                 linewidths=0.4, linestyles="solid", alpha=0.5)  # fmt: skip
    axes.set(xlabel=_name(two[0], embedding), ylabel=_name(two[1], embedding))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(f"{chemical_symbols[z]}: U / eV", fontsize=9.0)
    bar = drawn.colorbar(shade, ax=axes, pad=0.02, fraction=0.07)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)
