"""The README's first figure: test error against cost of every family on Si and on Mo, by `lodewell.compare`.

`python benchmarks/accuracy_cost.py [Si Mo ...]`: a minute an element once the potentials are fitted; those of
`uf_errors.py`, `meam_errors.py` and `gap_errors.py` are taken as they are, what is missing of UF and GAP is fitted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness import RESULTS, one_thread, report

one_thread()

import gap_cases  # noqa: E402
import lodewell  # noqa: E402
from lodewell.judge.compare.run import Comparison, Published  # noqa: E402
from uf_cases import PUBLISHED, file_of, potential  # noqa: E402

IMAGES = Path(__file__).parents[1] / "docs" / "images"
GAP_CASES = {"GAP, 150 points": "small", "GAP": "default"}
CASES = {"UF 2 body": "pair", "UF 2 + 3 body": "default", "UF with embedding": "embed"}
MARKS = ("SNAP", "qSNAP", "NNP", "GAP", "MTP")


def compared(element: str) -> Comparison:
    """Compare what there is for an element."""
    potentials: dict[str, Any] = {name: potential(element, case) for name, case in CASES.items()}
    meam = RESULTS / "meam" / f"{element}.lodewell"
    if meam.exists():
        potentials["spline MEAM"] = lodewell.load(str(meam))
    potentials |= {name: gap_cases.potential(element, case) for name, case in GAP_CASES.items()}
    published = []
    for name in MARKS:
        energy, force = PUBLISHED[name][element]
        published.append(Published(name, energy_mae=1e-3 * energy, force_mae=force))
    return lodewell.compare(potentials, file_of(element, "test"), published=published)


def main() -> None:
    """Compare, draw, and report."""
    rows, found = [], {}
    for element in sys.argv[1:] or ("Si", "Mo"):
        comparison = compared(element)
        comparison.figure(IMAGES / f"accuracy-cost-{element}.png")
        found[element] = comparison.json()
        for row in found[element]["potentials"]:
            rows.append([element, row["name"], f"{1e3 * row['energy']['mae']:.2f}", f"{row['force']['mae']:.4f}",
                         f"{row['us_per_atom']:.2f}", f"{row['us_per_atom_new_list']:.2f}"])  # fmt: skip
        for name in MARKS:
            energy, force = PUBLISHED[name][element]
            rows.append([element, f"{name}, as published", energy, force, "", ""])
    report(
        "accuracy_cost",
        "Accuracy and cost of every family",
        ["", "", "energy: meV/atom", "force: eV/Å", "µs/atom", "µs/atom, new list"],
        rows,
        "MAE on the mlearn test sets; an evaluation is energy, forces and virial of 2,000 atoms, the list kept with a "
        "skin as in dynamics, timed in turns on one thread (`lodewell compare`).",
        compared=found,
    )


if __name__ == "__main__":
    main()
