"""In how many directions a structure goes on: crystals in three, slabs in two, chains in one, molecules in none.

Cells say it by `pbc` where a format has it. CIF and POSCAR have not: there slabs and molecules stand in vacuum.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from lodewell.crystals.batch import Ints
from lodewell.crystals.neighbours.neighbours import neighbour_list


def dimensions(atoms: Atoms, reach: float = 6.0) -> int:
    """Count the independent directions in which atoms go on, from atom to atom in steps of at most `reach` (Å).

    Of several parts that no step joins, the one that goes on in most directions counts.

    Raises:
        BadCrystal: when positions or cell are not finite, or a periodic cell has no volume.
    """
    i_p, j_p, shift_pc, _ = neighbour_list(atoms, reach)
    count = len(atoms)
    key_u, first_u = np.unique(i_p * count + j_p, return_index=True)
    graph = csr_array((np.ones(len(key_u)), np.divmod(key_u, count)), shape=(count, count))
    offset_nc, found = np.zeros((count, 3), dtype=np.int64), 0
    waiting_n = np.ones(count, dtype=bool)
    while waiting_n.any():
        part, before_n = breadth_first_order(graph, int(waiting_n.argmax()))
        steps = first_u[np.searchsorted(key_u, before_n[part[1:]] * count + part[1:])]
        for atom, step in zip(part[1:], shift_pc[steps], strict=True):
            offset_nc[atom] = offset_nc[before_n[atom]] + step
        waiting_n[part] = False
        found = max(found, _rank(part, i_p, offset_nc[i_p] + shift_pc - offset_nc[j_p]))
    return found


def _rank(part: Ints, i_p: Ints, round_trip_pc: Ints) -> int:
    """Return the rank of the lattice translations that lead from atoms of a part back to their images."""
    trips = round_trip_pc[np.isin(i_p, part)].astype(np.float64)
    return int(np.linalg.matrix_rank(trips.T @ trips))
