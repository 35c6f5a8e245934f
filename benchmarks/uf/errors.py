"""UF potentials of the six mlearn elements against the reference package, GAP and MTP, and elastic constants of Si.

Some minutes on one thread: `python -m benchmarks.uf.errors [Si Ge ...]`. Elements that are not named keep what
`results/uf_errors.json` says of them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.harness import RESULTS, one_thread, report

one_thread()

from ase.build import bulk  # noqa: E402
from ase.units import GPa  # noqa: E402

import lodewell  # noqa: E402
from benchmarks.mlearn import ELEMENTS, PUBLISHED, file_of  # noqa: E402
from benchmarks.uf.cases import fit  # noqa: E402
from lodewell.crystals.labels.read import read_labels  # noqa: E402
from lodewell.judge.check.elastic import elastic_constants  # noqa: E402
from lodewell.judge.test.comparison import errors_of  # noqa: E402
from lodewell.potentials.uf.uf import UF  # noqa: E402

CASES = ("same", "default", "embed")
STRESSED = ("stress", "embed-stress")  # of Si alone
ELASTIC = {"C11": 156, "C12": 65, "C44": 76}  # GPa, of Si by the functional that the set was computed with
REFERENCE = {"C11": 108, "C12": 59, "C44": 37}  # the reference package at its default weights


def measured(element: str, case: str) -> dict[str, Any]:
    """Fit one case and test it."""
    potential, facts = fit(element, case)
    errors = errors_of(potential, read_labels(file_of(element, "test")), uncertainty=False, points=0)
    found = {
        "energy_mae_meV": 1e3 * (errors.energy.mae or 0.0), "force_mae": errors.force.mae,
        "energy_rmse_meV": 1e3 * (errors.energy.rmse or 0.0), "force_rmse": errors.force.rmse,
        "stress_mae_GPa": None if errors.stress.mae is None else errors.stress.mae / GPa, **facts,
    }  # fmt: skip
    return {**found, "elastic_GPa": elastic(potential)} if element == "Si" else found


def elastic(potential: UF) -> dict[str, float]:
    """Return C11, C12, C44 of diamond Si at rest, and its edge."""
    (result,) = lodewell.relax([bulk("Si", "diamond", a=5.47, cubic=True)], potential, fmax=1e-5, duplicates=False)
    assert result.atoms is not None
    constants = elastic_constants(potential, result.atoms).constants()
    return {name: c / GPa for name, c in constants.items()} | {"edge_A": float(result.atoms.cell.lengths()[0])}


def main() -> None:
    """Fit what is asked for and report everything that is known."""
    kept = RESULTS / "uf_errors.json"
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))["elements"] if kept.exists() else {}
    for element in sys.argv[1:] or ELEMENTS:
        cases = (*CASES, "pair") + STRESSED * (element == "Si")
        found[element] = {case: measured(element, case) for case in cases}
        write_errors(found)
    write_pairs(found)
    if "Si" in found:
        write_elastic(found["Si"])


def errors(case: dict[str, Any]) -> tuple[float, float]:
    """Return the errors of energies and forces."""
    return case["energy_mae_meV"], case["force_mae"]


def both(energy: float, force: float) -> str:
    """Write errors of energies and forces."""
    return f"{energy:.3g} / {force:.3g}"


def gone(plain: float, union: float, goal: float) -> str:
    """Say how much of the way from `plain` to `goal` the union has gone."""
    return "past it" if union <= goal else f"{(plain - union) / (plain - goal):.0%}"


def write_errors(found: dict[str, Any]) -> None:
    """Report test errors."""
    rows = []
    for element in (e for e in ELEMENTS if e in found):
        mine = {case: errors(found[element][case]) for case in CASES}
        published = {who: PUBLISHED[who][element] for who in ("reference", "GAP", "MTP")}
        closed = [gone(*three) for three in zip(mine["default"], mine["embed"], published["MTP"], strict=True)]
        rows.append(
            [
                element, both(*published["reference"]), *(both(*mine[case]) for case in CASES),
                " / ".join(closed), both(*published["GAP"]), both(*published["MTP"]),
                " / ".join(str(found[element][case]["coefficients"]) for case in CASES),
                " / ".join(f"{found[element][case]['cpu_seconds']:.0f}" for case in CASES),
            ]
        )  # fmt: skip
    report(
        "uf_errors",
        "UF potentials: test errors on the mlearn sets",
        ["", "reference package", "same basis", "default", "`--embed`", "… of the way to MTP", "GAP", "MTP",
         "coefficients", "CPU s"],
        rows,
        "MAE of energies (meV/atom) / of force components (eV/Å); train and test as given. Same basis: cutoffs and "
        "labels (energies and forces) of the reference package, and no more coefficients than its 915 or so. "
        "Default: no option given, stresses included where the set has them. GAP and MTP as published. Of the way to "
        "MTP: how much of the distance from default to MTP the embedding goes, energy / force. Coefficients and "
        "processor time on one thread: same basis / default / `--embed`.",
        elements=found,
    )  # fmt: skip


def write_pairs(found: dict[str, Any]) -> None:
    """Report test errors of two-body potentials."""
    rows = []
    for element in (e for e in ELEMENTS if "pair" in found.get(e, {})):
        mine = found[element]["pair"]
        rows.append([element, both(*PUBLISHED["reference, pairs"][element]), both(*errors(mine)),
                     mine["cutoffs_A"]["pair"], mine["coefficients"], f"{mine['cpu_seconds']:.1f}"])  # fmt: skip
    report(
        "uf_pairs",
        "Two-body UF potentials: test errors on the mlearn sets",
        ["", "reference package", "lodewell", "cutoff (Å)", "coefficients", "CPU s"],
        rows,
        "MAE of energies (meV/atom) / of force components (eV/Å). Cutoffs of the reference package, all else by "
        "default.",
    )


def write_elastic(cases: dict[str, Any]) -> None:
    """Report elastic constants of Si."""
    rows = [
        ["reference method (DFT)", *map(str, ELASTIC.values()), "", ""],
        ["reference package, default weights", *map(str, REFERENCE.values()), off(REFERENCE),
         both(*PUBLISHED["reference"]["Si"])],
    ]  # fmt: skip
    names = {"same": "same basis, without stresses", "default": "default", "stress": "`--stress-weight 20`",
             "embed": "`--embed`", "embed-stress": "`--embed --stress-weight 20`"}  # fmt: skip
    for case, name in names.items():
        constants = cases[case]["elastic_GPa"]
        rows.append([name, *(f"{constants[k]:.0f}" for k in ELASTIC), off(constants), both(*errors(cases[case]))])
    report(
        "uf_elastic",
        "Elastic constants of Si (GPa)",
        ["", *ELASTIC, "furthest off", "test errors: meV/atom / eV/Å"],
        rows,
        "Diamond at rest in each potential, atoms relaxed in each strained cell (`lodewell.judge.check.elastic`).",
    )


def off(constants: dict[str, float]) -> str:
    """Return the largest relative deviation from the reference method."""
    return f"{max(abs(constants[name] / c - 1.0) for name, c in ELASTIC.items()):.0%}"


if __name__ == "__main__":
    main()
