"""GAP against the reference code with the same model: predictions, error bars, SOAP, search cells; one thread.

Five minutes: `python -m benchmarks.speed.gap`. The reference code is QUIP by `quippy-ase`; SOAP is also timed in
featomic if it can be imported here, or by the Python that FEATOMIC_PYTHON names. `--quick` takes small cells and
single runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import one_thread, peak_memory_MB, race, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402

QUICK = "--quick" in sys.argv
RUNS = 1 if QUICK else 5
CELLS = (3, 5) if not QUICK else (2, 3)  # of 8 atoms, along each edge
LARGE = 23 if not QUICK else 6  # of the large cell: 97,336 atoms
SEARCH = 500 if not QUICK else 50
RATTLE = 0.1  # Å
SOAP_CUTOFF, SOAP_WIDTH = 5.0, 1.0


def silicon(edge: int) -> Atoms:
    """Return a rattled crystal of 8 edge³ atoms."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True) * (edge, edge, edge)
    atoms.positions += np.random.default_rng(0).normal(0.0, RATTLE / np.sqrt(3.0), atoms.positions.shape)
    return atoms


def search_cells(count: int) -> list[Atoms]:
    """Return random cells of 1 to 16 atoms, 14 to 26 Å³ an atom, none closer than 1.8 Å."""
    from ase.geometry import cellpar_to_cell
    from ase.neighborlist import neighbor_list

    rng, out = np.random.default_rng(0), []
    while len(out) < count:
        number = 1 + len(out) % 16
        cell = cellpar_to_cell([*rng.uniform(0.8, 1.25, 3), *rng.uniform(60.0, 120.0, 3)])
        if not abs(np.linalg.det(cell)) > 0.3:
            continue
        cell *= (number * rng.uniform(14.0, 26.0) / abs(np.linalg.det(cell))) ** (1 / 3)
        atoms = Atoms("Si", rng.random((1, 3)) @ cell, cell=cell, pbc=True)
        for _ in range(2000):
            if len(atoms) == number:
                break
            more = atoms + Atoms("Si", rng.random((1, 3)) @ cell)
            if not len(neighbor_list("i", more, 1.8)):
                atoms = more
        if len(atoms) == number and not len(neighbor_list("i", atoms, 1.8)):
            out.append(atoms)
    return out


def matrix_rate(rows: int, inner: int, columns: int, dtype: Any = np.float64) -> float:
    """Measure the rate of a matrix product (GFLOP/s)."""
    rng = np.random.default_rng(0)
    a, b = rng.random((rows, inner)).astype(dtype), rng.random((inner, columns)).astype(dtype)
    out = np.empty((rows, columns), dtype=dtype)
    times = max(1, int(2e9 / (2.0 * rows * inner * columns)))

    def go() -> None:
        for _ in range(times):
            np.matmul(a, b, out=out)

    return 2e-9 * rows * inner * columns * times / race({"it": go}, max(3, RUNS))["it"].cpu_seconds


class Theirs:
    """The reference code with a model file."""

    def __init__(self, xml: Path) -> None:
        from benchmarks.gap.cases import peer

        self.calculator = peer(xml)

    def compute(self, atoms: Atoms, properties: Sequence[str] = ("energy", "forces"), more: str = "") -> dict[str, Any]:
        """Compute some properties anew; what else comes out is among them."""
        self.calculator.calculate(atoms, list(properties), calc_args=more)
        return {**self.calculator.results, **self.calculator.extra_results["atoms"]}


def exported(folder: Path) -> tuple[Any, Path]:
    """Return the model of the reference code's settings, and its file for the reference code."""
    from benchmarks.gap.cases import potential
    from lodewell.interop.quip.gap import write_quip

    gap = potential("Si", "same")
    return gap, next(path for path in write_quip(gap, None, folder, name="gap") if path.suffix == ".xml")


