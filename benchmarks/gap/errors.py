"""Test errors of GAP on the six mlearn sets: the reference code's own fit, ours of the same settings, and by default.

`python -m benchmarks.gap.errors [--redo] [Si Ge ...] [same default peer]`: what `results/gap/ELEMENT-CASE.json` holds
is kept unless --redo is given. An element takes the reference code five minutes and 7 GB, ours a minute.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, one_thread, report

one_thread()

from benchmarks.gap.cases import (  # noqa: E402
    ATOM_SIGMA,
    CACHE,
    CUTOFFS,
    L_MAX,
    N_MAX,
    POINTS,
    POINTS_2BODY,
    SIGMAS,
    ZETA,
    errors,
    fit,
    peer,
    peer_fit,
    write_for_peer,
)
from benchmarks.mlearn import ELEMENTS, PUBLISHED, file_of  # noqa: E402
from lodewell.crystals.labels.read import read_labels  # noqa: E402

KEPT = RESULTS / "gap"
CASES = {"peer": "reference code", "same": "lodewell, same settings", "default": "lodewell, no options"}
_ROOM_GB, _PATIENCE = 9.0, 1800.0  # free memory before the reference code is started; seconds that it is waited for


def measured(element: str, case: str) -> dict[str, Any]:
    """Fit one case and test it."""
    test = list(read_labels(file_of(element, "test")))
    if case != "peer":
        potential, facts = fit(element, case)
        return {**errors(potential, test), **facts}
    xml = peer_model(element)
    found = json.loads(xml.with_suffix(".json").read_text(encoding="utf-8"))
    return {**errors(peer(xml), test), **found, "coefficients": POINTS + POINTS_2BODY}


def peer_model(element: str) -> Path:
    """Return the model file of the reference code's fit, made if it is missing."""
    xml = CACHE / "peer" / f"{element}.xml"
    cost = xml.with_suffix(".json")
    if not cost.exists():
        xml.parent.mkdir(parents=True, exist_ok=True)
        train = xml.with_name(f"{element}-train.xyz")
        write_for_peer(train, read_labels(file_of(element, "train")))
        wait_for_memory()
        cost.write_text(json.dumps(peer_fit(train, xml, CUTOFFS[element])), encoding="utf-8")
    return xml


def wait_for_memory() -> None:
    """Wait until there is room for the reference code."""
    import psutil

    since = time.monotonic()
    while psutil.virtual_memory().available < _ROOM_GB * 1e9:
        if time.monotonic() - since > _PATIENCE:
            raise SystemExit(f"the reference code needs {_ROOM_GB:g} GB of memory, and there is less: run it later")
        time.sleep(5.0)


def collect(elements: list[str], cases: list[str], redo: bool) -> dict[str, dict[str, Any]]:
    """Measure what is missing of the elements asked for; return everything that is known."""
    KEPT.mkdir(parents=True, exist_ok=True)
    for element in elements:
        for case in cases:
            file = KEPT / f"{element}-{case}.json"
            if redo or not file.exists():
                file.write_text(json.dumps(measured(element, case), indent=1) + "\n", encoding="utf-8")
                print(f"{element} {case} {file.read_text(encoding='utf-8')[:300]}", flush=True)
    found: dict[str, dict[str, Any]] = {element: {} for element in ELEMENTS}
    for element in ELEMENTS:
        for case in CASES:
            file = KEPT / f"{element}-{case}.json"
            if file.exists():
                found[element][case] = json.loads(file.read_text(encoding="utf-8"))
    return found


def three(case: dict[str, Any] | None, measure: str) -> str:
    """Write errors of energies, forces and stresses."""
    if case is None:
        return ""
    there = [f"{kind}_{measure}" for kind in ("energy", "force", "stress") if f"{kind}_{measure}" in case]
    return " / ".join(f"{case[name]:.3g}" for name in there)


def write(found: dict[str, dict[str, Any]]) -> None:
    """Report both measures."""
    for measure, name in (("mae", "gap_errors"), ("rmse", "gap_errors_rmse")):
        rows = []
        for element in (e for e in ELEMENTS if found[e]):
            mine = found[element]
            row: list[object] = [element, CUTOFFS[element], *(three(mine.get(case), measure) for case in CASES)]
            if measure == "mae":
                marks = [PUBLISHED[who][element] for who in ("GAP", "MTP")]
                row += [f"{energy:g} / {force:g}" for energy, force in marks]
            there = [mine[case] for case in CASES if case in mine]
            row += [
                " / ".join(str(case["coefficients"]) for case in there),
                " / ".join(f"{case['cpu_seconds']:.0f}" if case["cpu_seconds"] else "–" for case in there),
            ]
            rows.append(row)
        title = {"mae": "mean absolute", "rmse": "root mean square"}[measure]
        energy, force, virial = SIGMAS
        report(
            name,
            f"GAP: {title} test errors on the mlearn sets",
            ["", "cutoff (Å)", *CASES.values(), *(["GAP, published", "MTP, published"] if measure == "mae" else []),
             "coefficients", "CPU s"],
            rows,
            "Energies (meV/atom) / force components (eV/Å) / stress components (GPa); train and test as given, the "
            "training sets of Ni and Cu have no stresses. Reference code: `gap_fit` of quippy-ase with distances "
            f"({POINTS_2BODY} points) and SOAP (n {N_MAX}, l {L_MAX}, σ "
            f"{ATOM_SIGMA} Å, ζ {ZETA}, {POINTS} points), "
            f"expected errors {energy} eV/atom, {force} eV/Å, {virial} eV/atom. Same settings: these kernels, numbers "
            "of points and expected errors. No options: cutoffs from the data, width of the atoms and expected errors "
            "by likelihood and cross-validation. Coefficients and processor time on one thread in the order of the "
            "columns.",
            elements=found,
        )  # fmt: skip


def main() -> None:
    """Fit what is asked for and report everything that is known."""
    words = set(sys.argv[1:]) - {"--redo"}
    if unknown := words - {*ELEMENTS, *CASES}:
        raise SystemExit(f"there is no element or case {', '.join(unknown)}")
    elements = [element for element in ELEMENTS if element in words] or list(ELEMENTS)
    cases = [case for case in ("same", "default", "peer") if case in words] or ["same", "default", "peer"]
    write(collect(elements, cases, "--redo" in sys.argv))


if __name__ == "__main__":
    main()
