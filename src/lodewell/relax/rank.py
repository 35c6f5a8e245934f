"""Which of the relaxed crystals come first, and which are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, pairwise

from ase import Atoms
from ase.formula import Formula
from ase.units import GPa

from lodewell.relax.hull import Hull, candidates_hull
from lodewell.relax.result import Relaxation


@dataclass(frozen=True)
class DuplicateSearch:
    """How duplicates are found: `atoms_of` gives the relaxed crystal of a result.

    Only crystals of one reduced formula whose energies per atom lie within `same_energy` (eV) are compared.
    """

    atoms_of: Callable[[int], Atoms]
    same_energy: float = 0.002


def ranked(
    results: Sequence[Relaxation], pressure: float, search: DuplicateSearch | None, calibrated: bool
) -> list[Relaxation]:
    """Return the results with `index` and `rank`, and, where they can be told, `duplicate_of` and `above_hull`.

    Args:
        results: of all crystals, in input order.
        pressure: GPa.
        search: how equal crystals are found; None leaves them alone.
        calibrated: whether energies are true eV, so that those of different formulas can be set against each other.
    """
    order = _comparable(results, pressure)
    family_of = _families(results, order, pressure, search) if search is not None else {}
    leaders: dict[int, tuple[int, int]] = {}
    count: Counter[str] = Counter()
    out = [replace(result, index=k) for k, result in enumerate(results)]
    for k in order:
        family = family_of.get(k, k)
        if family in leaders:
            first, rank = leaders[family]
            out[k] = replace(out[k], rank=rank, duplicate_of=first)
        else:
            formula = reduced(results[k].formula or "")
            count[formula] += 1
            leaders[family] = (k, count[formula])
            out[k] = replace(out[k], rank=count[formula])
    if calibrated and order:
        for k, height in zip(order, hull_of(results, pressure).above_c.tolist(), strict=True):
            out[k] = replace(out[k], above_hull=height)
    return out


def hull_of(results: Sequence[Relaxation], pressure: float) -> Hull:
    """Return the convex hull of all comparable crystals, the lowest enthalpy first; pressure in GPa."""
    order = _comparable(results, pressure)
    formulas, heights = [results[k].formula or "" for k in order], [enthalpy(results[k], pressure) for k in order]
    return candidates_hull(formulas, heights)


def best_first(results: Sequence[Relaxation], pressure: float = 0.0) -> list[Relaxation]:
    """Return the crystals that ended sanely and equal no better one, the most promising first.

    Crystals of different formulas are compared by `percentile` where the potential knows crystals and there is no
    pressure (GPa), else by `above_hull`, else by energy; those of one formula by `rank`.
    """
    chosen = [r for r in results if r.sane and r.rank is not None and r.duplicate_of is None]
    by_percentile = not pressure and any(r.percentile is not None for r in chosen)

    def height(r: Relaxation) -> tuple[float, float, float]:
        share = r.percentile if by_percentile and r.percentile is not None else 0.0
        return share, r.above_hull or 0.0, enthalpy(r, pressure)

    return sorted(chosen, key=height)


def _comparable(results: Sequence[Relaxation], pressure: float) -> list[int]:
    """Return the places of crystals with an energy that means the same for all, the lowest enthalpy first."""
    chosen = (k for k, r in enumerate(results) if r.sane and r.energy_per_atom is not None and not r.charge)
    return sorted(chosen, key=lambda k: (enthalpy(results[k], pressure), k))


@lru_cache(maxsize=100_000)
def reduced(formula: str) -> str:
    """Return a formula divided by its greatest common divisor: "LiFePO4" of "Li4Fe4P4O16"."""
    return str(Formula(formula).reduce()[0].format("hill"))


def enthalpy(result: Relaxation, pressure: float) -> float:
    """Return energy plus pressure times volume, eV per atom; pressure in GPa."""
    return (result.energy_per_atom or 0.0) + pressure * float(GPa) * (result.volume_per_atom or 0.0)


def _families(
    results: Sequence[Relaxation], order: Sequence[int], pressure: float, by: DuplicateSearch
) -> dict[int, int]:
    """Return, for every crystal that might have an equal, the first of its family."""
    from lodewell.descriptors.duplicates import duplicate_labels

    height = {k: enthalpy(results[k], pressure) for k in order}
    family_of: dict[int, int] = {}
    grouped = sorted(order, key=lambda k: reduced(results[k].formula or ""))
    for _, group in groupby(grouped, key=lambda k: reduced(results[k].formula or "")):
        for run in _runs(list(group), height, by.same_energy):
            labels = duplicate_labels([by.atoms_of(k) for k in run])
            family_of |= {k: run[label] for k, label in zip(run, labels.tolist(), strict=True)}
    return family_of


def _runs(members: list[int], energy: Mapping[int, float], apart: float) -> list[list[int]]:
    """Cut members, sorted by energy, where neighbours lie further apart; leave out those that stand alone."""
    runs = [[members[0]]]
    for before, k in pairwise(members):
        if energy[k] - energy[before] > apart:
            runs.append([])
        runs[-1].append(k)
    return [run for run in runs if len(run) > 1]
