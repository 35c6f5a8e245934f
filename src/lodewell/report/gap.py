"""Figures of Gaussian approximation potentials: curves, slices, and maps of the sparse points and where they lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Batch, Floats
from lodewell.descriptors.environments import Angle, Distance, Soap, Triplet
from lodewell.errors import BadOption
from lodewell.fit.distances import WIDTH
from lodewell.judge.map.kernel_pca import KernelPCA
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.potentials.gap.squared_exponential import DistanceKernel
from lodewell.report.coverage import Coverage, covered
from lodewell.report.gap_facts import describe
from lodewell.report.map import KINDS, name_axes, scatter_kinds, shades, size_of
from lodewell.report.style import GREY, INK, PALE, VERMILION, figure, save
from lodewell.report.three_body import UNSEEN, ThreeBody, draw_angles, draw_map
from lodewell.report.two_body import TwoBody, draw_pair, window

__all__ = ["describe", "show"]

_ROOM = 3.85  # of the panels of a row, in units of a curve
_MOST = 24  # terms drawn when none is named
_LANDMARKS = 3000  # environments by which the axes of a map are laid
_WALL: dict[str, Any] = {"color": VERMILION, "lw": 1.1, "ls": (0, (4, 2)), "label": "with the baseline"}
_TWO: dict[str, Any] = {"color": GREY, "lw": 0.9, "label": "two atoms alone, all terms"}
Panel = Callable[[Any, Any], None]  # draws into a place of a figure
Row = list[tuple[float, Panel]]  # panels, and how wide they are


def show(potential: GAP, name: str, wanted: Sequence[str], out: str | Path | None) -> Path:
    """Draw the curve of each distance, slices of each triplet, and a map of the sparse points of each SOAP.

    `wanted` holds pairs such as "Si-O", triples, the central element first, such as "Si-O-O", and elements such as
    "Si", which stand for their SOAP; none draws all, up to 24 terms.

    Raises:
        BadOption: for a term that the potential lacks.
    """
    chosen = _chosen(potential, wanted)
    rows = _rows([(potential.terms[k].descriptor.kind, _cells(potential, k)) for k in chosen])
    if not rows:
        raise BadOption("this GAP has no terms, so there is nothing to draw")
    widest = max(sum(width for width, _ in row) for row in rows)
    with figure(3.7 * widest, 4.2 * len(rows) + 0.3) as drawn:
        drawn.suptitle(_heading(potential, name, len(chosen)), x=0.01, ha="left", fontsize=9.0, color=GREY)
        parts = drawn.subfigures(len(rows), 1, squeeze=False)[:, 0]
        for row, part in zip(rows, parts, strict=True):
            room = widest - sum(width for width, _ in row)
            widths = [width for width, _ in row] + ([room] if room > 0.05 else [])
            grid = part.add_gridspec(1, len(widths), width_ratios=widths)
            for k, (_, panel) in enumerate(row):
                panel(part, grid[k])
            if len(widths) > len(row):
                part.add_subplot(grid[len(row)]).set_axis_off()
        _explain(drawn, potential, [potential.terms[k] for k in chosen])
        return save(drawn, _default_name(name, wanted) if out is None else out)


def _default_name(name: str, wanted: Sequence[str]) -> Path:
    more = f"{wanted[0]}-and-{len(wanted) - 1}-more" if len(wanted) > 3 else "_".join(wanted)
    return Path(f"{name}-{more}.png" if wanted else f"{name}.png")


def _heading(potential: GAP, name: str, drawn: int) -> str:
    lone = ", ".join(
        f"{chemical_symbols[z]} {round(e, 3) + 0.0:.3f} eV" for z, e in sorted(potential.lone_energies.items())
    )
    text = f"{name}, energy of a lone atom: {lone}" if any(potential.lone_energies.values()) else name
    left = len(potential.terms) - drawn
    return text.replace("-", "−") + (f"; {left} of {len(potential.terms)} terms are not drawn" if left else "")


def _chosen(potential: GAP, wanted: Sequence[str]) -> list[int]:
    """Return which terms are drawn."""
    if not wanted:
        return list(range(len(potential.terms)))[:_MOST]
    chosen: list[int] = []
    for text in wanted:
        z = [atomic_numbers.get(word, 0) for word in text.replace("–", "-").split("-")]
        key = (z[0], *sorted(z[1:])) if len(z) == 3 else tuple(sorted(z))
        found = [k for k, term in enumerate(potential.terms) if _key(term) == key]
        if not found:
            known = ", ".join("-".join(chemical_symbols[z] for z in _key(term)) for term in potential.terms)
            raise BadOption(f"this potential has no term '{text}': it has {known}")
        chosen += found
    return chosen


def _key(term: Term) -> tuple[int, ...]:
    d = term.descriptor
    if isinstance(d, Distance | Triplet):
        return d.species
    return (d.centre, *d.others) if isinstance(d, Angle) else (d.centre,)


def _cells(potential: GAP, k: int) -> Row:
    """Return the panels of a term and how wide they are."""
    term = potential.terms[k]
    if isinstance(term.descriptor, Distance):
        return [(1.15, partial(_distance, potential=potential, term=term))]
    if isinstance(term.descriptor, Angle | Triplet):
        triple = three_body(potential, term)
        return [(0.9, partial(draw_angles, triple=triple)), (1.0, partial(draw_map, triple=triple))]
    return [(1.45, partial(_soap, potential=potential, k=k))]


def _rows(terms: Sequence[tuple[str, Row]]) -> list[Row]:
    """Fill rows with the panels of terms, in order: one row if they all fit, else each kind begins a row."""
    if sum(width for _, cells in terms for width, _ in cells) <= _ROOM:
        return [[cell for _, cells in terms for cell in cells]] if terms else []
    rows: list[Row] = []
    last = ""
    for kind, cells in terms:
        if kind != last or sum(width for width, _ in [*rows[-1], *cells]) > _ROOM:
            rows.append([])
        rows[-1] += cells
        last = kind
    return rows


# ------------------------------------------------------------------------------------------------- pairs and triplets


def coverage(potential: GAP, pair: tuple[int, int], cutoff: float) -> Coverage | None:
    """Return which distances of a pair the training data hold; None when there is no record."""
    return covered(potential.distances.get((min(pair), max(pair))), cutoff)


def _distance(drawn: Any, place: Any, potential: GAP, term: Term) -> None:
    """Draw a curve, with the baseline added, and what a dimer costs in all."""
    d, kernel = term.descriptor, term.kernel()
    assert isinstance(d, Distance)
    assert isinstance(kernel, DistanceKernel)

    def energy(r: Floats) -> Floats:
        return kernel.energy(term.weights_m, r)

    others: list[tuple[Callable[[Floats], Floats], dict[str, Any]]] = []
    if len(potential.terms) > 1:
        others.append((partial(dimer, potential, d.species), _TWO))
    known = coverage(potential, d.species, d.cutoff)
    low = 0.5 if known is None else min(0.5, known.shortest)
    wall = potential.baseline
    if wall is not None and _visible(partial(dimer, wall, d.species), energy, d.cutoff, known):
        others.append((lambda r: energy(r) + dimer(wall, d.species, r), _WALL))
    title = "–".join(chemical_symbols[z] for z in d.species)
    draw_pair(drawn, place, TwoBody(title, energy, low, d.cutoff, term.points_md[:, 0], known, others))


def _visible(
    wall: Callable[[Floats], Floats], energy: Callable[[Floats], Floats], cutoff: float, known: Coverage | None
) -> bool:
    """Return whether a baseline changes what is seen of a curve."""
    r = np.linspace(0.25, cutoff, 1500)
    u = energy(r)
    bottom, top, left = window(r, u, known)
    seen = (r > left) & (u < top)
    return bool((np.abs(wall(r[seen])) > 0.005 * (top - bottom)).any())


def dimer(potential: Potential, species: tuple[int, int], r: Floats) -> Floats:
    """Return the energy of two atoms at distances r (Å) less that of two lone atoms, eV."""
    pairs = [Atoms(species, [[0.0, 0.0, 0.0], [0.0, 0.0, x]]) for x in (*r, potential.cutoff + 1.0)]
    energies = [result.energy for result in potential.evaluate_batch(Batch.from_atoms(pairs))]
    return np.array(energies[:-1]) - energies[-1]


def three_body(potential: GAP, term: Term) -> ThreeBody:
    """Return what is drawn of triplets: the energy of a centre with two legs, or of three atoms."""
    d = term.descriptor
    assert isinstance(d, Angle | Triplet)
    i, j, k = (d.centre, *d.others) if isinstance(d, Angle) else d.species
    energy = _centred(term) if isinstance(d, Angle) else _trimer(term, (i, j, k))
    legs = [coverage(potential, (i, z), d.cutoff) for z in (j, k)]
    shells = [0.6 * d.cutoff if known is None else known.shell for known in legs]
    title = "–".join(chemical_symbols[z] for z in (j, i, k))
    ends, between = (d.cutoff, d.cutoff), coverage(potential, (j, k), 2.0 * d.cutoff)
    return ThreeBody(title, energy, 0.3 * d.cutoff, ends, (shells[0], shells[1]), (legs[0], legs[1], between))


def _centred(term: Term) -> Callable[[Floats, Floats, Floats], Floats]:
    """Return the energy of a centre with two legs, both orders of them, cutoffs included."""
    d, kernel = term.descriptor, term.kernel()

    def fade(r: Floats) -> Floats:
        return np.asarray(0.5 + 0.5 * np.cos(np.pi * np.clip((r - d.cutoff + d.width) / d.width, 0.0, 1.0)))

    def energy(r_ij: Floats, r_ik: Floats, r_jk: Floats) -> Floats:
        x = np.stack(np.broadcast_arrays(r_ij + r_ik, (r_ij - r_ik) ** 2, r_jk), axis=-1)
        sums = kernel.covariance(x.reshape(-1, 3), term.points_md) @ (term.weights_m * term.cutoff_m)
        return np.asarray(2.0 * fade(r_ij) * fade(r_ik) * sums.reshape(x.shape[:-1]))

    return energy


def _trimer(term: Term, species: tuple[int, int, int]) -> Callable[[Floats, Floats, Floats], Floats]:
    """Return the energy that a term gives three atoms, around whichever of them."""
    alone = GAP(dict.fromkeys(species, 0.0), [term])

    def energy(r_ij: Floats, r_ik: Floats, r_jk: Floats) -> Floats:
        a, b, c = np.broadcast_arrays(r_ij, r_ik, r_jk)
        x = (a**2 + b**2 - c**2) / (2.0 * a)
        y = np.sqrt(np.maximum(b**2 - x**2, 0.0))
        trimers = [
            Atoms(species, [[0.0, 0.0, 0.0], [p, 0.0, 0.0], [q, r, 0.0]])
            for p, q, r in zip(a.ravel(), x.ravel(), y.ravel(), strict=True)
        ]
        found = [result.energy for result in alone.evaluate_batch(Batch.from_atoms(trimers))]
        return np.array(found).reshape(a.shape)

    return energy


# ------------------------------------------------------------------------------------------------------ environments


def _soap(drawn: Any, place: Any, potential: GAP, k: int) -> None:
    """Draw a map of the sparse points, coloured by the energy they stand for, over the training data if known."""
    term, seen = potential.terms[k], potential.seen.get(k)
    soap = term.descriptor
    assert isinstance(soap, Soap)
    axes = drawn.add_subplot(place)
    laid_by = term.points_md if seen is None else seen.x_ed
    if len(laid_by) > _LANDMARKS:
        laid_by = laid_by[np.sort(np.random.default_rng(0).choice(len(laid_by), _LANDMARKS, replace=False))]
    pca = KernelPCA.of(laid_by, soap.zeta)
    points = pca.project(term.points_md)
    energy = term.kernel().covariance(term.points_md, term.points_md) @ term.weights_m
    if seen is not None:
        _draw_seen(axes, pca.project(seen.x_ed), seen.kinds)
    order = np.argsort(-energy, kind="stable")
    low, high = (float(np.quantile(energy, q)) for q in (0.02, 0.98))
    size = size_of(3 * len(points)) if seen is None else 1.3 * size_of(8 * len(points))
    edge = {"linewidths": 0.25, "edgecolors": INK} if seen is not None else {"linewidths": 0}
    shade = axes.scatter(*points[order].T, c=energy[order], s=size, cmap=shades(), vmin=low, vmax=max(high, low + 1e-9),
                         zorder=40, alpha=0.95, **edge)  # fmt: skip
    bar = drawn.colorbar(shade, ax=axes, pad=0.02, fraction=0.05, extend="both")
    bar.outline.set_visible(False)
    bar.solids.set_alpha(1.0)
    bar.set_label("energy of a sparse point / eV")
    name_axes(axes, (float(pca.shares_k[0]), float(pca.shares_k[1])))
    axes.set_title(f"Environments of {chemical_symbols[soap.centre]}")
    axes.set_title(f"{len(points):,} sparse points" + (f" among {len(seen.x_ed):,}" if seen else ""), loc="right",
                   fontsize=7.5, fontweight="normal", color=GREY)  # fmt: skip


def _draw_seen(axes: Any, xy: Floats, kinds: tuple[str, ...] | None) -> None:
    """Draw training environments small and below: by kind where there are a few, else grey."""
    if kinds is None or not 1 < len(set(kinds)) <= len(KINDS):
        axes.scatter(*xy.T, s=0.6 * size_of(len(xy)), color=PALE, linewidths=0, zorder=1)
        return
    scatter_kinds(axes, xy, kinds)
    for drawn in axes.collections:
        drawn.set_alpha(0.35)
    axes.get_legend().remove()
    axes.legend(loc="upper left", handletextpad=0.1, labelspacing=0.2, markerscale=2.5, borderaxespad=0.0)


def _explain(drawn: Any, potential: GAP, terms: Sequence[Term]) -> None:
    """Say once, below all panels, what is drawn."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    if any(isinstance(term.descriptor, Distance) for term in terms):
        handles.append(Line2D([], [], color=GREY, ls="", marker="|", ms=5, mew=0.8, label="sparse points"))
        drawn_lines = {line.get_label() for axes in drawn.get_axes() for line in axes.get_lines()}
        handles += [Line2D([], [], **look) for look in (_WALL, _TWO) if look["label"] in drawn_lines]
        if potential.distances:
            handles.append(Patch(color=PALE, lw=0, label=f"pairs in the training data, per {WIDTH:g} Å"))
            handles.append(Patch(color=VERMILION, alpha=0.1, lw=0, label="no data: baseline or guess"))
    if potential.distances and any(isinstance(term.descriptor, Angle | Triplet) for term in terms):
        handles.append(Patch(color=UNSEEN, lw=0, label="no data"))
    if handles:
        drawn.legend(handles=handles, loc="outside lower center", ncols=6, handlelength=1.8, columnspacing=1.8)
