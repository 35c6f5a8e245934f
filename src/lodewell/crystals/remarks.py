"""What a reader says of a crystal beside its atoms; it stands in `Atoms.info` and reaches the crystal's row."""

from __future__ import annotations

from ase import Atoms

REMARK = "remark"  # what was done: sites left out
CONTRADICTION = "contradiction"  # what the file says against this crystal: another formula, density, multiplicity


def remarks_on(atoms: Atoms | None) -> str:
    """Return what the reader said of a crystal, empty where it had nothing to say."""
    said = (str(atoms.info[key]) for key in (CONTRADICTION, REMARK) if key in atoms.info) if atoms is not None else ()
    return "; ".join(said)
