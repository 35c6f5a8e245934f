"""Spline MEAM: pairs, and an embedding of a density with angular terms; all five functions are cubic splines.

    E = Σ_{i<j} φ(r_ij) + Σ_i [U(n_i) - U(0)],   n_i = Σ_j ρ(r_ij) + Σ_{j<k} f(r_ij) f(r_ik) g(cos θ_jik)

Source: Lenosky et al., Modelling Simul. Mater. Sci. Eng. 8, 825 (2000); several elements after Zhang and Trinkle,
Comput. Mater. Sci. 124, 204 (2016): φ by pair, ρ and f by the neighbour's element, U by the centre's, g by the pair
of neighbours. Conventions are those of LAMMPS `pair_style meam/spline`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations_with_replacement
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.crystals.types import type_table
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential, Uncertainty
from lodewell.potentials.meam._sums import sum_atoms
from lodewell.potentials.meam.knowledge import Coverage, Ensemble, MEAMRecord, uncertainties
from lodewell.potentials.meam.splines import Pack, Spline, pack
from lodewell.potentials.pairs.pair import pair_name, pair_species

ROLES = ("phi", "rho", "u", "f", "g")


class MEAM(Potential):
    """A spline MEAM of any number of elements.

    Args:
        phi: pair potential in eV against Å, by pair such as "Ti-O".
        rho: density in any unit against Å, by element of the neighbour.
        u: embedding energy in eV against the density n, by element of the central atom.
        f: radial part of the angular density against Å, by element of the neighbour.
        g: angular part against the cosine, by pair of neighbours such as "Ti-O".
        reference: energy of a lone atom in eV, by element; zero if not given, as in LAMMPS.

    A fit adds `coverage`, what its data visited, and `ensemble`, from which uncertainties come.

    Raises:
        BadOption: when a function is missing or belongs to no element of the potential.
    """

    kind: ClassVar[str] = "meam"
    record: MEAMRecord

    def __init__(
        self,
        phi: Mapping[str, Spline],
        rho: Mapping[str, Spline],
        u: Mapping[str, Spline],
        f: Mapping[str, Spline],
        g: Mapping[str, Spline],
        reference: Mapping[str, float] | None = None,
        *,
        record: MEAMRecord | None = None,
    ) -> None:
        self.symbols = tuple(sorted(u, key=_number))
        self.reference = {s: float((reference or {}).get(s, 0.0)) for s in self.symbols}
        pairs = [f"{a}-{b}" for a, b in combinations_with_replacement(self.symbols, 2)]
        self.phi, self.g = _by_pair("φ", phi, pairs), _by_pair("g", g, pairs)
        self.rho, self.u, self.f = (
            _by_element(n, d, self.symbols) for n, d in (("ρ", rho), ("U", u), ("f", f))
        )  # fmt: skip
        radial = [*self.phi.values(), *self.rho.values(), *self.f.values()]
        self.cutoff = max(float(s.x_k[-1]) for s in radial)
        self.species = frozenset(_number(s) for s in self.symbols)
        self.record = record or MEAMRecord()

    @property
    def coverage(self) -> Coverage | None:
        """Where on each spline the training data lie."""
        return self.record.coverage

    @property
    def ensemble(self) -> Ensemble | None:
        """Rivals, whose spread tells the errors."""
        return self.record.ensemble

    @property
    def near(self) -> float:
        """Beyond this distance in Å an atom has no part in angular terms."""
        return min(self.cutoff, max(s.end for s in self.f.values()))

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum over all atoms in one compiled sweep."""
        return self.sweep(batch, neighbours)[:3]

    def densities(self, batch: Batch, neighbours: Neighbours | None = None) -> Floats:
        """Return the density n of every atom, shape (N,)."""
        return self.sweep(batch, self.neighbours(batch) if neighbours is None else neighbours)[3]

    def sweep(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats, Floats]:
        """Return what `compute` does, and the density n of every atom, in one compiled sweep."""
        n = neighbours
        out: tuple[Floats, Floats, Floats, Floats] = sum_atoms(
            self.cutoff, self.near, *self._tables, self._pack.numbers, self._pack.even,
            batch.positions_nc, batch.cell_bcc, batch.first_b, self._type_z[batch.species_n],
            n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
        )  # fmt: skip
        return out

    @property
    def uncertain(self) -> bool:
        """Whether `uncertainty` can be asked for."""
        return self.ensemble is not None

    def uncertainty(self, crystals: Atoms | Sequence[Atoms]) -> list[Uncertainty]:
        """Return standard deviations from the spread of rival fits, and how far each atom is from the data.

        Raises:
            BadOption: when the potential has no rivals: it was read from another code's file, or fitted alone.
        """
        if self.ensemble is None:
            raise BadOption("this potential does not know its errors: fit one with --members 2 or more")
        return uncertainties(self, [crystals] if isinstance(crystals, Atoms) else list(crystals), self.ensemble)

    @cached_property
    def splines(self) -> dict[tuple[str, str], Spline]:
        """Every spline by role and element or pair, in the order of files: φ, ρ, U, f, g."""
        return {(role, name): s for role in ROLES for name, s in getattr(self, role).items()}

    @cached_property
    def _pack(self) -> Pack:
        return pack(list(self.splines.values()))

    @cached_property
    def _type_z(self) -> Ints:
        return type_table(_number(s) for s in self.symbols)

    @cached_property
    def _tables(self) -> tuple[Any, ...]:
        """Reference energies, U(0), and which spline serves which types: φ (T, T), ρ, U, f (T,), g (T, T)."""
        place = dict(zip(self.splines, self._pack.first_s, strict=True))
        count = len(self.symbols)
        tables: list[Any] = [np.array([self.reference[s] for s in self.symbols])]
        tables.append(np.array([float(self.u[s](0.0)[0]) for s in self.symbols]))
        for role in ROLES:
            if role in ("phi", "g"):
                table = np.zeros((count, count), np.uint64)
                for i, a in enumerate(self.symbols):
                    for j, b in enumerate(self.symbols):
                        table[i, j] = place[role, f"{a}-{b}" if i <= j else f"{b}-{a}"]
            else:
                table = np.array([place[role, s] for s in self.symbols], dtype=np.uint64)
            tables.append(table)
        return tuple(tables)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold knots, values and end slopes of all splines, and those of the rivals."""
        members = (self, *(self.ensemble.members if self.ensemble else ()))
        splines = [spline for member in members for spline in member.splines.values()]
        meta: dict[str, Any] = {
            "splines": [list(key) for key in self.splines],
            "reference_eV": [member.reference for member in members],
        }
        arrays = {
            "count_s": np.array([len(s.x_k) for s in splines]),
            "x_k": np.concatenate([s.x_k for s in splines]),
            "y_k": np.concatenate([s.y_k for s in splines]),
            "slopes_sx": np.array([s.slopes for s in splines]),
        }
        if self.ensemble is not None:
            meta["ensemble"] = {k: list(getattr(self.ensemble, k)) for k in ("energy", "force", "stress")}
        if self.coverage is not None:
            meta["coverage"], seen = self.coverage.state()
            arrays |= seen
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> MEAM:
        """Make the potential from its splines."""
        count = len(meta["reference_eV"]) * len(meta["splines"])
        if len(arrays["count_s"]) != count or arrays["count_s"].sum() != len(arrays["x_k"]) or not count:
            raise BadOption(f"knots of {len(arrays['count_s'])} splines do not fit the {count} that are named")
        ends = np.cumsum(arrays["count_s"])[:-1]
        parts = zip(
            np.split(arrays["x_k"], ends), np.split(arrays["y_k"], ends), arrays["slopes_sx"].tolist(), strict=True
        )
        potentials = []
        for reference in meta["reference_eV"]:
            found: dict[str, dict[str, Spline]] = {role: {} for role in ROLES}
            for role, name in meta["splines"]:
                x_k, y_k, (first, last) = next(parts)
                found[role][name] = Spline(x_k, y_k, (first, last))
            potentials.append(cls(**found, reference=reference))  # type: ignore[arg-type]
        out = potentials[0]
        if "ensemble" in meta:
            numbers = {k: (v[0], v[1]) for k, v in meta["ensemble"].items()}
            out = out.with_record(ensemble=Ensemble(tuple(potentials[1:]), **numbers))
        if "coverage" in meta:
            out = out.with_record(coverage=Coverage.from_state(meta["coverage"], arrays))
        return out


def _number(symbol: str) -> int:
    if symbol not in atomic_numbers:
        raise BadOption(f"'{symbol}' is no element")
    return int(atomic_numbers[symbol])


def _by_element(role: str, given: Mapping[str, Spline], symbols: Sequence[str]) -> dict[str, Spline]:
    if set(given) != set(symbols):
        raise BadOption(f"{role} is needed for {', '.join(symbols)}, and was given for {', '.join(given)}")
    return {s: given[s] for s in symbols}


def _by_pair(role: str, given: Mapping[str, Spline], pairs: Sequence[str]) -> dict[str, Spline]:
    named = {pair_name(*pair_species(name)): spline for name, spline in given.items()}
    wanted = [pair_name(*pair_species(p)) for p in pairs]
    if set(named) != set(wanted):
        raise BadOption(f"{role} is needed for {', '.join(wanted)}, and was given for {', '.join(given)}")
    return {p: named[w] for p, w in zip(pairs, wanted, strict=True)}
