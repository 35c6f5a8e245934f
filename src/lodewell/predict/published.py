"""The published network (PotNet): gated convolutions over near atoms and over infinite sums of all pairs of atoms.

Written from the mathematics of Lin et al., "Efficient approximations of complete interatomic potentials for crystal
property prediction", ICML 2023, arXiv:2306.10045, as the baseline to compare with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.neighbours.neighbours import neighbour_list
from lodewell.errors import BadOption, did_you_mean
from lodewell.potentials.ionic.lattice_sums import lattice_sum
from lodewell.predict.architecture import Architecture, Arrays, Field
from lodewell.predict.orbits import Orbits, orbits

if TYPE_CHECKING:
    import torch

RADIUS = 4.0  # Å
NEAREST = 16
_SHELLS = 0.25 * np.arange(1, 33)  # Å
MIX = (-0.801, -0.074, 0.145)  # of Σ 1/r, Σ 1/r^6 and Σ exp(-3 r)
DECAY = 3.0  # 1/Å
SUMS = ("published", "exact", "none")
TOLERANCE = 1e-6  # of the sums
ALIKE = 1e-4  # Å; distances that differ by less are one
ALIKE_SUM = 1e-5  # the same of sums


class Edges(NamedTuple):
    """Pairs (receiving orbit, sending orbit, value), each standing for `count_e` atoms of the sending orbit."""

    receiver_e: NDArray[np.int32]
    sender_e: NDArray[np.int32]
    value_e: NDArray[np.float32]
    count_e: NDArray[np.float32]


class PublishedNetwork(Architecture):
    """Messages along edges to near atoms and along edges between all pairs of atoms, three times.

    Atoms of one orbit have equal states, and edges of one value between the same orbits equal messages: they are
    computed once and counted as often as they stand in the crystal, in sums, means and batch statistics alike.

    | array | shape | meaning |
    |---|---|---|
    | `number`, `weight` | (O,) | atomic number and share of the atoms of each orbit |
    | `multiplicity` | (O,) | number of atoms of each orbit |
    | `center`, `other`, `distance`, `count` | (E,) | near edges: orbits, Å, and how many alike each atom has |
    | `receiver`, `sender`, `sum`, `often` | (P,) | complete edges: the same of s(i, j), none with `sums="none"` |

    An atom's near atoms are the 16 nearest within 4 Å and those as far as the 16th; an atom with none takes them
    within twice the radius, and so on. s = -0.801 Σ 1/r - 0.074 Σ 1/r⁶ + 0.145 Σ exp(-a r) in Å over the lattice,
    which of course depends on the choice of the lattice: with another cell of the same crystal these edges change.
    With `sums="exact"` a is 3 per Å; with "published" it is 3/√γ, γ = V^(1/3), as the published code has it.
    The paper starts from 92 properties of elements; here their embedding is learnt.
    """

    name: ClassVar[str] = "published"
    version: ClassVar[int] = 1
    fields: ClassVar[dict[str, Field]] = {
        "number": Field("orbit"),
        "weight": Field("orbit"),
        "multiplicity": Field("orbit"),
        "center": Field("edge", refers="orbit"),
        "other": Field("edge", refers="orbit"),
        "distance": Field("edge"),
        "count": Field("edge"),
        "receiver": Field("pair", refers="orbit"),
        "sender": Field("pair", refers="orbit"),
        "sum": Field("pair"),
        "often": Field("pair"),
    }

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        sums = self.settings["sums"]
        if sums not in SUMS:
            raise BadOption(f"sums is one of {', '.join(SUMS)}, not '{sums}'{did_you_mean(str(sums), SUMS)}")

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return width of the states, number of layers, and which sums the complete edges carry."""
        return {"width": 256, "layers": 3, "sums": "published"}

    @property
    def feature_settings(self) -> dict[str, Any]:
        """Return which sums the complete edges carry."""
        return {"sums": self.settings["sums"]}

    def features(self, atoms: Atoms) -> Arrays:
        """Return the arrays of the table above.

        Raises:
            BadCrystal: as `orbits`.
        """
        found = orbits(atoms)
        near = near_edges(atoms, found)
        complete = complete_edges(atoms, found, self.settings["sums"])
        return {
            "number": found.number_o,
            "weight": found.weight_o,
            "multiplicity": found.multiplicity_o.astype(np.float32),
            **dict(zip(("center", "other", "distance", "count"), near, strict=True)),
            **dict(zip(("receiver", "sender", "sum", "often"), complete, strict=True)),
        }

    def surroundings(self, arrays: Arrays) -> NDArray[np.floating[Any]]:
        """Return Gaussians of the distances to near atoms, on average; (32,)."""
        distance_e = arrays["distance"][:, None]
        weight_e = arrays["weight"][arrays["center"]] * arrays["count"]
        mean: NDArray[np.float64] = weight_e @ np.exp(-0.5 * ((distance_e - _SHELLS) / _SHELLS[0]) ** 2)
        return mean

    def module(self, targets: int) -> torch.nn.Module:
        """Return the network."""
        from lodewell.predict._published_module import PublishedModule

        width, layers = self.settings["width"], self.settings["layers"]
        return PublishedModule(targets, width=width, layers=layers, complete=self.settings["sums"] != "none")


