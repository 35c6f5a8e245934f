"""The first run after an installation compiles the loops, which takes half a minute: once, here, before any worker."""

from __future__ import annotations

import logging

from ase import Atoms

from lodewell.compiled import COMPILING
from lodewell.crystals.read import Record
from lodewell.potentials.base import Potential
from lodewell.relax.chunk import relax_chunk
from lodewell.relax.options import RelaxOptions

logger = logging.getLogger(__name__)


def compile_loops(potential: Potential) -> None:
    """Relax a crystal of two atoms, so that everything is compiled and cached."""
    logger.info(COMPILING)
    number = min(potential.species) if potential.species else 29
    atoms = Atoms([number] * 2, [[0.0, 0.0, 0.0], [1.6, 1.7, 1.8]], cell=[3.4, 3.5, 3.6], pbc=True)
    relax_chunk([Record("", 0, atoms, None)], potential, RelaxOptions(max_steps=15))
