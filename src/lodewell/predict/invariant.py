"""Our network: densities of neighbours and exact lattice sums between orbits, read by invariants.

Only what does not depend on the choice of cell, supercell, rotation or order of atoms goes in; so nothing else comes
out. Mathematics: docs/theory/prediction.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray

from lodewell.potentials.ionic.lattice_sums import lattice_sum
from lodewell.predict import _geometry
from lodewell.predict.architecture import Architecture, Arrays, Field
from lodewell.predict.orbits import CUTOFF, Orbits, orbits

if TYPE_CHECKING:
    import torch

FINE, BONDS = 24, 16  # radial functions of the distance, and of the distance over the covalent radii
SUMS: tuple[dict[str, float], ...] = ({"power": 1}, {"power": 4}, {"power": 6}, {"decay": 1.0})
UNIT = 2.5  # Å; sums are made numbers of order one by it
TOLERANCE = 1e-6


class InvariantNetwork(Architecture):
    """Messages between orbits through radial densities within 6 Å and through infinite sums, several times.

    | array | shape | meaning |
    |---|---|---|
    | `number`, `weight` | (O,) | atomic number and share of the atoms of each orbit |
    | `center`, `other` | (E,) | pairs of orbits with atoms in reach of each other |
    | `density` | (E, 40) | Σ_j R_n(r) over the images of `other` around one atom of `center` |
    | `receiver`, `sender` | (P,) | all pairs of orbits |
    | `sums` | (P, 4) | Σ_j S(i, j) over the atoms of `sender`, of 1/r, 1/r^4, 1/r^6 (r in 2.5 Å), exp(-r) (Å) |
    """

    name: ClassVar[str] = "invariant"
    version: ClassVar[int] = 1
    may_be_zero: ClassVar[frozenset[str]] = frozenset({"charges"})
    fields: ClassVar[dict[str, Field]] = {
        "number": Field("orbit"),
        "weight": Field("orbit"),
        "center": Field("edge", refers="orbit"),
        "other": Field("edge", refers="orbit"),
        "density": Field("edge"),
        "receiver": Field("pair", refers="orbit"),
        "sender": Field("pair", refers="orbit"),
        "sums": Field("pair"),
    }

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the width of the states and what the layers have: their number, channels, charges, and dropout.

        `channels` are those of the messages; `charges` those of the sums, of which 0 leaves the sums out; `dropout` is
        the share of what is read that is left out at random in training.
        """
        return {"width": 96, "layers": 4, "channels": 96, "charges": 12, "dropout": 0.2}

    @property
    def feature_settings(self) -> dict[str, Any]:
        """Return nothing: the features have no settings."""
        return {}

    def features(self, atoms: Atoms) -> Arrays:
        """Return the arrays of the table above.

        Raises:
            BadCrystal: as `orbits`.
        """
        found = orbits(atoms)
        count = len(found.number_o)
        center_e, other_e, density_en = _geometry.densities(
            found.orbit_n,
            count,
            found.representative_o,
            covalent_radii[atoms.numbers],
            found.i_p,
            found.j_p,
            found.vector_pc,
            CUTOFF,
            FINE,
            BONDS,
        )
        receiver, sender = np.divmod(np.arange(count * count, dtype=np.int32), count)
        return {
            "number": found.number_o,
            "weight": found.weight_o,
            "center": center_e,
            "other": other_e,
            "density": density_en,
            "receiver": receiver,
            "sender": sender,
            "sums": orbit_sums(atoms, found),
        }

    def surroundings(self, arrays: Arrays) -> NDArray[np.floating[Any]]:
        """Return the mean radial density around an atom; (40,)."""
        mean: NDArray[np.float32] = arrays["weight"][arrays["center"]] @ arrays["density"]
        return mean

    def module(self, targets: int) -> torch.nn.Module:
        """Return the network."""
        from lodewell.predict._invariant_module import InvariantModule

        return InvariantModule(targets, sums=len(SUMS), radial=FINE + BONDS, **self.settings)


def orbit_sums(atoms: Atoms, found: Orbits) -> NDArray[np.float32]:
    """Return Σ_{j in J} S(i, j) for one atom i of each orbit and each orbit J; (O², sums), in units of `UNIT`."""
    count = len(found.number_o)
    member_no = np.zeros((len(atoms), count))
    member_no[np.arange(len(atoms)), found.orbit_n] = 1.0
    columns = []
    for form in SUMS:
        sum_nn = lattice_sum(atoms, tolerance=TOLERANCE, **form)
        columns.append((sum_nn[found.representative_o] @ member_no).ravel() * UNIT ** form.get("power", 0))
    return np.stack(columns, axis=1).astype(np.float32)
