"""Reference energies: what a lone atom of each element has, so that the fit deals with binding alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Flags
from lodewell.crystals.labels.survey import Survey
from lodewell.errors import BadOption, did_you_mean

_LEAST_TO_TELL = 10  # frames beyond the number of elements
Source = Literal["given", "lone atoms", "fitted", "earlier fit"]


@dataclass(frozen=True)
class References:
    """Energy of a lone atom in eV by atomic number, and where each is from."""

    energies: Mapping[int, float]
    sources: Mapping[int, Source]
    undetermined: bool = False

    @property
    def known(self) -> dict[int, float]:
        """Energies of lone atoms that were given or calculated, not fitted."""
        return {z: e for z, e in self.energies.items() if self.sources[z] not in ("fitted", "earlier fit")}

    def energy_of(self, numbers_n: object) -> float:
        """Return the sum over atoms, eV."""
        found, counts = np.unique(np.asarray(numbers_n), return_counts=True)
        return float(sum(self.energies[z] * n for z, n in zip(found.tolist(), counts.tolist(), strict=True)))

    def about(self) -> dict[str, dict[str, float | str]]:
        """Return energies and sources by element, JSON-like."""
        return {chemical_symbols[z]: {"energy_eV": e, "source": self.sources[z]} for z, e in self.energies.items()}

    @classmethod
    def of_about(cls, about: Mapping[str, Any]) -> References:
        """Return what `about` told of."""
        found = {atomic_numbers[symbol]: entry for symbol, entry in about.items()}
        return cls({z: float(e["energy_eV"]) for z, e in found.items()}, {z: e["source"] for z, e in found.items()})

    def notes(self) -> list[str]:
        """Say what a user should know of them."""
        fitted = [chemical_symbols[z] for z, source in self.sources.items() if source == "fitted"]
        if not fitted:
            return []
        elements = ", ".join(fitted)
        out = [
            f"the reference energies of {elements} are fitted, so energies of dissociation mean nothing;"
            " give them with --reference-energies, or add lone atoms to the training data"
        ]
        if self.undetermined:
            out.append(
                f"compositions vary too little to tell the reference energies of {elements} apart: only their sum for"
                " these compositions is known, and energies of other compositions mean nothing"
            )
        return out


def reference_energies(survey: Survey, given: Mapping[str, float] | None = None) -> References:
    """Settle the reference energy of every element of the data: as given, else of lone atoms there, else fitted.

    Fitted ones are the least-squares solution of E/N = Σ x_z E_z over all frames, x_z the share of element z; where
    compositions do not determine them all, the one in which elements differ least.

    Raises `BadOption` for a name that is no element.
    """
    columns = survey.columns
    energies, sources = dict[int, float](), dict[int, Source]()
    for symbol, value in (given or {}).items():
        z = atomic_numbers.get(symbol.strip().capitalize())
        if not z:
            known = [chemical_symbols[k] for k in survey.elements]
            raise BadOption(f"--reference-energies {symbol}={value}: no such element{did_you_mean(symbol, known)}")
        energies[z], sources[z] = float(value), "given"
    has = np.isfinite(columns.energy_f)
    lone = columns.lone_f.astype(bool) & has
    for z in survey.elements:
        of_z = [k for k, composition in enumerate(columns.compositions) if composition == ((z, 1),)]
        alone = lone & np.isin(columns.formula_f, of_z)
        if z not in energies and alone.any():
            # Several calculations of one atom (spins, boxes): the ground state is the lowest.
            energies[z], sources[z] = float(columns.energy_f[alone].min()), "lone atoms"
    wanted = [z for z in survey.elements if z not in energies]
    undetermined = False
    if wanted:
        found, undetermined = _fitted(survey, energies, wanted, has & ~lone)
        energies |= found
        sources |= dict.fromkeys(wanted, "fitted")
    order = sorted(survey.elements)
    return References({z: energies[z] for z in order}, {z: sources[z] for z in order}, undetermined)


def binding_energies(survey: Survey, references: References) -> dict[int, float]:
    """Return what compositions alone tell of the binding energy per atom (eV) of elements whose lone atom is known.

    The least-squares solution over all atoms of frames that are no lone atoms; empty without such frames.
    """
    columns = survey.columns
    frames = np.isfinite(columns.energy_f) & ~columns.lone_f.astype(bool)
    wanted = list(references.known)
    return _fitted(survey, references.energies, wanted, frames, by_atoms=True)[0] if frames.any() and wanted else {}


@dataclass(frozen=True)
class Spread:
    """Root mean square of what compositions alone leave of energies: a potential must leave less to be worth anything.

    Attributes:
        per_atom: of energies an atom, eV.
        per_root: of energies of a frame over the root of its number of atoms, eV.
    """

    per_atom: float
    per_root: float


def composition_spread(survey: Survey) -> Spread:
    """Return what a sum of energies of the elements, by least squares, leaves of the energies of frames.

    Lone atoms do not count. Infinite where there are too few frames to tell.
    """
    columns = survey.columns
    frames = np.isfinite(columns.energy_f) & ~columns.lone_f.astype(bool)
    formulas = columns.formula_f[frames]
    if len(formulas) < len(survey.elements) + _LEAST_TO_TELL:
        return Spread(np.inf, np.inf)
    energies, _ = _fitted(survey, {}, list(survey.elements), frames, by_atoms=True)
    atoms_c = np.array([sum(n for _, n in composition) for composition in columns.compositions], dtype=float)
    mean_c = np.array([sum(n * energies[z] for z, n in composition) for composition in columns.compositions]) / atoms_c
    left_f = columns.energy_f[frames] - mean_c[formulas]
    return Spread(float(np.sqrt(np.mean(left_f**2))), float(np.sqrt(np.mean(left_f**2 * atoms_c[formulas]))))


def _fitted(
    survey: Survey, known: Mapping[int, float], wanted: list[int], frames: Flags, by_atoms: bool = False
) -> tuple[dict[int, float], bool]:
    """Solve for the elements wanted, every frame or every atom counting alike, on top of what is known.

    Also tell whether the compositions leave something open.
    """
    columns = survey.columns
    number = np.bincount(columns.formula_f[frames], minlength=len(columns.compositions)).astype(float)
    total = np.bincount(columns.formula_f[frames], columns.energy_f[frames], minlength=len(columns.compositions))
    rows, right = [], []
    for composition, count, energy in zip(columns.compositions, number.tolist(), total.tolist(), strict=True):
        atoms = sum(n for _, n in composition)
        share = {z: n / atoms for z, n in composition}
        if count and not share.keys().isdisjoint(wanted):
            rest = energy / count - sum(x * known[z] for z, x in share.items() if z in known)
            root = math.sqrt(count * atoms if by_atoms else count)
            rows.append([root * share.get(z, 0.0) for z in wanted])
            right.append(root * rest)
    if not rows:
        return dict.fromkeys(wanted, 0.0), True
    a, b = np.array(rows), np.array(right)
    # Shifted by one common energy, the solution of least norm is the one whose elements differ least.
    mean = float(a.sum(axis=1) @ b / (a.sum(axis=1) @ a.sum(axis=1)))
    shift, _, rank, _ = np.linalg.lstsq(a, b - mean * a.sum(axis=1), rcond=1e-8)
    return dict(zip(wanted, (mean + shift).tolist(), strict=True)), int(rank) < len(wanted)
