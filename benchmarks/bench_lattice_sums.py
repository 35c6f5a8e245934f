"""Lattice sums: constants, errors against the promise on random cells, and the time of three sums; under a minute."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

from harness import one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

from lodewell import Coulomb, lattice_sum  # noqa: E402

MADELUNG = {
    "Madelung, NaCl": ("rocksalt", 2.0, 1.7475645946331822),
    "Madelung, CsCl": ("cesiumchloride", 2 / math.sqrt(3), 1.7626747730709883),
    "Madelung, ZnS": ("zincblende", 4 / math.sqrt(3), 1.6380550533887892),
}
# epsteinlib 0.6.2
A6 = {
    "A6, sc": ("sc", 1.0, 8.40192397482754),
    "A6, fcc": ("fcc", 2**0.5, 14.453921043744472),
    "A6, bcc": ("bcc", 2 / 3**0.5, 12.253667867292304),
}
SUMS: dict[str, dict[str, float]] = {"r^-1": {"power": 1}, "r^-6": {"power": 6}, "exp(-3 r)": {"decay": 3.0}}
PUBLISHED = {10: (57.0, 4.2), 20: (225.0, 16.3), 40: (890.0, 64.0)}
TOLERANCE, CELLS = 1e-10, 100


def constants() -> list[list[str]]:
    """Compare constants at the default tolerance."""
    rows = []
    for name, (structure, a, wanted) in MADELUNG.items():
        sums = lattice_sum(bulk("NaCl", structure, a=a))
        rows.append([name, f"{wanted:.14f}", f"{abs((sums[0, 1] - sums[0, 0]) / wanted - 1):.0e}"])
    for name, (structure, a, wanted) in A6.items():
        rows.append(
            [name, f"{wanted:.13f}", f"{abs(lattice_sum(bulk('Cu', structure, a=a), 6)[0, 0] / wanted - 1):.0e}"]
        )
    return rows


def random_crystal(rng: np.random.Generator) -> Atoms:
    """One to six atoms in a skewed cell whose edges differ by a factor of up to 20."""
    count, aspect = int(rng.integers(1, 7)), 20 ** rng.uniform(0, 1)
    lengths = rng.permutation([1.0, aspect ** (rng.random() * rng.integers(0, 2)), aspect])
    cell = 2.5 * lengths[:, None] * (np.eye(3) + 0.35 * rng.uniform(-1, 1, (3, 3)))
    return Atoms("H" * count, scaled_positions=rng.random((count, 3)), cell=cell, pbc=True)


def promise(options: dict[str, float]) -> list[float]:
    """Return, for random crystals, the largest error of all pairs as a share of what is promised."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(CELLS):
        atoms = random_crystal(rng)
        length = atoms.get_volume() ** (1 / 3)
        unit = length ** -options["power"] if "power" in options else math.exp(-options["decay"] * length)
        exact = lattice_sum(atoms, **options, tolerance=1e-14)
        error = np.abs(lattice_sum(atoms, **options, tolerance=TOLERANCE) - exact)
        shares.append(float((error / np.maximum(np.abs(exact), unit)).max()) / TOLERANCE)
    return shares


def three(count: int) -> Callable[[], None]:
    """Return a function that computes three sums for all pairs of a crystal of so many atoms, 18 Å^3 each."""
    rng = np.random.default_rng(count)
    cell = (18.0 * count) ** (1 / 3) * (np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3)))
    atoms = Atoms("H" * count, scaled_positions=rng.random((count, 3)), cell=cell, pbc=True)

    def run() -> None:
        for options in SUMS.values():
            lattice_sum(atoms, **options, tolerance=TOLERANCE)

    return run


def ions() -> dict[str, Callable[[], Any]]:
    """Return energy, forces and stress of 1,000 ions by ours, and pymatgen's energy and forces."""
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * 5
    atoms.rattle(0.1, seed=1)
    potential = Coulomb({"Na": 1.0, "Cl": -1.0}, TOLERANCE)
    out: dict[str, Callable[[], Any]] = {"lodewell": lambda: potential.evaluate(atoms)}
    try:
        ewald, ase = import_module("pymatgen.analysis.ewald"), import_module("pymatgen.io.ase")
    except ImportError:
        return out
    structure = ase.AseAtomsAdaptor.get_structure(atoms)
    structure.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    return out | {"pymatgen": lambda: ewald.EwaldSummation(structure, acc_factor=10, compute_forces=True).total_energy}


def main() -> None:
    """Measure and report."""
    rows = [[*row[:2], row[2], ""] for row in constants()]
    shares = {name: promise(options) for name, options in SUMS.items()}
    for name, share in shares.items():
        rows.append(
            [
                f"{name}, {CELLS} cells, aspect to 20",
                "promised 1e-10",
                f"{max(share) * TOLERANCE:.1e}",
                f"{min(share):.3f}",
            ]
        )
    report(
        "lattice-sums-errors",
        "Lattice sums: errors",
        ["sum", "reference", "largest error", "least share of the promise used"],
        rows,
        "Constants: relative, at the default tolerance of 1e-12; A6 by epsteinlib. Cells: in max(|S|, f(V^(1/3))), "
        "against a tolerance of 1e-14; the last column is the crystal whose worst pair is the best.",
        shares=shares,
    )
    timings = race({str(n): three(n) for n in PUBLISHED}, runs=60)
    report(
        "lattice-sums",
        "Three lattice sums, all pairs of a crystal",
        ["atoms", "lodewell (ms)", "closed form in torch (ms)", "published code of PotNet (ms)"],
        [[n, f"{1e3 * timings[str(n)].cpu_seconds:.2f}", slow[1], slow[0]] for n, slow in PUBLISHED.items()],
        "r^-1, r^-6 and exp(-3 r) at 1e-10 in the measure of the promise, one thread, median of processor time over "
        "interleaved runs. The other two columns are quoted, from another machine.",
        milliseconds={n: [1e3 * s for s in t.runs] for n, t in timings.items()},
    )
    contenders = ions()
    runs = {name: race({name: run}, runs=20 if name == "lodewell" else 1)[name] for name, run in contenders.items()}
    report(
        "lattice-sums-ions",
        "Coulomb energy and forces of 1,000 ions",
        ["code", "seconds", "tolerance"],
        [
            [name, f"{t.cpu_seconds:.3g}", "1e-10" if name == "lodewell" else "acc_factor 10"]
            for name, t in runs.items()
        ],
        "Rattled rock salt, one thread, processor time; lodewell gives the stress as well.",
    )


if __name__ == "__main__":
    main()
