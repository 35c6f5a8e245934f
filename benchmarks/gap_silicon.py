"""Silicon that a GAP was not fitted to: phases under the potential of random crystals and of mlearn Si, against DFT.

`python benchmarks/gap_silicon.py [POINTS [FRAMES]]`: five minutes on one thread for 2,000 points and 3,000 frames. The
potential is kept in `benchmarks/.cache/gap`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from harness import one_thread, report

one_thread()

import numpy as np  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.spacegroup import crystal  # noqa: E402

import lodewell  # noqa: E402
from gap_cases import CACHE, errors  # noqa: E402
from lodewell.crystals.labels import Labelled, read_labels  # noqa: E402
from lodewell.fit.data import LabelledSource  # noqa: E402
from lodewell.fit.gap import fit_gap_files  # noqa: E402
from lodewell.fit.gap_options import GAPOptions  # noqa: E402
from lodewell.potentials.gap.gap import GAP  # noqa: E402
from uf_cases import file_of  # noqa: E402

RANDOM = Path(os.environ.get("SILICON_RANDOM", Path(__file__).parents[2] / "shared" / "data" / "silicon-random"))
POINTS, FRAMES = 2_000, 3_000
HIGHEST = 3.0  # eV/atom above diamond: what is above is no silicon that a search would meet
DIAMOND = -5.425  # eV/atom in both sets, to 0.3 meV
APART = 0.025  # eV/atom: phases further apart must stand in the right order
# Energies above diamond by DFT (PBE), eV/atom (design/methods/search.md).
DFT = {
    "diamond": 0.0, "hexagonal diamond": 0.011, "bc8": 0.163, "st12": 0.172, "β-Sn": 0.322, "simple hexagonal": 0.344,
    "bcc": 0.572, "fcc": 0.590,
}  # fmt: skip


def phases() -> dict[str, Atoms]:
    """Return the crystals by their Wyckoff positions, at about their volumes in experiment or DFT."""
    hexagonal, tin = (3.85, 6.37), (4.81, 2.66)
    return {
        "diamond": bulk("Si", "diamond", a=5.47),
        "hexagonal diamond": _crystal([(1 / 3, 2 / 3, 0.0625)], 194, [*hexagonal[:1] * 2, hexagonal[1], 90, 90, 120]),
        "bc8": _crystal([(0.1003, 0.1003, 0.1003)], 206, [6.66] * 3 + [90] * 3),
        "st12": _crystal([(0.0912, 0.0912, 0.0), (0.1730, 0.3784, 0.2486)], 96, [5.66, 5.66, 6.80, 90, 90, 90]),
        "β-Sn": _crystal([(0.0, 0.0, 0.0)], 141, [tin[0], tin[0], tin[1], 90, 90, 90]),
        "simple hexagonal": Atoms("Si", cell=[2.64, 2.64, 2.47, 90, 90, 120], pbc=True),
        "bcc": bulk("Si", "bcc", a=3.09),
        "fcc": bulk("Si", "fcc", a=3.87),
    }


def _crystal(sites: Sequence[tuple[float, float, float]], group: int, cell: Sequence[float]) -> Atoms:
    built = crystal(["Si"] * len(sites), sites, spacegroup=group, cellpar=list(cell), primitive_cell=True)
    return Atoms(built.numbers, built.positions, cell=built.cell, pbc=True)


def random_frames(count: int, highest: float = np.inf) -> list[Labelled]:
    """Return so many frames of `silicon-random`, evenly from all its files, without those that are too high (eV)."""
    known = [
        frame for n in (4, 6, 8, 16) for frame in read_labels(RANDOM / f"Si{n}.extxyz.gz")
        if frame.energy is not None and frame.energy / len(frame.atoms) < DIAMOND + highest
    ]  # fmt: skip
    return [known[k] for k in np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int)]


@dataclass(frozen=True)
class Made:
    """A potential and what making it took."""

    potential: GAP
    facts: dict[str, Any]


def data(folder: Path, frames: int) -> tuple[list[Path], list[Labelled]]:
    """Write the training sets; return their files, and random frames that are left over for a test."""
    from ase.io import write

    folder.mkdir(parents=True, exist_ok=True)
    known = random_frames(10**9, HIGHEST)
    chosen = set(np.linspace(0, len(known) - 1, min(frames, len(known))).round().astype(int).tolist())
    seen = {_key(known[k]) for k in chosen}
    rest = [frame for k, frame in enumerate(known) if k not in chosen and _key(frame) not in seen]
    write(folder / "random.extxyz", [_labelled(known[k]) for k in sorted(chosen)], format="extxyz")
    return [folder / "random.extxyz", file_of("Si", "train")], rest[:: max(1, len(rest) // 500)]


def _key(frame: Labelled) -> tuple[int, float]:
    return len(frame.atoms), round(frame.energy or 0.0, 5)


def _labelled(frame: Labelled) -> Atoms:
    atoms = Atoms(frame.atoms.numbers, frame.atoms.positions, cell=frame.atoms.cell, pbc=True)
    atoms.info |= {"REF_energy": frame.energy, "config_type": "random"}
    atoms.arrays["REF_forces"] = frame.forces_nc
    return atoms


def made(points: int, frames: int) -> tuple[Made, list[Labelled]]:
    """Fit, and keep the potential; return it and the random frames that were left out."""
    paths, rest = data(CACHE / "silicon", frames)
    options = GAPOptions(points=points)
    start = time.process_time()
    fitted = fit_gap_files(LabelledSource([str(path) for path in paths], options), options)
    assert isinstance(fitted.potential, GAP)
    facts = {**fitted.facts, "notes": list(fitted.notes), "cpu_seconds": time.process_time() - start}
    fitted.potential.save(CACHE / "silicon.lodewell", **fitted.facts)
    return Made(fitted.potential, facts), rest


def relaxed(potential: GAP) -> dict[str, dict[str, float]]:
    """Relax every phase with its symmetry kept; return energies over diamond (eV/atom) and volumes (Å^3/atom)."""
    crystals = phases()
    results = lodewell.relax(
        list(crystals.values()), potential, keep_symmetry=True, fmax=1e-4, max_steps=500, duplicates=False
    )
    found = {}
    for name, result in zip(crystals, results, strict=True):
        if result.atoms is None or result.energy_per_atom is None:
            found[name] = {"energy": np.nan, "volume": np.nan, "deviation": np.nan}
            continue
        (spread,) = potential.uncertainty(result.atoms)
        count = len(result.atoms)
        found[name] = {
            "energy": result.energy_per_atom, "volume": result.atoms.get_volume() / count,
            "deviation": spread.energy / count,
        }  # fmt: skip
    zero = found["diamond"]["energy"]
    return {name: {**each, "energy": each["energy"] - zero} for name, each in found.items()}


def ordered(energies: dict[str, float]) -> list[tuple[str, str]]:
    """Return the pairs of phases, further apart than `APART` by DFT, that stand in the wrong order."""
    return [
        (a, b) for a, b in combinations(DFT, 2)
        if DFT[b] - DFT[a] > APART and not energies[a] < energies[b]
    ]  # fmt: skip


def main() -> None:
    """Fit, relax, and report."""
    points, frames = ([int(word) for word in sys.argv[1:]] + [POINTS, FRAMES][len(sys.argv) - 1 :])[:2]
    done, rest = made(points, frames)
    found = relaxed(done.potential)
    left_out = errors(done.potential, rest)
    mlearn = errors(done.potential, list(read_labels(file_of("Si", "test"))))
    energies = {name: each["energy"] for name, each in found.items()}
    wrong = ordered(energies)
    off = [1e3 * abs(energies[name] - DFT[name]) for name in DFT if name != "diamond"]
    rows = [
        [name, f"{1e3 * DFT[name]:.0f}", f"{1e3 * each['energy']:.0f}", f"{1e3 * (each['energy'] - DFT[name]):+.0f}",
         f"{1e3 * each['deviation']:.1f}", f"{each['volume']:.2f}"]
        for name, each in found.items()
    ]  # fmt: skip
    rows.append(["mean absolute error", "", "", f"{np.mean(off):.0f}", "", ""])
    order = "every pair is" if not wrong else "not so: " + ", ".join(f"{a} above {b}" for a, b in wrong)
    report(
        "gap_silicon",
        "Phases of silicon under a GAP fitted to random crystals and mlearn Si: energies above diamond (meV/atom)",
        ["", "DFT (PBE)", "GAP", "off by", "standard deviation", "volume (Å³/atom)"],
        rows,
        f"{done.facts['coefficients']:,} coefficients, {frames:,} crystals of silicon-random within {HIGHEST:g} "
        "eV/atom of diamond and the training set of mlearn Si, no other options. Both sets have diamond at the same "
        "energy within 0.3 meV/atom, none is shifted. The random crystals hold some that have found diamond, and near "
        f"relatives of other phases; none was put there. Pairs of phases more than {1e3 * APART:.0f} meV/atom apart "
        f"in the right order: {order}. Errors on {len(rest)} random crystals that were left out: "
        f"{left_out['energy_mae']:.0f} meV/atom, {left_out['force_rmse']:.2f} eV/Å RMSE; on the test set of mlearn Si "
        f"{mlearn['energy_mae']:.1f} meV/atom, {mlearn['force_mae']:.3f} eV/Å (MAE).",
        phases=found, wrong=wrong, mae_meV=float(np.mean(off)), left_out=left_out, mlearn=mlearn, facts=done.facts,
    )  # fmt: skip


if __name__ == "__main__":
    main()
