"""Lattice sums: constants, errors against the promise on random cells, time of three sums, in torch too; a minute."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.harness import busy, one_thread, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

from lodewell import lattice_sum  # noqa: E402

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
WHO = ("lodewell", "lodewell in torch", "with gradients", "closed form in torch", "published code of PotNet")
TOLERANCE, CELLS = 1e-10, 100
CRYSTALS = 20  # that are computed one after the other in a timed run


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


def crystals(count: int) -> list[Atoms]:
    """Make up crystals of so many atoms, 18 Å^3 each."""
    rng = np.random.default_rng(count)
    return [
        Atoms(
            "H" * count,
            scaled_positions=rng.random((count, 3)),
            cell=(18.0 * count) ** (1 / 3) * (np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3))),
            pbc=True,
        )
        for _ in range(CRYSTALS)
    ]


def three(count: int) -> Callable[[], None]:
    """Return a function that computes three sums for all pairs of each crystal."""
    some = crystals(count)

    def run() -> None:
        for atoms in some:
            for options in SUMS.values():
                lattice_sum(atoms, **options, tolerance=TOLERANCE)

    return run


def in_torch(count: int) -> dict[str, Callable[[], None]]:
    """Return the same in torch: the sums alone, and with gradients by positions and cell."""
    try:
        import torch
    except ImportError:
        return {}
    from lodewell.predict import sums

    some = [(torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)) for atoms in crystals(count)]

    def alone() -> None:
        for x_nc, cell in some:
            for options in SUMS.values():
                sums.lattice_sum(x_nc, cell, **options, tolerance=TOLERANCE)

    def with_gradients() -> None:
        for positions, vectors in some:
            x_nc, cell = positions.clone().requires_grad_(), vectors.clone().requires_grad_()
            for options in SUMS.values():
                sums.lattice_sum(x_nc, cell, **options, tolerance=TOLERANCE).sum().backward()

    return {f"{count} in torch": alone, f"{count} with gradients": with_gradients}


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
    timings = race({str(n): three(n) for n in PUBLISHED}, runs=15)
    for n in PUBLISHED:
        timings |= race(in_torch(n), runs=7)

    def milliseconds(name: str) -> str:
        return f"{1e3 * timings[name].cpu_seconds / CRYSTALS:.2f}" if name in timings else "not installed"

    report(
        "lattice-sums",
        "Three lattice sums, all pairs of a crystal",
        ["atoms", *(f"{who} (ms)" for who in WHO)],
        [
            [n, *(milliseconds(f"{n}{what}") for what in ("", " in torch", " with gradients")), slow[1], slow[0]]
            for n, slow in PUBLISHED.items()
        ],
        "r^-1, r^-6 and exp(-3 r) at 1e-10 in the measure of the promise, one thread, median of processor time over "
        f"interleaved runs of {CRYSTALS} crystals each, per crystal. The last two columns are quoted, from another "
        f"machine. {busy()}",
        milliseconds={n: [1e3 * s for s in t.runs] for n, t in timings.items()},
    )


if __name__ == "__main__":
    main()
