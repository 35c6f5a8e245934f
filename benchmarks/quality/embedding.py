"""A prototype: functions of the densities around an atom on top of pair curves, linear in their coefficients.

Each atom has three densities: of non-metals, of the others (both falling off by e in 0.37 Å, as bond valences do), and
of all (0.9 Å), each Σ exp((L - r)/β)/4 with L the usual distance of the pair, faded out between 1.4 L and 1.9 L. The
energy of an atom is a cubic spline of the logarithm of each, one for each element.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numba import njit

from lodewell.crystals.batch import Batch, Floats, Ints, complete_cells
from lodewell.crystals.neighbours.neighbours import Neighbours, most_images, shift_vectors, wrapped_positions
from lodewell.crystals.neighbours.pairs import batch_pairs
from lodewell.derive.features import COUNT, PROJECTIONS, RATTLED, ROWS, STRAINED, STRAINS, STRESS, SWAPPED, SWAPS
from lodewell.derive.pair_sums import PairSums
from lodewell.derive.similar import _NONMETALS, radius_z, similarity
from lodewell.potentials.base import Potential
from lodewell.potentials.statistical.statistical import BIN

BASIS = 11  # functions of each of the three densities
DECAY = np.array([0.37, 0.37, 0.9])  # Å
_LOWEST, _STEP = -1.6, 0.42  # grid of the logarithm of a density
_FADE, _END = 1.4, 1.9  # times the usual distance
_DELTA = 0.01  # of the finite differences that forces and stresses are made from, Å and strain


def usual_distances(mined: PairSums, elements: Ints) -> Floats:
    """Return the median nearest contact of each pair in Å, mixed with that of similar pairs where few; (119, 119)."""
    kernel, radius, count = similarity(elements), radius_z()[elements], len(elements)
    place = {int(z): e for e, z in enumerate(elements)}
    weight, scaled = np.zeros((count, count)), np.zeros((count, count))
    for (a, b, kind), row in mined.rows.items():
        contacts = mined.contact_ph[row]
        if kind >= 0 or contacts.sum() < 20:
            continue
        i, j = place[a], place[b]
        median = BIN * (np.argmax(np.cumsum(contacts) >= 0.5 * contacts.sum()) + 0.5)
        weight[i, j] = weight[j, i] = min(mined.weight_p[row], 50.0)
        scaled[i, j] = scaled[j, i] = median / (radius[i] + radius[j])
    near = (kernel @ (weight * scaled) @ kernel) / np.maximum(kernel @ weight @ kernel, 1e-12)
    share = 5.0 / (5.0 + weight)
    out = np.zeros((119, 119))
    out[np.ix_(elements, elements)] = ((1.0 - share) * scaled + share * near) * (radius[:, None] + radius)
    return out


def channel_z() -> Ints:
    """Return the density that a neighbour adds to beside that of all: 0 for non-metals, 1 for others; (119,)."""
    out = np.ones(119, dtype=np.int64)
    out[_NONMETALS] = 0
    return out


@njit(cache=True)
def _density(r, usual, decay, out):
    """Write what a neighbour adds to each density and its slope; return whether it is near enough. `out` is (2, 3)."""
    x = r / usual
    if x >= _END:
        return False
    s = max((x - _FADE) / (_END - _FADE), 0.0)
    fade = 1.0 - s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)
    slope = -30.0 * s * s * (1.0 - s) ** 2 / ((_END - _FADE) * usual)
    for c in range(3):
        e = 0.25 * np.exp((usual - r) / decay[c])
        out[0, c], out[1, c] = fade * e, (slope - fade / decay[c]) * e
    return True


@njit(cache=True)
def _functions(density, out):
    """Write the four functions that a density reaches and their slopes by it, (2, 4); return the first's number."""
    y = (np.log(density + 0.05) - _LOWEST) / _STEP
    inside = 1.0 if 0.0 <= y <= BASIS - 3.001 else 0.0
    y = min(max(y, 0.0), BASIS - 3.001)
    k = int(y)
    t = y - k
    u = 1.0 - t
    per = inside / (_STEP * (density + 0.05))
    out[0, 0], out[1, 0] = u * u * u / 6, -u * u / 2 * per
    out[0, 1], out[1, 1] = (3 * t * t * t - 6 * t * t + 4) / 6, (3 * t * t - 4 * t) / 2 * per
    out[0, 2], out[1, 2] = (-3 * t * t * t + 3 * t * t + 3 * t + 1) / 6, (-3 * t * t + 2 * t + 1) / 2 * per
    out[0, 3], out[1, 3] = t * t * t / 6, t * t / 2 * per
    return k


