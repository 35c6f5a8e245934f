"""Sites and symmetry operations in, all atoms of the cell out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.formats.cif.operations import Floats, Operations
from lodewell.errors import BadCrystal

SAME_SITE = 0.1  # Å; symmetry copies of one atom closer than this are one atom on a special position
APART = 0.4  # Å; copies between the two are neither one atom nor several
DIGITS = 100_000  # places along an edge that count as different
AT_ONCE = 200_000  # images of sites whose distances are held in memory together

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Expansion:
    """All atoms of a cell.

    Attributes:
        fractional: coordinates, shape (n, 3).
        owner: number of the site that each atom is a copy of, shape (n,).
        multiplicity: atoms of each site, shape (sites,).
    """

    fractional: Floats
    owner: Ints
    multiplicity: Ints


def expand(sites: Floats, labels: Sequence[str], cell: Floats, operations: Operations) -> Expansion:
    """Apply the operations to sites; copies that meet on a special position become one, at their mean.

    Args:
        sites: fractional coordinates (s, 3).
        labels: names of the sites, for messages.
        cell: rows are lattice vectors, Å.
        operations: the identity first.

    Raises:
        BadCrystal: when a site is so close to a symmetry element that its copies are neither one atom nor several.
    """
    if len(operations) == 1:
        return Expansion(sites, np.arange(len(sites)), np.ones(len(sites), np.int64))
    parts: list[Expansion] = []
    size = max(1, AT_ONCE // len(operations))
    for begin in range(0, len(sites), size):
        end = begin + size
        parts.append(_expand_some(sites[begin:end], labels[begin:end], cell, operations))
    multiplicity = np.concatenate([part.multiplicity for part in parts])
    owner = np.repeat(np.arange(len(sites)), multiplicity)
    return Expansion(np.concatenate([part.fractional for part in parts]), owner, multiplicity)


def _expand_some(sites: Floats, labels: Sequence[str], cell: Floats, operations: Operations) -> Expansion:
    steps_smc = _images(sites, operations) - sites[:, None]
    steps_smc -= np.round(steps_smc)
    distance_sm = np.linalg.norm(steps_smc @ cell, axis=2)
    holds_sm = distance_sm < SAME_SITE  # the operations that leave a site in place, within rounding
    _refuse_between(distance_sm, holds_sm, labels)
    order_s = holds_sm.sum(axis=1)
    exact = sites + (steps_smc * holds_sm[:, :, None]).sum(axis=1) / order_s[:, None]
    copies_smc = _images(exact, operations)
    copies_smc -= np.floor(copies_smc)
    copies_smc[:, 0] = exact  # the file's own image stays put
    new_sm = _first_of_equals(copies_smc)
    for s in np.flatnonzero(new_sm.sum(axis=1) * order_s != len(operations)):  # rounded more than a group allows
        new_sm[s] = _first_within(copies_smc[s], cell)
    owner = np.repeat(np.arange(len(sites)), new_sm.sum(axis=1))
    return Expansion(copies_smc[new_sm], owner, new_sm.sum(axis=1))


def _images(sites: Floats, operations: Operations) -> Floats:
    """Return what every operation makes of every site, shape (s, m, 3)."""
    images: Floats = np.einsum("mij,sj->smi", operations.rotations, sites) + operations.shifts
    return images


def _refuse_between(distance_sm: Floats, holds_sm: NDArray[np.bool_], labels: Sequence[str]) -> None:
    between = (distance_sm < APART) & ~holds_sm
    if between.any():
        s = int(np.flatnonzero(between.any(axis=1))[0])
        raise BadCrystal(
            f"site {labels[s]} is {distance_sm[s][between[s]].min():.2f} Å away from its own image by symmetry, "
            "neither one atom nor two; write it with more digits (1/3 as 0.33333), or correct the space group"
        )


def _first_of_equals(copies_smc: Floats) -> NDArray[np.bool_]:
    """Mark, site by site, the first of copies that are equal but for lattice vectors and the last digits."""
    s, m = copies_smc.shape[:2]
    whole = np.round(copies_smc * DIGITS + 0.3).astype(np.int64) % DIGITS  # 0.3: halves and thirds are not cut apart
    codes = (whole[..., 0] * DIGITS + whole[..., 1]) * DIGITS + whole[..., 2]
    order = np.argsort(codes, axis=1, kind="stable")
    ordered = np.take_along_axis(codes, order, axis=1)
    new = np.ones((s, m), np.bool_)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    marked = np.zeros((s, m), np.bool_)
    np.put_along_axis(marked, order, new, axis=1)
    return marked


def _first_within(copies: Floats, cell: Floats) -> NDArray[np.bool_]:
    """Mark the first of copies that lie within `SAME_SITE`."""
    steps = copies[:, None] - copies
    steps -= np.round(steps)
    same = np.square(steps @ cell).sum(axis=2) < SAME_SITE**2
    first: NDArray[np.bool_] = same.argmax(axis=1) == np.arange(len(copies))
    return first


def repeated_sites(expanded: Expansion, cell: Floats) -> list[tuple[int, int]]:
    """Return pairs (later, earlier) of sites that are one place, as when all atoms are listed beside all operations."""
    first = np.concatenate([[0], np.cumsum(expanded.multiplicity)[:-1]])
    pairs = []
    for later, place in enumerate(first[1:].tolist(), 1):
        steps = expanded.fractional[:place] - expanded.fractional[place]
        steps -= np.round(steps)
        near = np.flatnonzero(np.square(steps @ cell).sum(axis=1) < SAME_SITE**2)
        if len(near):
            pairs.append((later, int(expanded.owner[near[0]])))
    return pairs
