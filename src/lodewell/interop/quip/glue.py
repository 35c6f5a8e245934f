"""Pair tables in QUIP's files (`IP Glue` without density): the baselines of Gaussian approximation potentials.

A table is a cubic spline through points, with given slopes at both ends; below its first point it goes on with the
slope there, beyond the last it is zero: just what our curves are, so that they pass from one to the other exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from xml.etree.ElementTree import Element

import numpy as np
from scipy.interpolate import CubicSpline, make_interp_spline

from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption
from lodewell.potentials.base import Potential
from lodewell.potentials.bspline import Axis
from lodewell.potentials.pairs.pair import pair_name
from lodewell.potentials.pairs.table import CurvePotential
from lodewell.potentials.statistical.statistical import Statistical
from lodewell.potentials.sum import Sum
from lodewell.potentials.uf.splines import Spline2
from lodewell.potentials.uf.uf import UF

_SPACING = 0.002  # Å: of points of a curve that is no spline itself
_CLOSEST = 0.3  # Å: where the table of such a curve begins
_EXACT = 1e-9  # eV, and relative to the curve


def read_glue(glue: Element) -> UF:
    """Return the pair curves of a Glue_params.

    Raises:
        BadFile: for one with a density, or without numbers.
    """
    try:
        types = {e.attrib["type"]: int(e.attrib["atomic_num"]) for e in glue.iter("per_type_data")}
        bonded = any(float(p.get("E", "0")) != 0.0 for e in glue.iter("potential_density") for p in e.iter("point"))
        pairs: dict[tuple[int, int], Spline2] = {}
        for entry in glue.iter("per_pair_data"):
            a, b = sorted((types[entry.attrib["type1"]], types[entry.attrib["type2"]]))
            if (curve := entry.find("potential_pair")) is not None:
                pairs[a, b] = _spline(curve)
    except (KeyError, ValueError, BadOption) as error:
        raise BadFile(f"its baseline IP Glue cannot be made out ({error})") from error
    if bonded:
        raise BadFile("its baseline IP Glue has a density, which lodewell does not have: only pair tables are read")
    return UF(dict.fromkeys(types.values(), 0.0), pairs)


def _spline(curve: Element) -> Spline2:
    r, u = np.array([[float(p.attrib["r"]), float(p.attrib["E"])] for p in curve.iter("point")]).T
    slopes = float(curve.get("y1", "0")), float(curve.get("yn", "0"))
    spline = make_interp_spline(r, u, k=3, bc_type=([(1, slopes[0])], [(1, slopes[1])]))
    return Spline2(Axis(np.asarray(spline.t)), np.asarray(spline.c))


def glue_lines(baseline: Potential, numbers: Sequence[int]) -> Iterator[str]:
    """Yield the lines of Glue_params for some elements.

    Raises:
        BadOption: for a baseline that is no sum over pairs, or that no table follows.
    """
    types = {z: k for k, z in enumerate(numbers, 1)}
    yield f'<Glue_params n_types="{len(types)}">'
    for z, k in types.items():
        yield f'<per_type_data type="{k}" atomic_num="{z}">'
        yield '<density num_points="2" density_y1="0.0" density_yn="0.0">'
        yield f'<point a="0.0" rho="0.0"/><point a="{baseline.cutoff!r}" rho="0.0"/></density>'
        yield '<potential_density num_points="2"><point rho="0.0" E="0.0"/><point rho="1.0" E="0.0"/>'
        yield "</potential_density></per_type_data>"
    for a, b in combinations_with_replacement(numbers, 2):
        r, u, slopes = _points(baseline, a, b)
        yield f'<per_pair_data type1="{types[a]}" type2="{types[b]}">'
        yield f'<potential_pair num_points="{len(r)}" y1="{slopes[0]:.17e}" yn="{slopes[1]:.17e}">'
        yield from (f'<point r="{x:.17e}" E="{y:.17e}"/>' for x, y in zip(r, u, strict=True))
        yield "</potential_pair></per_pair_data>"
    yield "</Glue_params>"


def _points(baseline: Potential, a: int, b: int) -> tuple[Floats, Floats, tuple[float, float]]:
    """Return points r, u and the slopes at both ends of a spline that is the curve of two elements.

    A curve that ends with a step or a kink keeps its last value: QUIP's ends there, too.
    """
    if isinstance(baseline, Statistical) and (baseline.variant_p >= 0).any():
        raise BadOption(
            "the baseline has curves of its own for classes of crystals, which QUIP cannot choose between: fit with "
            "another one"
        )
    r = _knots(baseline, a, b)
    before = np.append(r[:-1], r[-1] * (1.0 - 1e-12))  # the end itself is beyond the curve
    try:
        u, du = baseline.pair_curve(a, b, before)
    except BadOption as error:
        raise BadOption(
            f"the baseline of the kind '{baseline.kind}' is no sum over pairs, which is all that QUIP's files have for "
            "it: fit with a wall or without baseline, or run the potential through ASE"
        ) from error
    slopes = float(du[0]), float(du[-1])
    spline = CubicSpline(r, u, bc_type=((1, slopes[0]), (1, slopes[1])))
    middle = 0.5 * (r[:-1] + r[1:])
    true = baseline.pair_curve(a, b, middle)[0]
    worst = np.abs(spline(middle) - true) / (1.0 + np.abs(true))
    if worst.max() > _EXACT:
        at = middle[worst.argmax()]
        raise BadOption(
            f"the baseline curve of {pair_name(a, b)} is too rough for a table in QUIP's files at {at:.3f} Å: fit with "
            "a wall or without baseline"
        )
    return r, u, slopes


def _knots(potential: Potential, a: int, b: int) -> Floats:
    """Return distances between which the curve of two elements is a cubic, or nearly so."""
    if isinstance(potential, Sum):
        knots = np.concatenate([_knots(term, a, b) for _, term in potential.terms])
        knots = np.unique(np.round(knots, 9))
        return np.asarray(knots[np.append(True, np.diff(knots) > 1e-6)])
    if isinstance(potential, CurvePotential):
        curves = potential.curves
        knots = curves.origin + curves.spacing * np.arange(curves.coefficients_skx.shape[1] + 1)
        return np.append(knots[knots < potential.cutoff - 1e-9], potential.cutoff)
    if isinstance(potential, UF) and (spline := potential.pairs.get((min(a, b), max(a, b)))) is not None:
        return np.unique(spline.axis.knots_k)
    count = round((potential.cutoff - _CLOSEST) / _SPACING)
    return np.linspace(_CLOSEST, potential.cutoff, count + 1)