@njit(cache=True)
def _densities(x, shift, first, last, j_p, image_p, deform, moved, species, usual, channel, decay):
    """Return the densities of the atoms of one crystal, its pairs deformed and its atoms moved; (N, 3)."""
    n = np.zeros((len(x), 3))
    d, w = np.empty(3), np.empty((2, 3))
    for i in range(len(x)):
        for p in range(first[i], last[i]):
            j = j_p[p]
            for c in range(3):
                d[c] = moved[j, c] - moved[i, c]
                for a in range(3):
                    d[c] += (x[j, a] + shift[image_p[p], a] - x[i, a]) * deform[a, c]
            r = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
            if _density(r, usual[species[i], species[j]], decay, w):
                n[i, channel[species[j]]] += w[0, channel[species[j]]]
                n[j, channel[species[i]]] += w[0, channel[species[i]]]
                n[i, 2] += w[0, 2]
                n[j, 2] += w[0, 2]
    return n


@njit(cache=True)
def _rows(positions, cells, first_b, types, species, swapped, slot_b, pairs, plan, moves, usual, channel, decay, rows):
    """Fill the feature rows, one plan (row, weight, arrangement, displacement, deformation) after the other."""
    j_p, image_p, first, last, wraps, reach, _ = pairs
    row_q, weight_q, swap_q, move_q, deform_q = plan
    shift, f = np.empty((most_images(reach), 3)), np.empty((2, 4))
    out = np.zeros((slot_b[-1], rows, COUNT), np.float32)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        x = np.empty((e - s, 3))
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x)
        shift_vectors(cells[b], reach[b], shift)
        type_z = np.zeros(119, np.int64)
        for i in range(s, e):
            type_z[species[i]] = types[i]
        for q in range(len(row_q)):
            who = species[s:e] if swap_q[q] < 0 else swapped[swap_q[q], s:e]
            n = _densities(
                x, shift, first[s:e], last[s:e], j_p, image_p, deform_q[q], moves[move_q[q], s:e], who, usual, channel,
                decay,
            )  # fmt: skip
            for i in range(e - s):
                for c in range(3):
                    k = _functions(n[i, c], f) + c * BASIS
                    for g in range(4):
                        out[slot_b[b] + type_z[who[i]], row_q[q], k + g] += weight_q[q] * f[0, g]
    return out


def rows(
    batch: Batch, types_n: Ints, swapped: Ints, directions: Floats, shaken: Floats, usual: Floats
) -> tuple[Any, Ints, Ints]:
    """Return feature rows (S, R, COUNT) of each crystal and element, first slot of each crystal, and elements (S,).

    Rows are those of `lodewell.derive.features` for the same random numbers, one more for each further of `shaken`;
    those of the trace of the Hessian and of the bulk curvature stay zero.
    """
    elements_b = [np.unique(batch.species_n[s]) for s in batch.slices]
    slot_b = np.concatenate([[0], np.cumsum([len(z) for z in elements_b])]).astype(np.int64)
    species_qn = np.empty_like(swapped)
    for b, s in enumerate(batch.slices):
        species_qn[:, s] = elements_b[b][swapped[:, s]]
    along = _DELTA * directions.transpose(1, 0, 2)
    moves = np.concatenate([np.zeros((1, *shaken.shape[1:])), shaken, along, -along])
    plan = [(RATTLED + q, 1.0, -1, 1 + q, np.eye(3)) for q in range(len(shaken))]
    plan += [(STRAINED + q, 1.0, -1, 0, (1.0 + strain) * np.eye(3)) for q, strain in enumerate(STRAINS)]
    plan += [(SWAPPED + q, 1.0, q, 0, np.eye(3)) for q in range(SWAPS)]
    plan += [(row, -1.0, -1, 0, np.eye(3)) for row, *_ in plan]
    for sign in (1, -1):
        first = 1 + len(shaken) + (0 if sign > 0 else PROJECTIONS)
        plan += [(q, -sign / (2 * _DELTA), -1, first + q, np.eye(3)) for q in range(PROJECTIONS)]
        for q, (a, c) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
            deform = np.eye(3)
            deform[a, c] += 0.5 * sign * _DELTA
            plan.append((STRESS + q, sign / _DELTA, -1, 0, deform))
    table = tuple(np.array(column) for column in zip(*plan, strict=True))
    here = np.unique(batch.species_n)
    reach = min(_END * usual[np.ix_(here, here)].max() / (1.0 + STRAINS.min()) + 0.5, 9.0)
    pairs = batch_pairs(
        batch.positions_nc, complete_cells(batch.cell_bcc, batch.pbc_bc), batch.pbc_bc, batch.first_b, reach, True, 0.0
    )
    value = _rows(
        batch.positions_nc, batch.cell_bcc, batch.first_b, types_n, batch.species_n, species_qn, slot_b, pairs, table,
        moves, usual, channel_z(), DECAY, ROWS + len(shaken) - 2,
    )  # fmt: skip
    return value, slot_b, np.concatenate(elements_b)


