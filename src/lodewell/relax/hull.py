"""The convex hull of energies over compositions: what the crystals at hand could separate into.

The hull at a composition is the lowest energy of any mixture of the given crystals that has it, a linear programme: the
weights of the mixture are the unknowns. Its dual are chemical potentials. Only crystals whose elements all occur in the
composition can take part, so each programme is small. Unlike a geometric hull it needs neither the pure elements among
the crystals nor compositions that span a simplex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from lodewell.crystals.batch import Flags, Floats, Ints

ON_HULL = 1e-6  # eV/atom within which a crystal counts as stable: the accuracy of the linear programme
_COLUMNS = 2000  # unknowns of the linear programmes that are solved at once
_GROUP = 300  # formulas of a round


@dataclass(frozen=True)
class Hull:
    """Crystals C, the reduced formulas F that they have, and the convex hull of the lowest crystal of each.

    | field | shape | meaning |
    |---|---|---|
    | `elements` | (E,) | symbols, in alphabetical order |
    | `formulas` | (F,) | such as "LiFePO4" |
    | `share_fe` | (F, E) | atomic fractions |
    | `energy_f` | (F,) | eV/atom, of the lowest crystal |
    | `hull_f` | (F,) | eV/atom, of the best mixture of all crystals that has this composition |
    | `formula_c` | (C,) | the formula of each crystal |
    | `above_c` | (C,) | how far each crystal lies above the hull, eV/atom |
    """

    elements: tuple[str, ...]
    formulas: tuple[str, ...]
    share_fe: Floats
    energy_f: Floats
    hull_f: Floats
    formula_c: Ints
    above_c: Floats

    @property
    def stable_f(self) -> Flags:
        """Which formulas separate into no mixture of others, shape (F,)."""
        return np.asarray(self.energy_f - self.hull_f < ON_HULL)

    def tie_lines(self) -> Ints:
        """Return the pairs of stable formulas whose mixtures lie on the hull, shape (L, 2)."""
        stable = np.flatnonzero(self.stable_f)
        pairs = np.array(list(combinations(stable.tolist(), 2)), dtype=np.int64).reshape(-1, 2)
        middle_le, mean_l = self.share_fe[pairs].mean(axis=1), self.energy_f[pairs].mean(axis=1)
        lowest_l = best_mixtures(middle_le, self.share_fe[stable], self.energy_f[stable])
        return np.asarray(pairs[mean_l - lowest_l < ON_HULL])


def candidates_hull(formulas: Sequence[str], energies: Sequence[float]) -> Hull:
    """Put crystals on the hull that they make among themselves.

    Args:
        formulas: of each crystal, such as "Li3PO4", reduced or not.
        energies: eV/atom.
    """
    from ase.formula import Formula

    counts = [Formula(formula).reduce()[0].count() for formula in formulas]
    elements = tuple(sorted({symbol for count in counts for symbol in count}))
    amounts_ce = np.array([[count.get(e, 0) for e in elements] for count in counts], dtype=float)
    energy_c = np.asarray(energies, dtype=float)
    amount_fe, formula_c = np.unique(amounts_ce.reshape(len(counts), -1), axis=0, return_inverse=True)
    formula_c = formula_c.ravel()
    lowest_f = np.full(len(amount_fe), np.inf)
    np.minimum.at(lowest_f, formula_c, energy_c)
    share_fe = amount_fe / amount_fe.sum(axis=1, keepdims=True)
    low = _low(share_fe, lowest_f)
    hull_f = np.minimum(best_mixtures(share_fe, share_fe[low], lowest_f[low]), lowest_f)
    names = tuple(_formula(dict(zip(elements, row, strict=True))) for row in amount_fe.astype(int).tolist())
    return Hull(elements, names, share_fe, lowest_f, hull_f, formula_c, np.maximum(energy_c - hull_f[formula_c], 0.0))


def _formula(amounts: dict[str, int]) -> str:
    from ase.formula import Formula

    return str(Formula.from_dict({e: n for e, n in amounts.items() if n}).format("metal"))


def _low(share_fe: Floats, energy_f: Floats) -> Ints:
    """Return formulas among which are all that lie on the hull, by rounds in small groups: a few of many."""
    low = np.arange(len(energy_f))
    while len(low) > _GROUP:
        step = -(-len(low) // _GROUP)
        groups = [low[start::step] for start in range(step)]
        above = [energy_f[g] - best_mixtures(share_fe[g], share_fe[g], energy_f[g]) for g in groups]
        fewer = np.concatenate([g[a < ON_HULL] for g, a in zip(groups, above, strict=True)])
        if len(fewer) > 0.8 * len(low):
            break
        low = np.sort(fewer)
    return low


def best_mixtures(share_te: Floats, share_fe: Floats, energy_f: Floats) -> Floats:
    """Return the lowest energy of any mixture of formulas F that has each of the compositions T.

    Args:
        share_te: atomic fractions of the compositions, shape (T, E).
        share_fe: of the formulas, shape (F, E).
        energy_f: of the formulas, eV/atom.

    Returns:
        eV/atom, shape (T,). Every composition must be a mixture of the formulas.
    """
    parts = _subsets(share_te > 0.0, share_fe > 0.0)
    out_t = np.array([energy_f[part[0]] if len(part) == 1 else np.nan for part in parts])
    waiting: list[int] = []
    columns = 0
    for t in np.flatnonzero(np.isnan(out_t)):
        if waiting and columns + len(parts[t]) > _COLUMNS:
            out_t[waiting] = _solve([parts[k] for k in waiting], share_te[waiting], share_fe, energy_f)
            waiting, columns = [], 0
        waiting.append(int(t))
        columns += len(parts[t])
    if waiting:
        out_t[waiting] = _solve([parts[k] for k in waiting], share_te[waiting], share_fe, energy_f)
    return out_t


def _subsets(present_te: Flags, present_fe: Flags) -> list[Ints]:
    """Return, for each composition, the formulas that hold none but its elements."""
    bits_t, bits_f = np.packbits(present_te, axis=1), np.packbits(present_fe, axis=1)
    sets, set_t = np.unique(bits_t, axis=0, return_inverse=True)
    parts = [np.flatnonzero(~(bits_f & ~bits).any(axis=1)) for bits in sets]
    return [parts[k] for k in set_t.ravel()]


def _solve(parts: Sequence[Ints], share_te: Floats, share_fe: Floats, energy_f: Floats) -> Floats:
    """Solve the linear programmes of some compositions at once, as blocks of a sparse one."""
    from scipy.optimize import linprog
    from scipy.sparse import block_diag

    present = [share_e > 0.0 for share_e in share_te]
    blocks = [share_fe[np.ix_(part, e)].T for part, e in zip(parts, present, strict=True)]
    sums = np.concatenate([share_e[e] for share_e, e in zip(share_te, present, strict=True)])
    cost = np.concatenate([energy_f[part] for part in parts])
    found = linprog(cost, A_eq=block_diag(blocks, format="csc"), b_eq=sums, method="highs")
    if not found.success:
        raise ValueError(f"the convex hull cannot be found: {found.message}")
    starts = np.cumsum([0, *map(len, parts[:-1])])
    return np.asarray(np.add.reduceat(cost * found.x, starts))
