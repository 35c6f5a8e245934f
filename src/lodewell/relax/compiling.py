"""The first run after an installation compiles the loops, which takes half a minute: once, here, before any worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms

from lodewell.compiled import COMPILING
from lodewell.crystals.read import Record
from lodewell.potentials.base import Potential
from lodewell.relax.chunk import relax_chunk
from lodewell.relax.options import RelaxOptions

logger = logging.getLogger(__name__)


def compile_loops(potential: Potential) -> None:
    """Relax a small crystal, so that everything is compiled and cached."""
    logger.info(COMPILING)
    relax_chunk([Record("", 0, small_crystal(potential), None)], potential, RelaxOptions(max_steps=15))


def small_crystal(potential: Potential) -> Atoms:
    """Return a crystal of two to five atoms without a net charge, of two atoms where there is none."""
    known = sorted(potential.species or {29})
    crystals = (_row(numbers) for n in range(2, 6) for numbers in combinations_with_replacement(known, n))
    return next((atoms for atoms in crystals if not potential.excess_charge(atoms)), _row(known[:1] * 2))


def _row(numbers: Sequence[int]) -> Atoms:
    places, step = np.arange(len(numbers)), np.array([1.6, 1.7, 1.8])
    return Atoms(numbers, np.outer(places, step), cell=len(numbers) * (step + 0.05), pbc=True)
