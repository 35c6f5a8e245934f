"""Measure whether relaxing with the statistical potential first saves steps of the reference method.

    python -m benchmarks.acceleration.steps candidates --data ../shared/data/crystals
    python -m benchmarks.acceleration.steps run --engine xtb --start raw,push
    python -m benchmarks.acceleration.steps run --engine xtb --start spp --potential table.lodewell
    python -m benchmarks.acceleration.steps report

`run` appends one JSON line a finished relaxation to results/acceleration/ENGINE.jsonl and skips those already there.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import platform
import resource
import shutil
import time
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import LBFGS

from benchmarks.acceleration.candidates import all_candidates
from benchmarks.baselines import push_apart
from benchmarks.harness import DATA, RESULTS

OUT = RESULTS / "acceleration"
FMAX = 0.1  # eV/Å, and eV an atom for the cell
CAP = {"xtb": 60, "dft": 50}
ACCURACY = 30.0  # of tblite: 0.004 meV/atom and 0.008 eV/Å (where the largest force is 39 eV/Å) from the default


def processor_seconds() -> float:
    """Return the seconds of processor time of this process and of those it has started and finished."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def reference(engine: str, atoms: Atoms) -> Calculator:
    """Return the calculator of the reference method."""
    if engine == "xtb":
        from tblite.ase import TBLite

        return TBLite(method="GFN1-xTB", accuracy=ACCURACY, verbosity=0)
    from benchmarks.acceleration.dft import espresso

    return espresso(atoms)


def start_spp(atoms: Atoms, potential: str) -> tuple[Atoms, dict[str, Any]]:
    """Relax positions and cell with the statistical potential to 0.02 eV/Å; return that and how it went."""
    from lodewell import load, relax

    result = relax(atoms, load(potential), fmax=0.02)[0]
    if not result.sane:
        return atoms, {"start_status": result.status, "start_message": f"raw start used: {result.message}"}
    return result.atoms, {"start_status": result.status, "start_steps": result.steps}


def finish(atoms: Atoms, engine: str, deadline: float) -> tuple[dict[str, Any], Atoms]:
    """Relax with the reference method; return what happened, and the last geometry."""
    work = atoms.copy()
    work.info = {}
    work.calc = reference(engine, work)
    row: dict[str, Any] = {"fmax": FMAX, "cap": CAP[engine], "optimizer": "LBFGS, Fréchet cell filter"}
    wall, cpu = time.perf_counter(), processor_seconds()
    free = FrechetCellFilter(work)
    optimizer = LBFGS(free, logfile=None)
    energies: list[float] = []
    forces: list[float] = []

    def record() -> None:
        energies.append(round(float(work.get_potential_energy()) / len(work), 5))
        forces.append(round(float(np.linalg.norm(free.get_forces(), axis=1).max()), 3))

    optimizer.attach(record)
    status, message = "capped", ""
    try:
        for converged in optimizer.irun(fmax=FMAX, steps=CAP[engine]):
            status = "converged" if converged else "capped"
            if time.time() > deadline:
                status, message = "stopped", "the time given to the whole run ended"
                break
        row["energy_per_atom"] = float(work.get_potential_energy()) / len(work)
        row["max_force"] = float(np.linalg.norm(work.get_forces(), axis=1).max())
        row["max_stress_eV_A3"] = float(np.abs(work.get_stress()).max())
    except Exception as error:  # any failure of the reference method is a result of this benchmark
        status, message = "failed", f"{type(error).__name__}: {error}"[:300]
    row |= {"status": status, "message": message, "steps": optimizer.nsteps + 1,
            "wall_s": round(time.perf_counter() - wall, 2), "cpu_s": round(processor_seconds() - cpu, 2),
            "volume_per_atom": work.get_volume() / len(work),
            "energies_per_atom": energies, "max_generalised_forces": forces}  # fmt: skip
    work.calc = None
    return row, work


