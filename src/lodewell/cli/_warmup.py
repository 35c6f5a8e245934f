"""Every command run on a few made-up crystals, so that all its loops are compiled and kept."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from lodewell.errors import BadOption

# What each command is run with. Words in capitals are files that `_write_inputs` makes; `fit-` commands also run what
# they have fitted.
_UF = "fit uf --train FRAMES --test OTHERS --out uf --workers 1"
_GAP = "fit gap --train FRAMES --test OTHERS --out gap --points 20 --workers 1"
_MEAM = "fit meam --train FRAMES --test OTHERS --out meam --restarts 2 --members 1 --most-steps 3 --workers 1"
RUNS: dict[str, tuple[str, ...]] = {
    "relax": ("relax CRYSTALS --out relaxed --workers 1", "relax SMALL --out small --keep-symmetry --workers 1"),
    "score": ("score CRYSTALS --workers 1",),
    "derive": ("derive KNOWN --out mine --workers 1",),
    "fit-uf": (_UF, f"{_UF} --embed --smoothness 1", "relax SILICON -p uf.lodewell --out relaxed --workers 1"),
    "fit-gap": (_GAP, "relax SILICON -p gap.lodewell --out relaxed --workers 1"),
    "fit-meam": (_MEAM, "relax SILICON -p meam.lodewell --out relaxed --workers 1"),
    "test": ("test spp FRAMES",),
    "check": ("check spp -c SMALL",),
    "compare": ("compare spp spp-2024 --data FRAMES --seconds 0.1",),
    "predict": ("predict SMALL --workers 1",),
    "map": ("map KNOWN --out map.png",),
}


def steps(commands: Sequence[str] | None) -> list[str]:
    """Return the commands that are meant, all by default.

    Raises:
        BadOption: for one that has nothing to compile or does not exist.
    """
    for name in commands or ():
        if name not in RUNS:
            raise BadOption(f"nothing can be compiled ahead for '{name}': choose from {', '.join(RUNS)}")
    return list(dict.fromkeys(commands or RUNS))


def warm_up(name: str) -> str:
    """Run a command on made-up crystals; return why it could not be run, or nothing."""
    from lodewell.cli import app

    with TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        inputs = _write_inputs(Path(folder))
        for run in RUNS[name]:
            words = [inputs.get(word, word) for word in run.split()]
            here = [_placed(word, before, folder) for before, word in zip(["", *words], words, strict=False)]
            said = io.StringIO()
            with redirect_stdout(nowhere), redirect_stderr(said):
                refused = app(here, prog_name="lodewell", standalone_mode=False)
            if refused:
                return f"left out: {said.getvalue().strip().splitlines()[-1]}"
    return ""


def _placed(word: str, before: str, folder: str) -> str:
    """Put outputs, and what was fitted before, into the folder."""
    return os.path.join(folder, word) if before in ("--out", "-p") else word


def _write_inputs(folder: Path) -> dict[str, str]:
    """Write made-up crystals, small and large, and frames with energies, forces and stresses; return their paths."""
    from lodewell.crystals.write import write_crystals

    rng = np.random.default_rng(0)

    def shaken(atoms: Atoms, by: float = 0.05) -> Atoms:
        moved: Atoms = atoms.copy()
        moved.positions += rng.normal(scale=by, size=moved.positions.shape)
        return moved

    salt, silicon = bulk("NaCl", "rocksalt", a=5.64, cubic=True), bulk("Si", "diamond", a=5.43, cubic=True)
    sets = {
        "SMALL": [salt, bulk("MgO", "rocksalt", a=4.21)],
        "CRYSTALS": [shaken(salt), shaken(salt.repeat(3)), shaken(salt)],
        "SILICON": [shaken(silicon), shaken(silicon.repeat((3, 3, 4)))],
        "KNOWN": [
            bulk(f"{metal}{other}", form, a=1.9 * (edge + 0.1 * k))
            for k in range(12)
            for form, edge in (("rocksalt", 2.6), ("zincblende", 2.8), ("cesiumchloride", 1.7))
            for metal in ("Li", "Na", "K", "Mg", "Ca") for other in ("O", "S", "F", "Cl")
        ],
        "FRAMES": [_labelled(shaken(silicon, 0.12)) for _ in range(16)],
        "OTHERS": [_labelled(shaken(silicon, 0.12)) for _ in range(4)],
    }  # fmt: skip
    paths = {name: folder / f"{name.lower()}.extxyz" for name in sets}
    for name, crystals in sets.items():
        write_crystals(paths[name], crystals)
    return {name: str(path) for name, path in paths.items()}


def _labelled(atoms: Atoms) -> Atoms:
    """Return a frame with the energy, forces and stress of a Morse potential."""
    from lodewell.potentials.pairs.pair import Morse

    atoms.calc = Morse({"Si-Si": (0.5, 1.7, 2.4)}, cutoff=5.0).calculator()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms
