"""Full neighbour lists at 6 Å (i, j, S, vectors) of 20 and of 1,080 atoms, one thread; about a minute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from benchmarks.harness import one_thread, race, report

one_thread()

from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.neighborlist import neighbor_list  # noqa: E402

CUTOFF = 6.0


def lodewell(atoms: Atoms) -> Any:
    from lodewell import neighbour_list

    return neighbour_list(atoms, CUTOFF)


def vesin(atoms: Atoms) -> Any:
    found = import_module("vesin").NeighborList(cutoff=CUTOFF, full_list=True)
    return found.compute(points=atoms.positions, box=atoms.cell.array, periodic=True, quantities="ijSD", copy=True)


def vesin_views(atoms: Atoms) -> Any:
    """Hand out arrays that the next call overwrites."""
    return _REUSED.compute(points=atoms.positions, box=atoms.cell.array, periodic=True, quantities="ijSD", copy=False)


def matscipy(atoms: Atoms) -> Any:
    return import_module("matscipy.neighbours").neighbour_list("ijSD", atoms, CUTOFF)


def ase(atoms: Atoms) -> Any:
    return neighbor_list("ijSD", atoms, CUTOFF)


def pymatgen(atoms: Atoms) -> Any:
    """Add the vectors with NumPy."""
    i_p, j_p, images_pc, _ = pymatgen_distances(atoms)
    x = atoms.positions
    return i_p, j_p, images_pc.astype(int), x[j_p] - x[i_p] + images_pc @ atoms.cell.array


def pymatgen_distances(atoms: Atoms) -> Any:
    """Return images and distances, without the vectors."""
    lattice = _LATTICES.setdefault(len(atoms), import_module("pymatgen.core").Lattice(atoms.cell.array))
    neighbours = import_module("pymatgen.optimization.neighbors").find_points_in_spheres
    return neighbours(atoms.positions, atoms.positions, CUTOFF, _PERIODIC, lattice.matrix, 1e-8)


_LATTICES: dict[int, Any] = {}
_PERIODIC = import_module("numpy").ones(3, dtype="long")
_REUSED: Any = None


def contenders() -> dict[str, Callable[[Atoms], Any]]:
    """Return who takes part: whoever is installed."""
    global _REUSED  # noqa: PLW0603
    out: dict[str, Callable[[Atoms], Any]] = {"lodewell": lodewell}
    for name, package, function in (
        ("vesin", "vesin", vesin),
        ("vesin, without copying out", "vesin", vesin_views),
        ("matscipy", "matscipy", matscipy),
        ("pymatgen, vectors added", "pymatgen", pymatgen),
        ("pymatgen, distances only", "pymatgen", pymatgen_distances),
    ):
        try:
            import_module(package)
        except ImportError:
            continue
        out[name] = function
    if "vesin" in out:
        _REUSED = import_module("vesin").NeighborList(cutoff=CUTOFF, full_list=True)
    return out | {"ASE": ase}


def crystal(repeat: tuple[int, int, int]) -> Atoms:
    """Copper, rattled."""
    atoms = bulk("Cu", "fcc", a=3.61, cubic=True) * repeat
    atoms.rattle(0.1, seed=1)
    return atoms


def main() -> None:
    """Measure and report."""
    rivals = contenders()
    rows: dict[str, list[object]] = {name: [name] for name in rivals}
    raw: dict[str, Any] = {}
    for repeat, runs, calls in (((5, 1, 1), 21, 100), ((6, 9, 5), 15, 5)):
        atoms = crystal(repeat)
        pairs = len(lodewell(atoms)[0])
        for name, function in rivals.items():
            assert len(function(atoms)[0]) in (pairs, pairs + len(atoms)), name
        timings = race({name: partial(_repeat, f, atoms, calls) for name, f in rivals.items()}, runs)
        for name, timing in timings.items():
            rows[name] += [f"{timing.cpu_seconds / calls / len(atoms) * 1e6:.2f}"]
            rows[name] += [f"{timing.cpu_seconds / timings['lodewell'].cpu_seconds:.1f}"]
            raw[f"{name}, {len(atoms)} atoms"] = [1e6 * t / calls / len(atoms) for t in timing.runs]
    report(
        "neighbours",
        "Neighbour lists at 6 Å, full: i, j, S and vectors",
        ["", "20 atoms: µs an atom", "of lodewell's", "1,080 atoms: µs an atom", "of lodewell's"],
        list(rows.values()),
        "Copper, 78 neighbours an atom; median of processor time over interleaved runs on one thread. ASE's `Atoms` "
        "in, NumPy arrays out. vesin without copying hands out arrays that its next call overwrites.",
        microseconds_an_atom=raw,
    )


def _repeat(function: Callable[[Atoms], Any], atoms: Atoms, calls: int) -> None:
    for _ in range(calls):
        function(atoms)


if __name__ == "__main__":
    main()