def one(atoms: Atoms, engine: str, start: str, potential: str, deadline: float) -> tuple[dict[str, Any], Atoms]:
    """Prepare one candidate and finish it; return its line of the ledger and its last geometry."""
    row: dict[str, Any] = {"id": atoms.info["id"], "start": start, "engine": engine}
    row |= {k: atoms.info[k] for k in ("system", "kind", "parent", "formula")} | {"atoms": len(atoms)}
    began = time.perf_counter()
    if start == "spp":
        begin, how = start_spp(atoms, potential)
        row |= how | {"potential": Path(potential).name}
    else:
        begin = push_apart(atoms) if start == "push" else atoms
    row["start_s"] = round(time.perf_counter() - began, 3)
    row["start_volume_per_atom"] = begin.get_volume() / len(begin)
    result, last = finish(begin, engine, deadline)
    row |= result | {"machine": platform.processor() or platform.machine(), "date": time.strftime("%F %T")}
    row["preloaded"] = Path(os.environ.get("LD_PRELOAD", "")).name  # a faster BLAS than the wheel's, say
    last.info = {"id": row["id"], "start": start, "status": row["status"]}
    return row, last


def run(engine: str, starts: list[str], potential: str, stop_at: str, only: str, paired: bool) -> None:
    """Finish every candidate from every start, appending to the ledger."""
    if "spp" in starts:
        # Compile outside the timing.
        start_spp(Atoms("LiO", [[0, 0, 0], [2, 2, 2]], cell=[4, 4, 4], pbc=True), potential)
    deadline = datetime.fromisoformat(stop_at).timestamp() if stop_at else float("inf")
    ledger = OUT / f"{engine}.jsonl"
    done = {(r["id"], r["start"]) for r in rows_of(ledger)}
    crystals = [a for a in read(OUT / "candidates.extxyz", ":") if a.info["engine"] == engine]
    # The first of every system, then the second of every system: an early stop leaves systems balanced.
    crystals.sort(key=lambda a: int(a.info["id"].rsplit("-", 1)[1]))
    if paired:
        tasks = [(start, atoms) for atoms in crystals for start in starts]
    else:
        tasks = [(start, atoms) for start in starts for atoms in crystals]
    for start, atoms in tasks:
        if (atoms.info["id"], start) in done or only not in atoms.info["id"] or time.time() > deadline:
            continue
        row, last = one(atoms, engine, start, potential, deadline)
        if row["status"] == "stopped":
            return
        write(OUT / f"{engine}-final.extxyz", last, append=True, format="extxyz")
        with ledger.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        print(row["id"], start, row["kind"], row["status"], row["steps"], row["cpu_s"], row["message"], flush=True)


def rows_of(ledger: Path) -> list[dict[str, Any]]:
    """Read a ledger, a line cut short by a kill left out."""
    out = []
    for line in ledger.read_text(encoding="utf-8").splitlines() if ledger.exists() else []:
        try:
            out.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return out


def candidates(data: Path) -> None:
    """Write the candidates and the formulas that the table judged here must not have seen."""
    OUT.mkdir(parents=True, exist_ok=True)
    crystals = all_candidates(data)
    target = OUT / "candidates.extxyz"
    if target.exists():
        shutil.copy(target, target.with_suffix(".bak"))
    write(target, crystals, format="extxyz")
    target.with_suffix(".bak").unlink(missing_ok=True)
    # The parents' formulas, and those of the candidates, where a substitution makes another known compound.
    formulas = {a.info[k] for a in crystals for k in ("parent_formula", "formula")}
    (OUT / "excluded-formulas.txt").write_text("\n".join(sorted(formulas)) + "\n")
    print(f"{len(crystals)} candidates, {len(formulas)} formulas to leave out of the derivation")


def main() -> None:
    """Parse and go."""
    warnings.filterwarnings("ignore", message="logm result may be inaccurate")  # says 5e-13
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("candidates", help="make the candidates")
    verb.add_argument("--data", type=Path, default=DATA / "crystals")
    verb = verbs.add_parser("run", help="relax them with the reference method; resumes")
    verb.add_argument("--engine", choices=("xtb", "dft"), default="xtb")
    verb.add_argument("--start", default="raw", help="raw, push or spp; several with commas")
    verb.add_argument("--potential", default="spp", help="name or file of the table for the spp start")
    verb.add_argument("--stop-at", default="", help="ISO time after which nothing more is begun")
    verb.add_argument("--only", default="", help="a part of the ids to run")
    verb.add_argument("--paired", action="store_true", help="all starts of a candidate before the next candidate")
    verbs.add_parser("report", help="print the distribution; write acceleration.json and the figure")
    given = parser.parse_args()
    if given.verb == "candidates":
        candidates(given.data)
    elif given.verb == "run":
        run(given.engine, given.start.split(","), given.potential, given.stop_at, given.only, given.paired)
    else:
        from benchmarks.acceleration.report import report

        report(OUT)


if __name__ == "__main__":
    main()
