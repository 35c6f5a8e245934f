"""The README's first figure: test error against cost of every family on Si and on Mo, by `lodewell.compare`.

`python -m benchmarks.judge.accuracy_cost [Si Mo ...]`: a minute an element once the potentials are fitted; those of
`uf/errors.py`, `meam/errors.py` and `gap/errors.py` are taken as they are, what is missing of UF and GAP is fitted.
"""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.harness import IMAGES, RESULTS, one_thread, report

one_thread()

import lodewell  # noqa: E402
from benchmarks.gap.cases import potential as gap  # noqa: E402
from benchmarks.mlearn import PUBLISHED, file_of  # noqa: E402
from benchmarks.uf.cases import potential as uf  # noqa: E402
from lodewell.judge.compare.run import Comparison, PublishedErrors  # noqa: E402

GAP_CASES = {"GAP, 150 points": "small", "GAP": "default"}
CASES = {"UF 2 body": "pair", "UF 2 + 3 body": "default", "UF with embedding": "embed"}
MARKS = ("SNAP", "qSNAP", "NNP", "GAP", "MTP")


def compared(element: str) -> Comparison:
    """Compare what there is for an element."""
    potentials: dict[str, Any] = {name: uf(element, case) for name, case in CASES.items()}
    meam = RESULTS / "meam" / f"{element}.lodewell"
    if meam.exists():
        potentials["spline MEAM"] = lodewell.load(str(meam))
    potentials |= {name: gap(element, case) for name, case in GAP_CASES.items()}
    published = []
    for name in MARKS:
        energy, force = PUBLISHED[name][element]
        published.append(PublishedErrors(name, energy_mae=1e-3 * energy, force_mae=force))
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
