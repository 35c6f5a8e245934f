"""Figures of ultra-fast potentials: curves over the distances of the data, three-body functions as slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lodewell.errors import BadOption
from lodewell.fit.distances import WIDTH
from lodewell.potentials.uf.splines import Pair, Triple
from lodewell.potentials.uf.splines import name as key_name
from lodewell.potentials.uf.uf import UF
from lodewell.report.style import GREY, PALE, VERMILION, figure, save
from lodewell.report.three_body import UNSEEN, ThreeBody, draw_angles, draw_map
from lodewell.report.two_body import TwoBody, draw_pair
from lodewell.report.uf_embedding import embedding_panels
from lodewell.report.uf_facts import coverage, describe

__all__ = ["describe", "show"]

Panel = Callable[[Any, Any], None]  # draws into a place of a figure
_FOOT = 0.2  # inches of the legend
_MOST_TRIPLES = 40  # drawn when none is named


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
    drawn = [three_body(potential, triple) for triple in triples]
    slices: list[Panel] = [partial(draw, triple=t) for t in drawn for draw in (draw_angles, draw_map)]
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
        handles.append(Patch(color=UNSEEN, lw=0, label="no data"))
    if handles:
        drawn.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=1.6, columnspacing=2.0)


def _pair(drawn: Any, place: Any, potential: UF, pair: Pair) -> None:
    """Draw a curve and, below it, how often the data hold each distance."""
    spline = potential.pairs[pair]
    axis, title = spline.axis, key_name(pair).replace("-", "–")
    draw_pair(drawn, place, TwoBody(title, spline, axis.low, axis.high, axis.edge_i, coverage(potential, pair)))


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


def three_body(potential: UF, triple: Triple) -> ThreeBody:
    """Return what is drawn of a triple."""
    i, j, k = triple
    v = potential.triples[triple]
    return ThreeBody(
        f"{chemical_symbols[j]}–{chemical_symbols[i]}–{chemical_symbols[k]}",
        v,
        max(v.axes[0].low, v.axes[1].low),
        (v.axes[0].high, v.axes[1].high),
        (_shell(potential, i, j), _shell(potential, i, k)),
        (coverage(potential, (i, j)), coverage(potential, (i, k)), coverage(potential, (j, k))),
    )
