"""Curves to start a refinement from: mined correlations on scaled distances, thin pairs filled in by similar ones."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.types import type_table
from lodewell.derive.curves import wall
from lodewell.derive.features import COUNT, ENDING, SPACING, START
from lodewell.derive.similar import radius_z
from lodewell.potentials.statistical.statistical import BIN, table_points

_FINE = START + SPACING / 8.0 * np.arange(8 * COUNT)
_TAIL = (1.5, 2.4)  # scaled distances between which the start fades out: what lies beyond is mostly chance
_WALL_FROM = 5.0  # U above which a curve is wall, not statistics
_LEAST_SLOPE = 10.0  # of a wall where it begins, 1/Å
_STRAY = 1e-3  # share of contacts that may be errors of a database
_ENOUGH_CONTACTS = 200.0
_MOST_CRYSTALS = 50.0  # no pair teaches its neighbours with more weight than this many crystals


def mixed_correlations(
    pairs_pz: Ints, g_ph: Floats, weight_p: Floats, elements: Ints, kernel_ee: Floats, strength: float
) -> tuple[Floats, Floats]:
    """Return g on the scaled grid for every pair of elements, each mixed with what similar pairs do.

    The prior of a pair is the mean over all pairs weighted by the likeness of both elements, and counts as `strength`
    crystals (Sippl, J. Mol. Biol. 213, 859 (1990), with neighbours in place of his reference state).

    Returns:
        (E, E, F) correlations and (E, E) the prior's share in each.
    """
    count, radius = len(elements), radius_z()
    place_z = type_table(elements)
    centres = BIN * (np.arange(g_ph.shape[1]) + 0.5)
    known, weight = np.zeros((count, count, len(_FINE))), np.zeros((count, count))
    for (a, b), g, w in zip(pairs_pz, g_ph, weight_p, strict=True):
        row = np.interp(_FINE * (radius[a] + radius[b]), centres, g, left=0.0, right=1.0)
        i, j = place_z[a], place_z[b]
        known[i, j] = known[j, i] = row
        weight[i, j] = weight[j, i] = w
    capped = np.minimum(weight, _MOST_CRYSTALS)
    taught = np.einsum("ij,jkx,kl->ilx", kernel_ee, capped[:, :, None] * known, kernel_ee, optimize=True)
    near = taught / np.maximum(kernel_ee @ capped @ kernel_ee, 1e-12)[:, :, None]
    share = strength / (strength + weight)
    return (1.0 - share)[:, :, None] * known + share[:, :, None] * near, share


def coefficients(g_eex: Floats) -> Floats:
    """Return spline coefficients (E, E, COUNT) of -ln g, continued inwards as a wall and faded out at the end."""
    u = -np.log(np.maximum(g_eex, np.exp(-8.0))).reshape(-1, len(_FINE))
    for row in u:
        join = int(np.argmax(row < _WALL_FROM))
        step = min(row[join + 1] - row[join], -0.25) if join + 1 < len(row) else -0.25
        inward = join - np.arange(join)
        row[:join] = row[join] - step * inward + 0.02 * inward**2
    u *= np.clip((_TAIL[1] - _FINE) / (_TAIL[1] - _TAIL[0]), 0.0, 1.0)
    free = COUNT - ENDING
    basis = _basis(np.asarray(_FINE, dtype=np.float64))[:, :free]
    solved = np.linalg.lstsq(
        np.vstack([basis, 1e-3 * np.eye(free)]),
        np.vstack([np.minimum(u, 30.0).T, np.zeros((free, len(u)))]),
        rcond=None,
    )[0]
    out = np.zeros((len(u), COUNT))
    out[:, :free] = solved.T
    return out.reshape(*g_eex.shape[:2], COUNT)


def tabulate(coefficients_k: Floats, pair: Ints, cutoff: float) -> Floats:
    """Return one curve at the points of a table, faded out before the cutoff (K,); `walled` gives it its wall."""
    r_k = table_points(cutoff)
    u = _basis(r_k / float(radius_z()[pair].sum())) @ coefficients_k * _ended(r_k - cutoff + 1.0)
    u[-1] = 0.0
    return np.asarray(u)


def walled(u_pk: Floats, pairs_pz: Ints, inner_p: Floats, cutoff: float) -> Floats:
    """Return curves that rise as a wall within `inner_p` (Å), where no crystal has taught them anything (P, K)."""
    r_k = table_points(cutoff)
    out = u_pk.copy()
    for u, pair, inner in zip(out, pairs_pz, inner_p, strict=True):
        least = radius_z()[pair].sum() * (START + 3 * SPACING)  # further in, the spline is not whole
        join = int(np.clip(np.searchsorted(r_k, max(inner, least)), 2, len(r_k) - 3))
        slope = min((u[join + 1] - u[join]) / BIN, -_LEAST_SLOPE)
        u[:join] = wall(r_k[:join], r_k[join], u[join], slope)
    return out


def first_contacts(pairs_pz: Ints, contact_ph: Floats, elements: Ints, kernel_ee: Floats) -> Floats:
    """Return for each pair the distance in Å within which next to no nearest contact of its elements lies (P,).

    It is the distance below which one in a thousand lie, less a bin; where too few are known, what similar pairs have
    on scaled distances, by the likeness of both elements.
    """
    place_z, length_p = type_table(elements), radius_z()[pairs_pz].sum(axis=1)
    total_p = contact_ph.sum(axis=1)
    share_ph = np.cumsum(contact_ph, axis=1) / np.maximum(total_p, 1.0)[:, None]
    own_p = BIN * np.argmax(share_ph > _STRAY, axis=1)
    weight, scaled = np.zeros((len(elements),) * 2), np.zeros((len(elements),) * 2)
    i, j = place_z[pairs_pz].T
    known = total_p >= _ENOUGH_CONTACTS
    for a, b in ((i, j), (j, i)):
        weight[a[known], b[known]] = 1.0
        scaled[a[known], b[known]] = (own_p / length_p)[known]
    near = (kernel_ee @ (weight * scaled) @ kernel_ee) / np.maximum(kernel_ee @ weight @ kernel_ee, 1e-12)
    return np.asarray(np.where(known, own_p, near[i, j] * length_p))


def _ended(s: Floats) -> Floats:
    """Return 1 below 0 and 0 above 1, joined with two continuous derivatives."""
    s = np.clip(s, 0.0, 1.0)
    return np.asarray(1.0 - s**3 * (10.0 - 15.0 * s + 6.0 * s * s))


def _basis(scaled: Floats) -> Floats:
    """Return the basis functions at scaled distances, zero where the grid does not reach; (X, COUNT)."""
    knots = START + SPACING * np.arange(COUNT + 4)
    out = np.zeros((len(scaled), COUNT))
    inside = (scaled >= START) & (scaled < START + SPACING * COUNT)
    for k in range(COUNT):
        element = BSpline.basis_element(knots[k : k + 5], extrapolate=False)
        out[inside, k] = np.nan_to_num(element(scaled[inside]))
    return out
