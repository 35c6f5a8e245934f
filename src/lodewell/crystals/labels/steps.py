"""Every step of a calculation that moved its atoms, with what it computed at each."""

from __future__ import annotations

import io
import warnings

from ase import Atoms

from lodewell.crystals.read import LARGEST_FILE, Record
from lodewell.crystals.single import CURES, NamedText, decode, freeze
from lodewell.errors import BadCrystal, BadFile
from lodewell.files import read_bytes

CALCULATIONS = {"vasprun": "vasp-xml", "outcar": "vasp-out", "castep": "castep-castep"}


def read_steps(path: str, form: str) -> list[Record]:
    """Return a record a step, or one with the reason why the file cannot be read; frames count from 0."""
    from ase.io import read

    try:
        raw = read_bytes(path, LARGEST_FILE)
        text = decode(raw)
        source = io.BytesIO(raw) if form == "vasprun" else NamedText(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = read(source, format=CALCULATIONS[form], index=slice(None))
    except (BadFile, BadCrystal) as err:
        return [Record(path, 0, None, str(err).removeprefix(f"{path}: "))]
    except Exception as err:  # other codes' readers raise many kinds, and none may end the run
        what = (str(err).strip().splitlines() or [""])[0][:200]
        return [Record(path, 0, None, f"cannot be read as {form} ({type(err).__name__}: {what}); {CURES[form]}")]
    steps = [steps] if isinstance(steps, Atoms) else list(steps)
    if not steps:
        return [Record(path, 0, None, f"it holds no finished step; {CURES[form]}")]
    for atoms in steps:
        freeze(atoms)
    return [Record(path, number, atoms, None) for number, atoms in enumerate(steps)]
