"""Energies of lone atoms, which LAMMPS leaves out, as our files for it note them in a comment: ``Si -0.8 O -1.5``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ase.data import atomic_numbers

from lodewell.errors import BadFile


def noted_energies(words: Sequence[str]) -> dict[str, float]:
    """Return energies (eV) by symbol from the words of a note.

    Raises:
        BadFile: for a note that is cut short.
    """
    try:
        energies = {symbol: float(text) for symbol, text in zip(words[::2], words[1::2], strict=True)}
        if not all(atomic_numbers[symbol] > 0 and math.isfinite(energy) for symbol, energy in energies.items()):
            raise ValueError
    except (KeyError, ValueError) as error:
        found = " ".join(words)[:60]
        raise BadFile(f"the energies of lone atoms in its comment are damaged ('{found}'): write it again") from error
    return energies