def agreement(gap: Any, theirs: Theirs, crystals: Sequence[Atoms]) -> dict[str, float]:
    """Return the largest differences: energy (eV/atom), forces (eV/Å), stress (eV/Å³)."""
    worst = {"energy": 0.0, "forces": 0.0, "stress": 0.0}
    for atoms, mine in zip(crystals, gap.evaluate(list(crystals)), strict=True):
        other = theirs.compute(atoms, ("energy", "forces", "stress"))
        xx, yy, zz, yz, xz, xy = other["stress"]
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        worst["energy"] = max(worst["energy"], abs(mine.energy - other["energy"]) / len(atoms))
        worst["forces"] = max(worst["forces"], float(np.abs(mine.forces_nc - other["forces"]).max()))
        worst["stress"] = max(worst["stress"], float(np.abs(mine.stress_cc - stress).max()))
    return worst


def predictions(gap: Any, theirs: Theirs) -> dict[str, Any]:
    """Time energies and forces of two cells, in double and single precision, and with deviations of atomic energies."""
    single, variance = gap.in_single_precision(), "local_gap_variance"
    found: dict[str, Any] = {}
    for edge in CELLS:
        atoms = silicon(edge)
        assert variance in theirs.compute(atoms, more=variance)
        timed = race(
            {
                "ours": lambda a=atoms: gap.evaluate(a),
                "single": lambda a=atoms: single.evaluate(a),
                "deviations": lambda a=atoms: (gap.evaluate(a), gap.atomic_deviations(a)),
                "theirs": lambda a=atoms: theirs.compute(a),
                "their deviations": lambda a=atoms: theirs.compute(a, more=variance),
            },
            RUNS,
        )
        per = {name: 1e6 * timing.cpu_seconds / len(atoms) for name, timing in timed.items()}
        (double,), (other,) = gap.evaluate(atoms), single.evaluate(atoms)
        found[str(len(atoms))] = per | {
            "single: energy (eV/atom)": abs(double.energy - other.energy) / len(atoms),
            "single: forces (eV/Å)": float(np.abs(double.forces_nc - other.forces_nc).max()),
        }
    return found


def products(gap: Any) -> dict[str, float]:
    """Return the arithmetic of a prediction's matrix products, and what rate this machine has for them."""
    (many,) = [t for t in gap.terms if t.descriptor.kind == "soap"]
    points, size = many.points_md.shape
    neighbours = 30.0
    block = max(1, int((1 << 14) / neighbours))  # as many atoms are multiplied at once
    return {
        "points": points, "size": size, "flop_per_atom": 4.0 * points * size,
        "GFLOP/s": matrix_rate(1000, 1000, 1000), "GFLOP/s of these": matrix_rate(block, size, points),
        "GFLOP/s single": matrix_rate(1000, 1000, 1000, np.float32),
    }  # fmt: skip


def soap(atoms: Atoms) -> dict[str, Any]:
    """Time SOAP of n 8, l 6 and the adjoint gradient of a scalar: here and in the reference code."""
    from quippy.descriptors import Descriptor

    from lodewell.descriptors._soap import soap_vectors
    from lodewell.descriptors._soap_gradients import soap_forces
    from lodewell.descriptors.environments import Soap
    from lodewell.descriptors.legs import Legs
    from lodewell.potentials.gap.soap import SoapKernel

    shape = Soap(14, (14,), SOAP_CUTOFF, SOAP_WIDTH, 8, 6, 0.5)
    kernel = SoapKernel(shape, 1.0, np.zeros((0, shape.size)), np.zeros(0))
    blocks = list(Legs.of_atoms(atoms, SOAP_CUTOFF))
    rng = np.random.default_rng(0)
    pulls = [rng.normal(size=(b.end - b.begin, shape.size)) for b in blocks]
    forces, virials = np.zeros((len(atoms), 3)), np.zeros((1, 3, 3))

    def values() -> Any:
        return [soap_vectors(b.of_species(14), *kernel._geometry(b)) for b in blocks]

    def adjoint() -> None:
        for b, g, (p, norm, c) in zip(blocks, pulls, values(), strict=True):
            soap_forces(
                b.of_species(14), *kernel._geometry(b), p, norm, c, g, b.crystal_n, forces, virials
            )  # fmt: skip

    def with_neighbours() -> None:
        for b in Legs.of_atoms(atoms, SOAP_CUTOFF):
            soap_vectors(b.of_species(14), *kernel._geometry(b))

    theirs = Descriptor(
        f"soap cutoff={SOAP_CUTOFF} cutoff_transition_width={SOAP_WIDTH} n_max=8 l_max=6 atom_sigma=0.5 n_species=1"
        " species_Z={14} n_Z=1 Z={14}"
    )
    timed = race(
        {
            "values": values, "with neighbours": with_neighbours, "adjoint": adjoint,
            "their values": lambda: theirs.calc(atoms), "their gradients": lambda: theirs.calc(atoms, grad=True),
        },
        RUNS,
    )  # fmt: skip
    found: dict[str, Any] = {name: 1e6 * timing.cpu_seconds / len(atoms) for name, timing in timed.items()}
    p = np.concatenate([v[0] for v in values()])
    found["difference"] = float(np.abs(p - theirs.calc(atoms)["data"][:, :-1]).max())
    return found | by_featomic(atoms)


