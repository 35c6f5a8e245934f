"""What a crystal says of the weights of all sparse points: the rows of a fit, and the kernels of its atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from scipy.linalg import solve_triangular

from lodewell.crystals.batch import Batch, Floats
from lodewell.descriptors.legs import Legs
from lodewell.errors import BadOption
from lodewell.potentials.gap.kernel import Kernel, Rows

JITTER = 1e-10  # eV², as in the field's model files; raised tenfold as long as the sparse points are too much alike
_MOST_JITTER = 1e-2


class Design:
    """The sparse points of some kernels, and the coordinates z = U α of their weights, in which the prior is white.

    UᵀU = K_MM + jitter, block by block, for terms do not know of each other. In these coordinates the penalty of the
    fit is the unit matrix, and rows may be folded into products (Foster et al., J. Mach. Learn. Res. 10, 857 (2009)).

    Attributes:
        kernels: of every term. starts: where each begins among the M columns.
        roots: U of each term. jitters: what had to be added to each diagonal, eV².
    """

    def __init__(self, kernels: Sequence[Kernel]) -> None:
        self.kernels = tuple(kernels)
        self.starts = np.concatenate([[0], np.cumsum([len(k.points_md) for k in self.kernels])]).astype(int)
        found = [_root(kernel) for kernel in self.kernels]
        self.roots = [root for root, _ in found]
        self.jitters = [jitter for _, jitter in found]
        self.cutoff = max(k.descriptor.cutoff for k in self.kernels)

    @property
    def columns(self) -> int:
        """The number of sparse points, M."""
        return int(self.starts[-1])

    def slices(self) -> list[slice]:
        """Return the columns of each term."""
        return [slice(int(a), int(b)) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]

    def rows(self, atoms: Atoms, derivatives: bool = True) -> Rows:
        """Return energies (N, M), forces (N, 3, M) and virials (1, 3, 3, M) of one crystal by the weights α."""
        count = len(atoms)
        shape = (count, 3, self.columns) if derivatives else (0, 3, self.columns)
        rows = Rows(np.zeros((count, self.columns)), np.zeros(shape), np.zeros((1, 3, 3, self.columns)))
        parts = [rows.columns(m) for m in self.slices()]
        for legs in Legs.of_atoms(atoms, self.cutoff):
            for kernel, part in zip(self.kernels, parts, strict=True):
                kernel.rows(legs, part, derivatives)
        return rows

    def whitened(self, rows_xm: Floats) -> Floats:
        """Return rows (X, M) by the weights in the coordinates z: rows U⁻¹."""
        out = np.empty_like(rows_xm)
        for root, m in zip(self.roots, self.slices(), strict=True):
            out[:, m] = solve_triangular(root, rows_xm[:, m].T, trans="T", check_finite=False).T
        return out

    def weights(self, z_m: Floats) -> Floats:
        """Return the weights α = U⁻¹ z."""
        return np.concatenate(
            [np.zeros(0), *(solve_triangular(u, z_m[m]) for u, m in zip(self.roots, self.slices(), strict=True))]
        )

    def prior(self, atoms: Atoms) -> Floats:
        """Return the prior variance of each atom's energy, (N,) in eV²."""
        batch = Batch.from_atoms(atoms)
        out = np.zeros(len(atoms))
        for legs in Legs.of_atoms(atoms, self.cutoff):
            for kernel in self.kernels:
                out += kernel.self_covariance(kernel.environments(legs), len(batch.species_n))
        return out


def _root(kernel: Kernel) -> tuple[Floats, float]:
    """Return U with UᵀU = K_MM + jitter, and the jitter that made it possible."""
    covariance = kernel.points_covariance()
    jitter = JITTER
    while jitter <= _MOST_JITTER * max(1.0, kernel.delta**2):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))).T), jitter
        except np.linalg.LinAlgError:
            jitter *= 10.0
    raise BadOption(f"{kernel.descriptor.name}: its sparse points are too much alike; take fewer of them")
