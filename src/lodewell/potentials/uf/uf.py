"""Ultra-fast potentials: one-, two- and three-body energies in cubic B-splines (Xie, Rupp & Hennig, 2023).

E = Σ_i V1(Z_i) + Σ_{i<j} V2(r_ij) + Σ_i Σ_{j<k} V3(r_ij, r_ik, r_jk), npj Comput. Mater. 9, 162, eqs. 1 to 6, to which
an embedding may add functions of an atom's densities (see `lodewell.potentials.uf.embedding`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.neighbours.neighbours import Neighbours
from lodewell.errors import BadOption
from lodewell.potentials.base import Potential, Uncertainty
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf._embedding_sums import add_embedding
from lodewell.potentials.uf._sums import sum_uf
from lodewell.potentials.uf.embedding import Embedding, FlatEmbedding

if TYPE_CHECKING:
    from lodewell.potentials.uf.basis import UFBasis

Pair = tuple[int, int]
Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Spline2:
    """A curve: `coefficients_m` (size of the axis,) in eV. Below the axis it goes on with its slope there."""

    axis: Axis
    coefficients_m: Floats

    def __call__(self, r: Floats, derivative: int = 0) -> Floats:
        """Return the curve, or a derivative of it, at distances of any shape: eV, eV/Å, ..."""
        r = np.asarray(r, dtype=float)
        inside = np.maximum(r, self.axis.low).ravel()
        value = self.axis.design(inside, derivative) @ self.coefficients_m
        if derivative < 2:
            slope = self.axis.design(inside, 1) @ self.coefficients_m
            value = value + (r.ravel() - inside) * slope if derivative == 0 else slope
        return np.asarray(value.reshape(r.shape))


@dataclass(frozen=True)
class Spline3:
    """A three-body function V3(r_ij, r_ik, r_jk) of the central atom i: coefficients (sizes of the three axes) in eV.

    It is zero where a distance lies off its axis.
    """

    axes: tuple[Axis, Axis, Axis]
    coefficients_xyz: Floats

    def __call__(self, r_ij: Floats, r_ik: Floats, r_jk: Floats) -> Floats:
        """Return the function at distances of one common shape, eV."""
        shape = np.broadcast_shapes(np.shape(r_ij), np.shape(r_ik), np.shape(r_jk))
        x, y, z = (
            axis.design(np.broadcast_to(r, shape).ravel())
            for axis, r in zip(self.axes, (r_ij, r_ik, r_jk), strict=True)
        )
        value = np.einsum("mx,my,mz,xyz->m", x, y, z, self.coefficients_xyz, optimize=True)
        return np.asarray(value.reshape(shape))


@dataclass(frozen=True)
class Knowledge:
    """What a fit knows of its errors: the covariance of its coefficients, and an error model found on data.

    The variance of a number with row φ is scale · φᵀ (RᵀR)⁻¹ φ + floor: what more data would mend, and what they would
    not, because the form cannot follow the truth.

    | field | meaning |
    |---|---|
    | `factor_pp` | upper triangle R (P, P) |
    | `energy`, `force`, `stress` | scale and floor: of energy per atom (eV²), force (eV²/Å²), stress (eV²/Å⁶) |
    | `grade` | the largest standard deviation of an atom's energy in the training data, before the scale |
    """

    factor_pp: NDArray[np.floating[Any]]
    energy: tuple[float, float] = (1.0, 0.0)
    force: tuple[float, float] = (1.0, 0.0)
    stress: tuple[float, float] = (1.0, 0.0)
    grade: float = 1.0

    def spread(self, rows_mp: Floats) -> Floats:
        """Return φᵀ (RᵀR)⁻¹ φ of each row, (M,)."""
        rows = rows_mp.T.astype(self.factor_pp.dtype)
        solved = solve_triangular(self.factor_pp, rows, trans="T", check_finite=False)
        return np.asarray(np.einsum("pm,pm->m", solved, solved, dtype=float))

    def of(self, basis: UFBasis, atoms: Atoms) -> Uncertainty:
        """Return the standard deviations on one crystal."""
        rows, count = basis.rows(atoms, each_atom=True), len(atoms)
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        energy = self.spread(rows.energy_np.mean(axis=0)[None])[0]
        stress_cc = None
        if volume:
            stress_v = _deviation(self.spread(rows.virial_vp) / volume**2, self.stress)
            stress_cc = stress_v[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        return Uncertainty(
            energy=count * float(_deviation(energy, self.energy)),
            forces_nc=_deviation(self.spread(rows.forces_ncp.reshape(-1, basis.columns)), self.force).reshape(-1, 3),
            stress_cc=stress_cc,
            grade_n=np.sqrt(self.spread(rows.energy_np)) / self.grade,
        )


def _deviation(spread: Any, model: tuple[float, float]) -> Any:
    return np.sqrt(model[0] * spread + model[1])


class UF(Potential):
    """A potential of B-splines; `lodewell.fit_uf` makes one from labelled crystals.

    Args:
        energies: energy of a lone atom by atomic number, eV.
        pairs: curve by two atomic numbers, the smaller first; pairs that are missing do not interact.
        triples: function by the atomic numbers of the central atom and of the two others, the smaller first; with two
            equal ones it must be symmetric in its first two distances.
        embeddings: by atomic number.
    """

    kind = "uf"

    def __init__(
        self,
        energies: Mapping[int, float],
        pairs: Mapping[Pair, Spline2],
        triples: Mapping[Triple, Spline3] | None = None,
        embeddings: Mapping[int, Embedding] | None = None,
    ) -> None:
        self.embeddings = dict(embeddings or {})
        self.energies = dict(energies)
        self.pairs = dict(pairs)
        self.triples = dict(triples or {})
        self.species = frozenset(self.energies)
        _check(self)
        ends = [s.axis.high for s in self.pairs.values()]
        ends += [axis.high for s in self.triples.values() for axis in s.axes[:2]]
        ends += [embedding.cutoff for embedding in self.embeddings.values()]
        self.cutoff = max(ends, default=0.0)
        self.knowledge: Knowledge | None = None
        self.distances: dict[Pair, Floats] = {}

    @property
    def uncertain(self) -> bool:
        """Whether the covariance of the coefficients is known."""
        return self.knowledge is not None

    def uncertainty(self, crystals: Atoms | Sequence[Atoms]) -> list[Uncertainty]:
        """Return standard deviations from the covariance of the coefficients, and extrapolation grades.

        Raises:
            BadOption: when the potential was fitted without --uncertainty, or read from another code's file.
        """
        if self.knowledge is None:
            raise BadOption("this potential was made without uncertainties: fit it again with --uncertainty")
        basis = self._basis
        return [self.knowledge.of(basis, a) for a in ([crystals] if isinstance(crystals, Atoms) else crystals)]

    @cached_property
    def _basis(self) -> UFBasis:
        from lodewell.potentials.uf.basis import UFBasis

        return UFBasis.of(self)

    @cached_property
    def _flat(self) -> Flat:
        return Flat.of(self)

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum pairs and triples in one compiled loop, the embedding in another."""
        n, f = neighbours, self._flat
        geometry = (
            batch.positions_nc, batch.cell_bcc, batch.first_b, f.type_z[batch.species_n],
            n.first_n, n.last_n, n.j_p, n.image_p, n.wraps_nc, n.reach_bc,
        )  # fmt: skip
        energies, forces, virials = sum_uf(*geometry, self.cutoff, *f.arrays)
        if self.embeddings:
            cutoff = max(embedding.cutoff for embedding in self.embeddings.values())
            add_embedding(energies, forces, virials, *geometry, cutoff, *f.embedding)
        return energies, forces, virials

    def curve(self, pair: str, r: Floats) -> tuple[Floats, Floats]:
        """Return the two-body energy (eV) and its slope (eV/Å) of a pair such as "Si-Ge"."""
        a, b = sorted(atomic_numbers[s] for s in pair.split("-"))
        if (a, b) not in self.pairs:
            raise BadOption(f"this potential has no curve {pair}: it knows {', '.join(map(name, self.pairs))}")
        return self.pairs[a, b](r), self.pairs[a, b](r, 1)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Hold knots and coefficients of every spline."""
        arrays: dict[str, Any] = {}
        for pair, s in self.pairs.items():
            arrays[f"{name(pair)}.knots"] = s.axis.knots_k
            arrays[f"{name(pair)}.coefficients"] = s.coefficients_m
        for triple, v in self.triples.items():
            for x, axis in zip("xyz", v.axes, strict=True):
                arrays[f"{name(triple)}.{x}"] = axis.knots_k
            arrays[f"{name(triple)}.coefficients"] = v.coefficients_xyz
        meta: dict[str, Any] = {
            "energies": {chemical_symbols[z]: e for z, e in sorted(self.energies.items())},
            "pairs": [name(p) for p in self.pairs],
            "triples": [name(t) for t in self.triples],
        }
        embedded: dict[str, Any] = {}
        for z, embedding in self.embeddings.items():
            symbol = chemical_symbols[z]
            embedded[symbol], parts = embedding.state()
            arrays |= {f"{symbol}.embedding.{key}": part for key, part in parts.items()}
        meta["embeddings"] = embedded
        for pair, counts in self.distances.items():
            arrays[f"{name(pair)}.distances"] = counts
        if (known := self.knowledge) is not None:
            meta["knowledge"] = {k: getattr(known, k) for k in ("energy", "force", "stress", "grade")}
            arrays["factor"] = known.factor_pp[np.triu_indices(len(known.factor_pp))]
        return meta, arrays

    @classmethod
    def from_state(cls, meta: dict[str, Any], arrays: dict[str, Any]) -> UF:
        """Make the potential from its knots and coefficients."""
        pairs = {numbers(p): Spline2(Axis(arrays[f"{p}.knots"]), arrays[f"{p}.coefficients"]) for p in meta["pairs"]}
        triples = {
            numbers(t): Spline3(
                (Axis(arrays[f"{t}.x"]), Axis(arrays[f"{t}.y"]), Axis(arrays[f"{t}.z"])), arrays[f"{t}.coefficients"]
            )
            for t in meta["triples"]
        }
        energies = {atomic_numbers[s]: float(e) for s, e in meta["energies"].items()}
        embeddings = {}
        for symbol, about in meta.get("embeddings", {}).items():
            start = f"{symbol}.embedding."
            parts = {key[len(start) :]: part for key, part in arrays.items() if key.startswith(start)}
            embeddings[atomic_numbers[symbol]] = Embedding.from_state(about, parts)
        potential = cls(energies, pairs, triples, embeddings)  # type: ignore[arg-type]
        ends = len(".distances")
        counts = {numbers(n[:-ends]): a for n, a in arrays.items() if n.endswith(".distances")}
        if any(len(pair) != 2 or a.ndim != 1 for pair, a in counts.items()):
            raise BadOption("the distances of a pair are one list of counts")
        potential.distances = counts  # type: ignore[assignment]
        if "knowledge" in meta:
            packed = arrays["factor"]
            size = round((np.sqrt(8 * len(packed) + 1) - 1) / 2)
            if size != potential._basis.columns:
                raise BadOption(f"the covariance is of {size} coefficients, but there are {potential._basis.columns}")
            factor = np.zeros((size, size), dtype=packed.dtype)
            factor[np.triu_indices(size)] = packed
            known = meta["knowledge"]
            energy, force, stress = ((float(a), float(b)) for a, b in (known[k] for k in ("energy", "force", "stress")))
            potential.knowledge = Knowledge(factor, energy, force, stress, known["grade"])
        return potential


def name(species: Sequence[int]) -> str:
    """Return "Si-O" for (14, 8)."""
    return "-".join(chemical_symbols[z] for z in species)


def numbers(named: str) -> tuple[int, ...]:
    """Return (14, 8) for "Si-O"."""
    return tuple(atomic_numbers[s] for s in named.split("-"))


def _check(potential: UF) -> None:
    known = potential.species or frozenset()
    for species in [*potential.pairs, *potential.triples]:
        if not known.issuperset(species) or list(species[-2:]) != sorted(species[-2:]):
            raise BadOption(f"the spline {name(species)} needs its last two elements in order, and their energies")
    if not known <= set(range(1, 119)) or not np.isfinite(list(potential.energies.values())).all():
        raise BadOption("energies of lone atoms must be finite numbers, by atomic number")
    for pair, curve in potential.pairs.items():
        if len(pair) != 2 or curve.coefficients_m.shape != (curve.axis.size,):
            raise BadOption(f"{name(pair)}: {curve.coefficients_m.shape} coefficients do not fit the axis")
    for z, embedding in potential.embeddings.items():
        if z not in known or not known.issuperset(d.neighbour for d in embedding.densities):
            raise BadOption(f"the embedding of {name([z])} needs elements with energies")
    for triple, s in potential.triples.items():
        c = s.coefficients_xyz
        if len(triple) != 3:
            raise BadOption(f"{name(triple)} is no triple")
        if c.shape != tuple(axis.size for axis in s.axes):
            raise BadOption(f"{name(triple)}: {c.shape} coefficients do not fit the axes")
        if triple[1] == triple[2] and not (
            np.array_equal(s.axes[0].knots_k, s.axes[1].knots_k) and np.array_equal(c, c.swapaxes(0, 1))
        ):
            raise BadOption(f"{name(triple)}: two equal neighbours need a function symmetric in their distances")


@dataclass(frozen=True)
class Flat:
    """A potential as the flat arrays of the compiled loops.

    | array | meaning |
    |---|---|
    | `one_t`, `leg_tt` | energy of a lone atom; distance within which t' joins triples around t |
    | `low`, `high`, `per_step` | of each axis |
    | `lookup_first`, `lookup` | interval in which each uniform step of an axis begins |
    | `interval_first`, `edge`, `powers` | intervals of all axes; powers of four functions and their slopes |
    | `place` | first of the four functions of each interval, counted with three that are zero before them |
    | `pair_axis`, `pair_at`, `pair_numbers` | cubics of the curves, by two types |
    | `triple_axes`, `triple_at`, `triple_shape`, `table` | coefficients by three types, see `_cells` |
    """

    type_z: Ints
    arrays: tuple[Any, ...]
    embedding: tuple[Any, ...]

    @classmethod
    def of(cls, potential: UF) -> Flat:
        """Flatten a potential."""
        species = sorted(potential.energies)
        count = len(species)
        type_of = {z: t for t, z in enumerate(species)}
        type_z = np.full(119, -1, dtype=np.int64)
        type_z[species] = np.arange(count)
        axes = Axes()
        pair_axis, pair_at = np.full((count, count), -1), np.zeros((count, count), np.int64)
        pair_numbers: list[Floats] = [np.zeros(0)]
        for (a, b), s in potential.pairs.items():
            ta, tb = type_of[a], type_of[b]
            padded = np.pad(s.coefficients_m, 3)
            four = padded[s.axis.first_i[:, None] + np.arange(4)]
            pair_axis[ta, tb] = pair_axis[tb, ta] = axes.index(s.axis)
            pair_at[ta, tb] = pair_at[tb, ta] = sum(map(len, pair_numbers))
            pair_numbers.append(np.einsum("iq,iqp->ip", four, s.axis.powers_iqp).ravel())
        triple_axes = np.full((count, count, count, 3), -1)
        triple_at, triple_shape = np.full((count, count, count), -1), np.zeros((count, count, count, 2), np.int64)
        leg_tt = np.zeros((count, count))
        table: list[Floats] = [np.zeros(0)]
        for triple, v in potential.triples.items():
            # The compiled loop meets a triple with the smaller type first, as the key has it.
            i, j, k = (type_of[z] for z in triple)
            cells = _cells(v)
            triple_axes[i, j, k] = [axes.index(axis) for axis in v.axes]
            triple_at[i, j, k] = sum(map(len, table))
            triple_shape[i, j, k] = cells[0, 0].size, cells[0].size
            leg_tt[i, j] = max(leg_tt[i, j], v.axes[0].high)
            leg_tt[i, k] = max(leg_tt[i, k], v.axes[1].high)
            table.append(cells.ravel())
        one_t = np.array([potential.energies[z] for z in species])
        arrays = (
            one_t, leg_tt, *axes.arrays(), pair_axis, pair_at, np.concatenate(pair_numbers),
            triple_axes, triple_at, triple_shape, np.concatenate(table),
        )  # fmt: skip
        return cls(type_z, arrays, _flat_embedding(potential, tuple(species)) if potential.embeddings else ())


def _flat_embedding(potential: UF, species: tuple[int, ...]) -> tuple[Any, ...]:
    axes = Axes()
    flat = FlatEmbedding.of(potential.embeddings, species, axes)
    found = [potential.embeddings[z].flat_p for z in species if z in potential.embeddings]
    lone_t = np.array([potential.embeddings[z].lone if z in potential.embeddings else 0.0 for z in species])
    return (*axes.arrays(), *flat.arrays, np.concatenate(found), lone_t)


class Axes:
    """The different axes of a potential, each once, flattened one after the other."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._axes: list[Axis] = []

    def index(self, axis: Axis) -> int:
        """Return the number of an axis, new or known."""
        key = axis.knots_k.tobytes()
        if key not in self._known:
            self._known[key] = len(self._axes)
            self._axes.append(axis)
        return self._known[key]

    def arrays(self) -> tuple[Any, ...]:
        """Return low, high, per_step, lookup_first, lookup, interval_first, edge, powers, place."""
        axes = self._axes
        starts = [np.cumsum([0] + [len(part) for part in parts]) for parts in (
            [a.lookup for a in axes], [a.first_i for a in axes]
        )]  # fmt: skip
        low, high = np.array([a.low for a in axes]), np.array([a.high for a in axes])
        lengths = np.array([float(len(a.lookup)) for a in axes])
        none = np.zeros(0)
        return (
            low, high, lengths / (high - low), starts[0],
            np.concatenate([none.astype(np.int64), *(a.lookup for a in axes)]), starts[1],
            np.concatenate([none, *(a.edge_i[:-1] for a in axes)]),
            np.concatenate([none, *(_with_slopes(a.powers_iqp).ravel() for a in axes)]),
            np.concatenate([none.astype(np.int64), *(a.first_i for a in axes)]),
        )  # fmt: skip


def _with_slopes(powers_iqp: Floats) -> Floats:
    """Return the powers of four functions and of their slopes, power by power: (I, 4, 8)."""
    slopes = np.concatenate([powers_iqp[..., 1:] * [1.0, 2.0, 3.0], np.zeros((*powers_iqp.shape[:2], 1))], axis=2)
    return np.concatenate([powers_iqp, slopes], axis=1).transpose(0, 2, 1)


def _cells(spline: Spline3) -> Floats:
    """Return the 4 x 4 coefficients of x and y that matter in each pair of intervals, for each function of z.

    Shape (I_x, I_y, functions of z and three zeros at either end, 16): what one triple needs is contiguous.
    """
    x, y, _ = spline.axes
    c = np.pad(spline.coefficients_xyz, 3)
    ix, iy = x.first_i[:, None] + np.arange(4), y.first_i[:, None] + np.arange(4)
    cells = c[ix[:, None, :, None], iy[None, :, None, :]]  # (I_x, I_y, 4, 4, z)
    return np.ascontiguousarray(np.moveaxis(cells, 4, 2)).reshape(len(ix), len(iy), c.shape[2], 16)
