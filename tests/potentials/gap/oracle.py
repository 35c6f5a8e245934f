"""Gaussian approximation potentials, written out slowly: what the field's model files mean, number by number.

Conventions were found by running quippy (test_oracle.py holds every function against it); the formulas are those of
Bartók, Kondor & Csányi, PRB 87, 184115 (2013), and Deringer et al., Chem. Rev. 121, 10073 (2021).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.integrate import quad
from scipy.special import eval_legendre, spherical_in


def cosine(r, cutoff, width):
    """The cutoff: 1, then half a cosine over `width`, 0 from `cutoff` on."""
    return np.where(
        r >= cutoff, 0.0, np.where(r <= cutoff - width, 1.0, 0.5 + 0.5 * np.cos(np.pi * (r - cutoff + width) / width))
    )


def legs(atoms: Atoms, i: int, cutoff: float):
    """Neighbours of atom i, images too: indices (K,) and vectors to them (K, 3)."""
    centre_k, other_k, vector_kc = neighbor_list("ijD", atoms, cutoff)
    return other_k[centre_k == i], vector_kc[centre_k == i]


# ---------------------------------------------------------------------------------------------------------------- SOAP


def radial(r, order, cutoff, n_max, sigma):
    """Radial functions h_nl (n_max,) of an atom at distance r: its Gaussian projected on the orthonormal basis."""
    alpha = 0.5 / sigma**2
    reach = cutoff + sigma * np.sqrt(2 * 10 * np.log(10))
    at = np.arange(n_max) * reach / n_max
    values_b = 4 * np.pi * np.exp(-alpha * (at**2 + r**2)) * spherical_in(order, 2 * alpha * at * r)
    apart_bb = np.exp(-alpha * (at[:, None] - at) ** 2)
    overlap_bb = [[_overlap(a, b, alpha, reach) for b in at] for a in at]
    return np.linalg.cholesky(overlap_bb).T @ np.linalg.solve(apart_bb, values_b)


@cache
def _overlap(a, b, alpha, reach):
    middle, broad = 0.5 * (a + b), 8 / np.sqrt(2 * alpha)
    value, _ = quad(
        lambda r: r * r * np.exp(-alpha * (r - a) ** 2 - alpha * (r - b) ** 2),
        max(0.0, middle - broad),
        middle + broad,
        epsabs=1e-16,
        epsrel=1e-13,
        limit=200,
    )
    return value


def soap(atoms: Atoms, i: int, *, species, cutoff, width, n_max, l_max, sigma, central_weight=1.0, sigma0=0.0):
    """Power spectrum of atom i, of length 1, and `sigma0` behind it; (S n_max (S n_max + 1) / 2 (l_max + 1) + 1,).

    Σ_m c*_alm c_blm follows from the addition theorem: a sum over pairs of neighbours of P_l(cos θ_jk). Channels a, b
    are the species in the order given, each with all its radial functions; pairs a ≥ b, then l, which runs fastest.
    """
    other_k, vector_kc = legs(atoms, i, cutoff)
    number_k = np.append(atoms.numbers[other_k], atoms.numbers[i])  # the atom itself comes last
    vector_kc = np.vstack([vector_kc, np.zeros(3)])
    r_k = np.linalg.norm(vector_kc, axis=1)
    weight_k = np.append(cosine(r_k[:-1], cutoff, width), central_weight)
    unit_kc = vector_kc / np.where(r_k > 0, r_k, 1.0)[:, None]
    cos_kk = np.clip(unit_kc @ unit_kc.T, -1, 1)
    p_abl = np.empty((len(species) * n_max, len(species) * n_max, l_max + 1))
    if len(species) == 1:
        number_k[-1] = species[0]  # with one density the centre is in it whatever its element
    for order in range(l_max + 1):
        h_ka = np.zeros((len(r_k), len(species), n_max))
        for k, (z, r) in enumerate(zip(number_k, r_k, strict=True)):
            if z in species:
                h_ka[k, list(species).index(z)] = weight_k[k] * radial(r, order, cutoff, n_max, sigma)
        h_ka = h_ka.reshape(len(r_k), -1)
        p_abl[:, :, order] = (
            (2 * order + 1) / (4 * np.pi) * h_ka.T @ eval_legendre(order, cos_kk) @ h_ka / np.sqrt(2 * order + 1)
        )
    p = np.concatenate([p_abl[a, b] * (1 if a == b else np.sqrt(2)) for a in range(len(p_abl)) for b in range(a + 1)])
    return np.append(p / np.linalg.norm(p), sigma0)


# ------------------------------------------------------------------------------------------------- pairs and triplets


@dataclass(frozen=True)
class Seen:
    """Coordinates (D, K) of every pair or triplet, its cutoff (D,), and the atoms that share its energy evenly."""

    x_dk: np.ndarray
    cut_d: np.ndarray
    atoms_d: list[tuple[int, ...]]

    @classmethod
    def of(cls, rows: Iterator[tuple[Sequence[float], float, tuple[int, ...]]], size: int) -> Seen:
        rows = list(rows)
        return cls(
            np.array([row[0] for row in rows]).reshape(-1, size),
            np.array([row[1] for row in rows]),
            [row[2] for row in rows],
        )


def distances(atoms: Atoms, species, cutoff, width) -> Seen:
    """distance_2b: every pair *twice*, once from either end."""

    def rows():
        for i, j, r in zip(*neighbor_list("ijd", atoms, cutoff), strict=True):
            if sorted(atoms.numbers[[i, j]]) == sorted(species):
                yield [r], float(cosine(r, cutoff, width)), (int(i), int(j))

    return Seen.of(rows(), 1)


def angles(atoms: Atoms, centre, others, cutoff, width) -> Seen:
    """angle_3b: r_ij + r_ik, (r_ij - r_ik)², r_jk; each pair of legs *twice*; the energy is the centre's."""

    def rows():
        for i, jk, a, b, c in pairs_of_legs(atoms, cutoff):
            if atoms.numbers[i] == centre and sorted(atoms.numbers[[*jk]]) == sorted(others):
                row = [a + b, (a - b) ** 2, c], float(cosine(a, cutoff, width) * cosine(b, cutoff, width)), (i,)
                yield from (row, row)

    return Seen.of(rows(), 3)


