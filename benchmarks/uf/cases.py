"""What the benchmarks of UF potentials share: the options of each case, and potentials fitted once.

Fitted potentials are kept in `benchmarks/.cache/uf`; `uf/errors.py` makes them anew, the other scripts when they are
missing.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.mlearn import file_of
from lodewell.fit.run import FitResult, fit_to
from lodewell.fit.uf.options import UFOptions
from lodewell.fit.uf.run import fit_uf_files
from lodewell.potentials.store import load
from lodewell.potentials.uf.uf import UF

CACHE = harness.CACHE / "uf"
# Cutoffs of the reference package, Å: pairs, and legs of triples.
CUTOFFS = {"Si": (6.0, 4.25), "Ge": (6.0, 4.5), "Li": (6.0, 4.5), "Mo": (5.5, 4.25), "Ni": (5.5, 4.0), "Cu": (5.5, 4.0)}


def options(element: str, case: str) -> UFOptions:
    """Return the options of a case.

    same: cutoffs and labels of the reference package, and not more coefficients: one interval more along the legs would
    make it about 1,030. default: nothing said. embed: `--embed`. stress, embed-stress: these two with stresses that
    count 20 times as much. pair: two-body only, with the pair cutoff of the reference package.
    """
    pair, leg = CUTOFFS[element]
    return {
        "same": UFOptions(stress="none", cutoff=pair, cutoff_3body=leg, intervals=40, intervals_3body=9),
        "default": UFOptions(),
        "embed": UFOptions(embed=True),
        "stress": UFOptions(stress_weight=20.0),
        "embed-stress": UFOptions(embed=True, stress_weight=20.0),
        "pair": UFOptions(three_body=False, cutoff=pair),
    }[case]


def fit(element: str, case: str) -> tuple[UF, dict[str, Any]]:
    """Fit, keep the potential, and return it with its facts and the processor time that it took."""
    chosen = options(element, case)
    start = time.process_time()
    fitted: FitResult = fit_to(fit_uf_files, "uf", file_of(element, "train"), chosen)
    seconds = time.process_time() - start
    assert isinstance(fitted.potential, UF)
    kept(element, case).parent.mkdir(parents=True, exist_ok=True)
    fitted.potential.save(kept(element, case), **fitted.facts)
    return fitted.potential, {**fitted.facts, "cpu_seconds": seconds}


def kept(element: str, case: str) -> Path:
    """Return where a fitted potential is kept."""
    return CACHE / f"{element}-{case}.lodewell"


def potential(element: str, case: str) -> UF:
    """Return the potential that is kept, or fit it."""
    if not kept(element, case).exists():
        return fit(element, case)[0]
    found = load(str(kept(element, case)))
    assert isinstance(found, UF)
    return found
