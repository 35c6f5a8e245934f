"""Figures of ionic potentials: what each term adds to the energy of two atoms, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import covalent_radii

from lodewell.crystals.batch import Floats
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.ionic.ionic import LatticePotential
from lodewell.potentials.pairs.pair import pair_name, pair_species
from lodewell.potentials.sum import Sum
from lodewell.report.style import BLUE, COLOURS, PALE, figure, save

FEW = 6  # pairs drawn when none is named
REACH = 6.0  # Å


def is_ionic(potential: Potential) -> bool:
    """Tell whether a potential has a term without a cutoff."""
    return any(isinstance(term, LatticePotential) for _, term in _terms(potential))


def show(potential: Potential, name: str, wanted: Sequence[str], out: str | Path | None) -> Path:
    """Draw the energy of two atoms by distance, term by term; `wanted` names pairs such as Mg-O, none a few.

    Raises:
        BadOption: for a pair of unknown elements, or a term that is no sum over pairs.
    """
    known = sorted(potential.species or ())
    pairs = [p.replace("–", "-") for p in wanted] or [
        pair_name(a, b) for a, b in combinations_with_replacement(known, 2)
    ][:FEW]
    for pair in pairs:
        if why := potential.unsupported(np.array(pair_species(pair))):
            raise BadOption(why)
    columns = min(len(pairs), 3) if len(pairs) != 4 else 2
    size = (6.4, 4.8) if len(pairs) == 1 else (3.9 * columns, 3.4 * -(-len(pairs) // columns))
    with figure(*size) as drawn:
        for k, pair in enumerate(pairs, 1):
            _panel(drawn.add_subplot(-(-len(pairs) // columns), columns, k), potential, pair)
        drawn.suptitle(name, x=0.01, ha="left")
        return save(drawn, f"{name}-{'_'.join(pairs)}.png" if out is None else out)


def _panel(axes: Any, potential: Potential, pair: str) -> None:
    """Draw the terms that act between two elements, from well within their touching distance on."""
    first, second = pair_species(pair)
    touching = float(covalent_radii[first] + covalent_radii[second])
    r = np.linspace(0.6 * touching, max(REACH, potential.cutoff), 1000)
    curves = []
    for k, (factor, term) in enumerate(_terms(potential)):
        u = factor * _energy(term, first, second, r)
        if u.any():
            kind = type(term).__name__
            curves.append((kind if factor == 1.0 else f"{factor:g} * {kind}", COLOURS[1 + k % (len(COLOURS) - 1)], u))
    axes.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    for label, colour, u in curves:
        axes.plot(r, u, color=colour, lw=1.2, label=label)
    if len(curves) > 1:
        axes.plot(r, sum(u for *_, u in curves), color=BLUE, zorder=3, label="all terms")
    seen = np.array([u[r >= touching] for *_, u in curves] or [np.zeros(1)])
    low, high = min(seen.min(), 0.0), max(seen.max(), 0.0)
    margin = 0.1 * (high - low) or 1.0
    axes.set(title=pair.replace("-", "–"), xlabel="r / Å", ylabel="U / eV" if potential.calibrated else "U  (kT = 1)",
             xlim=(r[0], r[-1]), ylim=(low - margin, high + margin))  # fmt: skip
    if curves:
        axes.legend(handlelength=1.4, labelspacing=0.25)


def _energy(term: Potential, first: int, second: int, r: Floats) -> Floats:
    if isinstance(term, LatticePotential):
        return term.pair_energy(first, second, r)
    return term.pair_curve(first, second, r)[0]


def _terms(potential: Potential) -> list[tuple[float, Potential]]:
    return potential.terms if isinstance(potential, Sum) else [(1.0, potential)]
