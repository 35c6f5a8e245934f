"""What the benchmarks of GAP share: fits made once, the reference code's fits by its own command, and equal errors.

Fitted potentials are kept in `benchmarks/.cache/gap`. The reference code is QUIP by its wheel `quippy-ase`, whose
`gap_fit` must stand beside this Python.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import write
from ase.units import GPa

from benchmarks import harness
from benchmarks.mlearn import file_of
from lodewell.crystals.labels.read import Labelled
from lodewell.fit.gap.options import GAPOptions
from lodewell.fit.gap.run import fit_gap_files
from lodewell.fit.run import fit_to
from lodewell.potentials.gap.gap import GAP
from lodewell.potentials.store import load

CACHE = harness.CACHE / "gap"
# Å. With 5 Å the reference code would need 25 GB for Ni and Cu, whose sets are larger and whose crystals are denser.
CUTOFFS = {"Si": 5.0, "Ge": 5.0, "Li": 5.0, "Mo": 5.0, "Ni": 4.0, "Cu": 4.0}
SIGMAS = (0.001, 0.1, 0.05)  # eV/atom, eV/Å, eV/atom
DELTA_2BODY, DELTA_SOAP, LENGTH = 1.0, 1.0, 1.0  # eV, eV, Å
N_MAX, L_MAX, ATOM_SIGMA, ZETA, POINTS, POINTS_2BODY = 8, 6, 0.5, 4, 500, 15


def same_options(element: str, points: int = POINTS, cutoff: float = 0.0, **more: Any) -> GAPOptions:
    """Return the options that ask for what `peer_fit` asks for."""
    cutoff = cutoff or CUTOFFS[element]
    energy, force, virial = SIGMAS
    asked: dict[str, Any] = {
        "points": points, "cutoff": cutoff, "n_max": N_MAX, "l_max": L_MAX, "atom_sigma": ATOM_SIGMA, "zeta": ZETA,
        "delta": DELTA_SOAP, "points_2body": POINTS_2BODY, "cutoff_2body": cutoff, "length_2body": LENGTH,
        "delta_2body": DELTA_2BODY, "energy_sigma": energy, "force_sigma": force, "virial_sigma": virial,
        "baseline": "none",
    }  # fmt: skip
    return GAPOptions(**asked | more)


def options(element: str, case: str) -> GAPOptions:
    """Return the options of a case.

    same: kernels, number of points and σ of the reference code's run. default: nothing said. small: 150 points.
    """
    cases = {"same": lambda: same_options(element), "default": GAPOptions, "small": lambda: GAPOptions(points=150)}
    return cases[case]()


def fit(element: str, case: str, chosen: GAPOptions | None = None) -> tuple[GAP, dict[str, Any]]:
    """Fit, keep the potential, and return it with its facts and the processor time that it took."""
    chosen = chosen or options(element, case)
    start = time.process_time()
    fitted = fit_to(fit_gap_files, "gap", file_of(element, "train"), chosen)
    seconds = time.process_time() - start
    assert isinstance(fitted.potential, GAP)
    CACHE.mkdir(parents=True, exist_ok=True)
    fitted.potential.save(kept(element, case), **fitted.facts)
    return fitted.potential, {**fitted.facts, "notes": list(fitted.notes), "cpu_seconds": seconds}


def kept(element: str, case: str) -> Path:
    """Return where a fitted potential is kept."""
    return CACHE / f"{element}-{case}.lodewell"


def potential(element: str, case: str) -> GAP:
    """Return the potential that is kept, or fit it."""
    if not kept(element, case).exists():
        return fit(element, case)[0]
    found = load(str(kept(element, case)))
    assert isinstance(found, GAP)
    return found


def write_for_peer(path: Path, frames: Iterable[Labelled]) -> None:
    """Write labelled crystals as the reference code reads them."""
    out = []
    for frame in frames:
        atoms = Atoms(frame.atoms.numbers, frame.atoms.positions, cell=frame.atoms.cell, pbc=frame.atoms.pbc)
        atoms.info["dft_energy"] = frame.energy
        if frame.forces_nc is not None:
            atoms.arrays["dft_forces"] = frame.forces_nc
        if frame.stress_cc is not None:
            atoms.info["dft_virial"] = (-frame.stress_cc * atoms.get_volume()).ravel()
        out.append(atoms)
    write(path, out, format="extxyz")


def peer_fit(
    train: Path, xml: Path, cutoff: float, points: int = POINTS, sigmas: Sequence[float] = SIGMAS, **soap: Any
) -> dict[str, Any]:
    """Run the reference code's `gap_fit` on a file of `write_for_peer`; return what `run_command` measured."""
    xml.parent.mkdir(parents=True, exist_ok=True)
    for old in xml.parent.glob(f"{xml.name}*"):
        old.unlink()
    shape = {"n_max": N_MAX, "l_max": L_MAX, "atom_sigma": ATOM_SIGMA, "zeta": ZETA, "delta": DELTA_SOAP} | soap
    pair = (
        f"distance_2b cutoff={cutoff} cutoff_transition_width=1.0 covariance_type=ard_se delta={DELTA_2BODY}"
        f" theta_uniform={LENGTH} sparse_method=uniform n_sparse={POINTS_2BODY}"
    )
    many = (
        f"soap cutoff={cutoff} cutoff_transition_width=1.0 covariance_type=dot_product sparse_method=cur_points"
        f" n_sparse={points} " + " ".join(f"{name}={value}" for name, value in shape.items())
    )
    command = [
        str(Path(sys.executable).parent / "gap_fit"), f"atoms_filename={train}", f"gap={{{pair} : {many}}}",
        "default_sigma={" + " ".join(map(str, sigmas)) + " 0}", "e0_method=average", "energy_parameter_name=dft_energy",
        "force_parameter_name=dft_forces", "virial_parameter_name=dft_virial", "do_copy_at_file=F",
        "sparse_separate_file=T", "rnd_seed=1", f"gp_file={xml.name}",
    ]  # fmt: skip
    done = harness.run_command(command, cwd=xml.parent, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done["returncode"] or not xml.exists():
        raise SystemExit(done["output"][-3000:])
    return {key: done[key] for key in ("seconds", "cpu_seconds", "peak_MB")}


def peer(xml: Path) -> Any:
    """Return the calculator of a model file of the reference code."""
    from quippy.potential import Potential

    return Potential("", param_filename=str(xml), calculation_always_required=True)


def answers(calculator: Any, crystals: Iterable[Atoms]) -> list[tuple[float, Any, Any]]:
    """Return energy (eV), forces (N, 3), stress (3, 3) of each crystal by an ASE calculator or a potential of ours."""
    if isinstance(calculator, GAP):
        return [(r.energy, r.forces_nc, r.stress_cc) for r in calculator.evaluate(list(crystals))]
    out = []
    for crystal in crystals:
        atoms = Atoms(crystal.numbers, crystal.positions, cell=crystal.cell, pbc=crystal.pbc, calculator=calculator)
        out.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)))
    return out


def errors(calculator: Any, frames: Sequence[Labelled]) -> dict[str, float]:
    """Return MAE and RMSE of energies (meV/atom), force components (eV/Å), stress components (GPa)."""
    off: dict[str, list[Any]] = {"energy": [], "force": [], "stress": []}
    for frame, (energy, forces, stress) in zip(
        frames, answers(calculator, [f.atoms for f in frames]), strict=True
    ):  # fmt: skip
        if frame.energy is not None:
            off["energy"].append([1e3 * (energy - frame.energy) / len(frame.atoms)])
        if frame.forces_nc is not None:
            off["force"].append((forces - frame.forces_nc).ravel())
        if frame.stress_cc is not None and stress is not None:
            off["stress"].append(((stress - frame.stress_cc) / GPa)[np.triu_indices(3)])
    found = {}
    for kind, parts in off.items():
        if parts:
            all_of = np.concatenate(parts)
            found[f"{kind}_mae"] = float(np.abs(all_of).mean())
            found[f"{kind}_rmse"] = float(np.sqrt(np.mean(all_of**2)))
    return found


def symbols(numbers: Iterable[int]) -> str:
    """Write elements with hyphens."""
    return "-".join(chemical_symbols[z] for z in sorted(set(numbers)))