def triplets(atoms: Atoms, species, cutoff, width) -> Seen:
    """distance_Nb order=3 compact_clusters=T of three equal elements or three different ones: r_ij, r_ik, r_jk.

    Every atom with two legs in reach is a centre i, so a triangle of short sides comes three times; j and k stand in
    the order of their numbers.
    """
    if len(set(species)) == 2:
        raise ValueError("of {A, A, B} the energy of QUIP changes with the order of the atoms")

    def rows():
        for i, jk, a, b, c in pairs_of_legs(atoms, cutoff):
            if sorted(atoms.numbers[[i, *jk]]) == sorted(species):
                first, second = (b, a) if atoms.numbers[jk[0]] > atoms.numbers[jk[1]] else (a, b)
                yield [first, second, c], float(cosine(a, cutoff, width) * cosine(b, cutoff, width)), (i, *jk)

    return Seen.of(rows(), 3)


def connected(atoms: Atoms, species, cutoff, width) -> Seen:
    """distance_Nb order=3 compact_clusters=F: triplets of which two sides at least are in reach, r_12, r_13, r_23.

    The atoms stand in the order of their numbers; each triplet counts once, so one that comes from all of its three
    atoms comes with a third of the cutoff fg + gh + hf - 2fgh.
    """

    def rows():
        for i, jk, a, b, c in pairs_of_legs(atoms, cutoff):
            z = atoms.numbers[[i, *jk]]
            if sorted(z) == sorted(species):
                side = {frozenset((0, 1)): a, frozenset((0, 2)): b, frozenset((1, 2)): c}
                p, q, r = np.argsort(z, kind="stable").tolist()
                f, g, h = (float(cosine(side, cutoff, width)) for side in (a, b, c))
                cut = (f * g + g * h + h * f - 2 * f * g * h) / (3 if c < cutoff else 1)
                yield [side[frozenset(two)] for two in ((p, q), (p, r), (q, r))], cut, (i, *jk)

    return Seen.of(rows(), 3)


def pairs_of_legs(atoms: Atoms, cutoff):
    """Atoms i, (j, k) and r_ij, r_ik, r_jk of every unordered pair of legs in reach, images too."""
    for i in range(len(atoms)):
        other_k, vector_kc = legs(atoms, i, cutoff)
        for j, k in combinations(range(len(other_k)), 2):
            a, b, c = (np.linalg.norm(v) for v in (vector_kc[j], vector_kc[k], vector_kc[j] - vector_kc[k]))
            yield i, (int(other_k[j]), int(other_k[k])), a, b, c


def slots(species):
    """Permutations of (r_12, r_13, r_23) by exchanges of equal atoms, as QUIP lists them for distance_Nb."""
    sides, z = [(0, 1), (0, 2), (1, 2)], sorted(species)
    kept = [p for p in permutations(range(3)) if [z[q] for q in p] == z]
    return [tuple(sides.index(tuple(sorted((p[a], p[b])))) for a, b in sides) for p in kept]


# ------------------------------------------------------------------------------------------------- kernels and energies


def gaussian(x_dk, points_mk, lengths, perms=((0,),)):
    """Squared-exponential kernel (D, M), of variance 1; with permutations of the slots summed and normalised.

    Length scales are first averaged over the slots that permutations exchange.
    """
    x_dk, points_mk = np.atleast_2d(x_dk), np.atleast_2d(points_mk)
    if len(perms) == 1:
        return _gaussian(x_dk[:, None], points_mk, lengths)
    mean = np.mean([np.asarray(lengths)[list(p)] for p in perms], axis=0)

    def summed(a, b):
        return sum(_gaussian(a[..., list(p)], b, mean) for p in perms)

    own_d, own_m = summed(x_dk, x_dk), summed(points_mk, points_mk)
    return summed(x_dk[:, None], points_mk) / np.sqrt(own_d[:, None] * own_m)


def _gaussian(a, b, lengths):
    return np.exp(-0.5 * (((a - b) / np.asarray(lengths)) ** 2).sum(axis=-1))


def powered(p_dk, points_mk, zeta):
    """Dot-product kernel of SOAP (D, M), of variance 1."""
    return (np.atleast_2d(p_dk) @ np.atleast_2d(points_mk).T) ** zeta


def energies(atoms: Atoms, seen: Seen, k_dm, delta, cutoff_m, weights_m):
    """Energy of each atom (N,): Σ_d cut_d Σ_m δ² k_dm sparseCutoff_m α_m, shared by the atoms of d."""
    e_n = np.zeros(len(atoms))
    for e, where in zip(seen.cut_d * (delta**2 * k_dm * cutoff_m @ weights_m), seen.atoms_d, strict=True):
        for n in where:
            e_n[n] += e / len(where)
    return e_n
