"""What `lodewell list` tells of a Gaussian approximation potential: each term, and what was noted at the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from lodewell.descriptors.environments import Angle, Distance, Triplet
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.report.coverage import covered
from lodewell.report.families import Alarm, Description, fit_lines

# σ and errors of rows: those of a frame of N atoms are √N times as large, those an atom of it 1/√N.
_SIGMAS = {"energy": (1e3, "meV/√atom"), "force": (1.0, "eV/Å"), "stress": (1.0, "eV/√atom (virial)")}


def describe(potential: GAP, about: Mapping[str, Any]) -> Description:
    """Describe a potential: what it was fitted to, and each term with its sparse points."""
    lone = ", ".join(
        f"{chemical_symbols[z]} {round(e, 4) + 0.0:.4f} eV" for z, e in sorted(potential.lone_energies.items())
    )
    count = sum(len(term.weights_m) for term in potential.terms)
    many = len(potential.terms)
    lines = [f"{many} term{'' if many == 1 else 's'} with {count:,} sparse points"]
    lines.append(f"energy of a lone atom: {lone}".replace("-", "−"))
    wall = potential.baseline
    lines.append("baseline: none" if wall is None else f"baseline: {wall.kind} to {wall.cutoff:g} Å")
    lines += [line for line in fit_lines(about, _SIGMAS) if not line.endswith("coefficients")]
    lines += _sigma_lines(about.get("sigmas") or {})
    if potential.single:
        lines.append("matrix products in single precision")
    lines.append("error bars: " + ("known" if potential.uncertain else "none (fit with --uncertainty)"))
    rows = [_row(potential, k) for k in range(many)]
    return Description(tuple(lines), tuple(rows), _COLUMNS)


def _sigma_lines(sigmas: Mapping[str, float]) -> list[str]:
    """Say how well energies, forces and stresses were to be met, over all kinds of frames."""
    shown = []
    for kind, (factor, unit) in _SIGMAS.items():
        found = [factor * value for name, value in sigmas.items() if name.split("/")[0] == kind]
        if found:
            low, high = f"{min(found):.3g}", f"{max(found):.3g}"
            shown.append(f"{kind} {low if low == high else f'{low} to {high}'} {unit}")
    return [f"σ of the labels: {', '.join(shown)}"] if shown else []


def _row(potential: GAP, k: int) -> dict[str, Any]:
    term = potential.terms[k]
    d = term.descriptor
    jitters = potential.knowledge.design.jitters if potential.knowledge is not None else None
    row: dict[str, Any] = {
        "term": d.name, "kind": d.kind, "elements": _elements(term), "cutoff_A": d.cutoff, "width_A": d.width,
        "points": len(term.weights_m), "delta_eV": term.delta, "size": d.size,
        "jitter_eV2": None if jitters is None else jitters[k],
        "largest_weight": float(np.abs(term.weights_m).max(initial=0.0)),
        "counted": None, "shortest_A": None, "flagged": False, "hyperparameters": _hyperparameters(term),
    }  # fmt: skip
    if isinstance(d, Distance) and potential.distances:
        known = covered(potential.distances.get(d.species), d.cutoff)
        row["counted"] = 0 if known is None else int(known.count_h[: known.used].sum())
        row["shortest_A"] = None if known is None else known.shortest
        row["flagged"] = known is None or bool(known.holes)
    return row


def _elements(term: Term) -> list[str]:
    d = term.descriptor
    if isinstance(d, Distance):
        numbers: Sequence[int] = d.species
    elif isinstance(d, Triplet):
        numbers = d.species
    elif isinstance(d, Angle):
        numbers = (d.centre, *d.others)
    else:
        numbers = (d.centre, *(z for z in d.species if z != d.centre))
    return [chemical_symbols[z] for z in numbers]


def _hyperparameters(term: Term) -> str:
    d = term.descriptor
    if isinstance(d, Distance):
        return f"θ {d.length:g} Å"
    if isinstance(d, Angle):
        return f"θ {d.lengths[0]:g} Å, {d.lengths[1]:g} Å², {d.lengths[2]:g} Å"
    if isinstance(d, Triplet):
        return f"θ {d.lengths[0]:g} Å, {d.lengths[1]:g} Å, {d.lengths[2]:g} Å"
    central = f", central weight {d.central_weight:g}" if d.central_weight != 1.0 else ""
    return f"n {d.n_max}, l {d.l_max}, σ {d.sigma:g} Å, ζ {d.zeta:g}{central}"


def _data(row: Mapping[str, Any]) -> str:
    if row["counted"] is None:
        return ""
    if not row["counted"]:
        return Alarm("no data")
    text = f"{row['counted']:,} from {row['shortest_A']:.2f} Å"
    return Alarm(f"{text}, with holes") if row["flagged"] else text


_COLUMNS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("term", lambda row: str(row["term"])),
    ("to", lambda row: f"{row['cutoff_A']:.2f} Å"),
    ("fades over", lambda row: f"{row['width_A']:.2f} Å"),
    ("hyperparameters", lambda row: str(row["hyperparameters"])),
    ("numbers", lambda row: f"{row['size']:,}"),
    ("sparse points", lambda row: f"{row['points']:,}"),
    ("δ", lambda row: f"{row['delta_eV']:.3g} eV"),
    ("jitter", lambda row: "" if row["jitter_eV2"] is None else f"{row['jitter_eV2']:.0e} eV²".replace("-", "−")),
    ("pairs in the data", _data),
)
