"""Which of the relaxed crystals come first, and which are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from ase import Atoms
from ase.formula import Formula
from ase.units import GPa

from lodewell.relax.result import Relaxed


@dataclass(frozen=True)
class Comparison:
    """How duplicates are found: `atoms_of` gives the relaxed crystal of a result.

    Only crystals of one reduced formula whose energies per atom lie within `same_energy` (eV) are compared.
    """

    atoms_of: Callable[[int], Atoms]
    same_energy: float = 0.002


def ranked(results: Sequence[Relaxed], pressure: float, comparison: Comparison | None) -> list[Relaxed]:
    """Return the results with `rank` and, if they are to be compared, `duplicate_of`; pressure in GPa."""
    order = sorted(
        (k for k, r in enumerate(results) if r.sane and r.energy_per_atom is not None and not r.charge),
        key=lambda k: (enthalpy(results[k], pressure), k),
    )
    family_of = _families(results, order, pressure, comparison) if comparison is not None else {}
    leaders: dict[int, tuple[int, int]] = {}
    out = list(results)
    for k in order:
        family = family_of.get(k, k)
        if family in leaders:
            first, rank = leaders[family]
            out[k] = replace(results[k], rank=rank, duplicate_of=first)
        else:
            leaders[family] = (k, len(leaders) + 1)
            out[k] = replace(results[k], rank=len(leaders))
    return out


def enthalpy(result: Relaxed, pressure: float) -> float:
    """Return energy plus pressure times volume, eV per atom; pressure in GPa."""
    return (result.energy_per_atom or 0.0) + pressure * float(GPa) * (result.volume_per_atom or 0.0)


def _families(results: Sequence[Relaxed], order: Sequence[int], pressure: float, by: Comparison) -> dict[int, int]:
    """Return, for every crystal that might have an equal, the first of its family."""
    from lodewell.crystals.duplicates import duplicate_labels

    height = {k: enthalpy(results[k], pressure) for k in order}
    reduced = {f: Formula(f).reduce()[0].format("hill") for f in {results[k].formula or "" for k in order}}
    family_of: dict[int, int] = {}
    grouped = sorted(order, key=lambda k: reduced[results[k].formula or ""])
    for _, group in groupby(grouped, key=lambda k: reduced[results[k].formula or ""]):
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