def by_featomic(atoms: Atoms) -> dict[str, float]:
    """Time featomic in a process of its own, if it is there."""
    python = os.environ.get("FEATOMIC_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        atoms.write(f"{folder}/cell.extxyz")
        command = [python, "-m", __spec__.name, "--featomic", f"{folder}/cell.extxyz", str(RUNS)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print("featomic was left out:", (done.stderr.strip() or done.stdout.strip()).splitlines()[-1], file=sys.stderr)
        return {}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def featomic_child(path: str, runs: int) -> None:
    """Time featomic and print what it took, µs an atom."""
    from ase.io import read
    from featomic import SoapPowerSpectrum

    atoms = read(path)
    calculator = SoapPowerSpectrum(
        cutoff={"radius": SOAP_CUTOFF, "smoothing": {"type": "ShiftedCosine", "width": SOAP_WIDTH}},
        density={"type": "Gaussian", "width": 0.5},
        basis={"type": "TensorProduct", "max_angular": 6, "radial": {"type": "Gto", "max_radial": 7}},
    )
    timed = race(
        {
            "featomic values": lambda: calculator.compute(atoms, use_native_system=True),
            "featomic gradients": lambda: calculator.compute(atoms, gradients=["positions"], use_native_system=True),
        },
        runs,
    )  # fmt: skip
    print(json.dumps({name: 1e6 * timing.cpu_seconds / len(atoms) for name, timing in timed.items()}))


def searching(gap: Any, theirs: Theirs) -> dict[str, Any]:
    """Time random cells: all at once here, one by one there."""
    cells = search_cells(SEARCH)
    atoms = sum(len(cell) for cell in cells)
    properties = ("energy", "forces", "stress")
    timed = race(
        {
            "ours": lambda: gap.evaluate(cells),
            "ours one by one": lambda: [gap.evaluate(cell) for cell in cells],
            "theirs": lambda: [theirs.compute(cell, properties) for cell in cells],
        },
        min(RUNS, 3),
    )
    return {
        "cells": len(cells), "atoms": atoms, "neighbours": neighbours_of(cells),
        **{name: 1e6 * timing.cpu_seconds / atoms for name, timing in timed.items()},
    }  # fmt: skip


def neighbours_of(crystals: Sequence[Atoms]) -> float:
    """Return the mean number of neighbours within the cutoff of SOAP."""
    from ase.neighborlist import neighbor_list

    pairs = sum(len(neighbor_list("i", a, SOAP_CUTOFF)) for a in crystals)
    return pairs / sum(len(a) for a in crystals)


def large_child() -> None:
    """Evaluate a large cell once and print what it took."""
    from benchmarks.gap.cases import potential

    gap, atoms = potential("Si", "same"), silicon(LARGE)
    gap.evaluate(silicon(1))  # loads the kernels
    before, start = peak_memory_MB(), time.process_time()
    gap.evaluate(atoms)
    seconds = time.process_time() - start
    print(json.dumps({"atoms": len(atoms), "us": 1e6 * seconds / len(atoms), "MB": peak_memory_MB(), "before": before}))


def large() -> dict[str, float]:
    """Evaluate a large cell in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, "--large", *(["--quick"] if QUICK else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and report."""
    from benchmarks.mlearn import file_of
    from lodewell.crystals.labels.read import read_labels

    with tempfile.TemporaryDirectory() as folder:
        gap, xml = exported(Path(folder))
        theirs = Theirs(xml)
        test = [frame.atoms for frame in read_labels(file_of("Si", "test"))]
        same = agreement(gap, theirs, [*test[:: 5 if QUICK else 1], *search_cells(32)])
        predicted = predictions(gap, theirs)
        machine = products(gap)
        searched = searching(gap, theirs)
    described = soap(silicon(CELLS[0]))
    big = large()
    write({"same": same, "predicted": predicted, "products": machine, "search": searched, "soap": described,
           "large": big, "neighbours": neighbours_of([silicon(CELLS[0])])})  # fmt: skip


def write(found: dict[str, Any]) -> None:
    """Report everything in one table."""
    rows: list[list[object]] = []
    machine, described, searched = found["products"], found["soap"], found["search"]
    least = machine["flop_per_atom"] / machine["GFLOP/s"] * 1e-3  # µs an atom

    def row(name: str, mine: float, other: float | None, share: str = "") -> None:
        theirs = ("", "") if other is None else (f"{other:,.0f}", f"{other / mine:.1f}")
        rows.append([name, f"{mine:.3g}", *theirs, share])

    for atoms, per in found["predicted"].items():
        name = f"energies and forces, {int(atoms):,} atoms of Si"
        row(name, per["ours"], per["theirs"], f"{least / per['ours']:.0%}")
        row("… products in single precision", per["single"], per["theirs"])
        row("… with deviations of atomic energies", per["deviations"], per["their deviations"])
    row(f"{searched['cells']} random cells of 1 to 16 atoms, with stresses", searched["ours"], searched["theirs"])
    row("… one by one here, too", searched["ours one by one"], searched["theirs"])
    row(f"energies and forces, {found['large']['atoms']:,.0f} atoms of Si", found["large"]["us"], None)
    row("SOAP (n 8, l 6), neighbours known", described["values"], described["their values"])
    row("… and found", described["with neighbours"], described["their values"])
    row("SOAP and the gradient of a scalar", described["adjoint"], described["their gradients"])
    if "featomic values" in described:
        row("SOAP against featomic (with its neighbours)", described["with neighbours"], described["featomic values"])
        row("… and gradients", described["adjoint"], described["featomic gradients"])
    worst = list(found["predicted"].values())[-1]
    report(
        "gap",
        "GAP: lodewell and the reference code with the same model (µs/atom)",
        ["", "lodewell", "reference code", "times as long", "share of the machine's matrix-product rate"],
        rows,
        f"{machine['points']:.0f} points of SOAP with {machine['size']:.0f} numbers each and 15 of distances, cutoff "
        f"5 Å, {found['neighbours']:.0f} neighbours in Si and {searched['neighbours']:.0f} in the random cells; "
        f"neighbour lists included, processor time on one thread, in turns, medians of {RUNS} runs. Share: the two "
        f"matrix products of a prediction, {machine['flop_per_atom'] / 1e6:.2f} MFLOP an atom, would take {least:.1f} "
        f"µs at the {machine['GFLOP/s']:.0f} GFLOP/s that this machine reaches with large matrices "
        f"({machine['GFLOP/s of these']:.0f} with matrices of this shape). Single precision changes the energy by "
        f"{worst['single: energy (eV/atom)']:.0e} eV/atom and no force by more than "
        f"{worst['single: forces (eV/Å)']:.0e} eV/Å. Deviations: the full variance here, the prior part there. The "
        f"large cell: largest memory {found['large']['MB']:,.0f} MB, {found['large']['before']:,.0f} MB before. "
        "Gradients of SOAP: the adjoint here, all gradients there. Largest differences between the two codes on the "
        f"test set and random cells: {found['same']['energy']:.0e} eV/atom, {found['same']['forces']:.0e} eV/Å, "
        f"{found['same']['stress']:.0e} eV/Å³; of a component of SOAP {described['difference']:.0e}.",
        found=found,
    )  # fmt: skip


if __name__ == "__main__":
    if "--featomic" in sys.argv:
        featomic_child(sys.argv[2], int(sys.argv[3]))
    elif "--large" in sys.argv:
        large_child()
    else:
        main()
