"""Write a sample of every family of potentials, and the energies they give, into a folder named after this version."""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2]))

from tests.conftest import made_up_crystals, mined  # noqa: E402
from tests.potentials.test_store import crystal, stored  # noqa: E402

from lodewell import __version__, load  # noqa: E402


def main() -> None:
    folder = HERE / __version__
    folder.mkdir()  # a released folder is never rewritten
    energies = {}
    for name, potential in (stored | {"statistical": mined(made_up_crystals())}).items():
        loaded = load(potential.save(folder / name))
        (result,) = loaded.evaluate(crystal(loaded))
        energies[name] = {"energy": result.energy, "largest_force": float(np.abs(result.forces_nc).max())}
    (folder / "energies.json").write_text(json.dumps(energies, indent=1) + "\n")


if __name__ == "__main__":
    main()