def near_edges(atoms: Atoms, found: Orbits) -> Edges:
    """Return the edges to near atoms of one atom of each orbit, with their lengths."""
    center_p, other_p, distance_p = _of_representatives(found, found.i_p, found.j_p, found.vector_pc)
    orbit_count, radius = len(found.number_o), RADIUS
    alone_o = np.bincount(center_p[distance_p <= radius], minlength=orbit_count) == 0
    lonely_o = alone_o
    while lonely_o.any():
        radius *= 2.0
        i_p, j_p, _, vector_pc = neighbour_list(atoms, radius)
        center_p, other_p, distance_p = _of_representatives(found, i_p, j_p, vector_pc)
        lonely_o = np.bincount(center_p, minlength=orbit_count) == 0
    within = distance_p <= np.where(alone_o, radius, RADIUS)[center_p]
    center_p, other_p, distance_p = center_p[within], other_p[within], distance_p[within]
    order = np.lexsort((distance_p, center_p))
    center_p, other_p, distance_p = center_p[order], other_p[order], distance_p[order]
    count_o = np.bincount(center_p, minlength=orbit_count)
    first_o = np.cumsum(count_o) - count_o
    farthest_o = distance_p[first_o + np.minimum(count_o, NEAREST) - 1] + ALIKE
    near = distance_p <= farthest_o[center_p]
    return merged(center_p[near], other_p[near], distance_p[near], ALIKE)


def _of_representatives(found: Orbits, i_p: Ints, j_p: Ints, vector_pc: Floats) -> tuple[Ints, Ints, Floats]:
    """Keep the pairs of the first atoms of orbits: orbit, orbit, distance."""
    orbit_of_n = np.full(len(found.orbit_n), -1)
    orbit_of_n[found.representative_o] = np.arange(len(found.number_o))
    center_p = orbit_of_n[i_p]
    kept = center_p >= 0
    return center_p[kept], found.orbit_n[j_p[kept]], np.sqrt(np.einsum("pc,pc->p", vector_pc[kept], vector_pc[kept]))


def complete_edges(atoms: Atoms, found: Orbits, sums: str) -> Edges:
    """Return the edges from one atom of each orbit to all atoms, with the sums s."""
    if sums == "none":
        none = np.zeros(0, np.int64)
        return merged(none, none, np.zeros(0), ALIKE_SUM)
    edge = atoms.cell.volume ** (1 / 3)
    decay = DECAY / math.sqrt(edge) if sums == "published" else DECAY
    forms: tuple[dict[str, float], ...] = ({"power": 1}, {"power": 6}, {"decay": decay})
    sum_on = np.zeros((len(found.number_o), len(atoms)))
    for mix, form in zip(MIX, forms, strict=True):
        sum_on += mix * lattice_sum(atoms, tolerance=TOLERANCE, **form)[found.representative_o]
    receiver_p = np.repeat(np.arange(len(found.number_o)), len(atoms))
    return merged(receiver_p, np.tile(found.orbit_n, len(found.number_o)), sum_on.ravel(), ALIKE_SUM)


def merged(receiver_p: Ints, sender_p: Ints, value_p: Floats, tolerance: float) -> Edges:
    """Make one edge of those between the same orbits whose values follow each other within `tolerance`."""
    order = np.lexsort((value_p, sender_p, receiver_p))
    receiver_p, sender_p, value_p = receiver_p[order], sender_p[order], value_p[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(receiver_p) != 0) | (np.diff(sender_p) != 0) | (np.diff(value_p) > tolerance)
    first_e = np.flatnonzero(fresh)
    count_e = np.diff(first_e, append=len(order))
    value_e = np.add.reduceat(value_p, first_e) / count_e if len(order) else value_p
    return Edges(
        receiver_p[first_e].astype(np.int32),
        sender_p[first_e].astype(np.int32),
        value_e.astype(np.float32),
        count_e.astype(np.float32),
    )