@njit(cache=True)
def _compute(
    positions, cells, first_b, species, first_n, last_n, j_p, image_p, wraps, reach, usual, channel, decay, u_zk, scale
):
    energies, forces = np.zeros(len(positions)), np.zeros((len(positions), 3))
    virials = np.zeros((len(cells), 3, 3))
    shift, f, w, d = np.empty((most_images(reach), 3)), np.empty((2, 4)), np.empty((2, 3)), np.empty(3)
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        x, who = np.empty((e - s, 3)), species[s:e]
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x)
        shift_vectors(cells[b], reach[b], shift)
        first, last = first_n[s:e], last_n[s:e]
        n = _densities(x, shift, first, last, j_p, image_p, np.eye(3), np.zeros_like(x), who, usual, channel, decay)
        slope = np.zeros_like(n)
        for i in range(e - s):
            for c in range(3):
                k = _functions(n[i, c], f) + c * BASIS
                for g in range(4):
                    energies[s + i] += scale * f[0, g] * u_zk[who[i], k + g]
                    slope[i, c] += scale * f[1, g] * u_zk[who[i], k + g]
        for i in range(e - s):
            for p in range(first[i], last[i]):
                j = j_p[p]
                for c in range(3):
                    d[c] = x[j, c] + shift[image_p[p], c] - x[i, c]
                r = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
                if _density(r, usual[who[i], who[j]], decay, w):
                    ci, cj = channel[who[j]], channel[who[i]]
                    g = slope[i, ci] * w[1, ci] + slope[j, cj] * w[1, cj] + (slope[i, 2] + slope[j, 2]) * w[1, 2]
                    for c in range(3):
                        forces[s + i, c] += g / r * d[c]
                        forces[s + j, c] -= g / r * d[c]
                        for a in range(3):
                            virials[b, c, a] -= g / r * d[c] * d[a]
    return energies, forces, virials


class Embedding(Potential):
    """The energies of atoms in their densities; add it to a table of pairs."""

    kind: ClassVar[str] = "embedding-prototype"
    half_list = True

    def __init__(self, usual: Floats, u_zk: Floats, scale: float, longest: float) -> None:
        self.usual, self.u_zk, self.scale = usual, u_zk, scale
        self.cutoff = min(_END * float(usual.max()), longest)
        self.species = frozenset(np.flatnonzero(usual.any(axis=0)).tolist())

    def compute(self, batch: Batch, neighbours: Neighbours) -> tuple[Floats, Floats, Floats]:
        """Sum over atoms."""
        n = neighbours
        out: tuple[Floats, Floats, Floats] = _compute(
            batch.positions_nc, batch.cell_bcc, batch.first_b, batch.species_n, n.first_n, n.last_n, n.j_p, n.image_p,
            n.wraps_nc, n.reach_bc, self.usual, channel_z(), DECAY, self.u_zk, self.scale,
        )  # fmt: skip
        return out
