"""How unlike the crystals that a model was trained on a crystal is: its elements, and two looks at it.

The network's own states tell unusual chemistry. They say little of distances, which its norms hide; so the second look
is at the mean density of neighbours, less what the composition leads to expect: crystals that are blown up, squeezed,
shaken or mixed up, and molecules in a box, stand out there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.crystals.batch import Floats

if TYPE_CHECKING:
    from lodewell.predict.model import Description, Model

RARE = 10  # crystals trained on, below which an element is named in a warning
AXES = {"states": 32, "surroundings": 12}  # the looks, and how many principal axes each keeps
_SAID = {
    "states": "unlike the crystals trained on: {:.1f} times as far from them as 99 % of held-out crystals are",
    "surroundings": "distances between atoms are unlike those of such compositions: {:.1f} times as far off as in 99 %"
    " of held-out crystals",
}
_POINTS, _NEAREST = 4000, 3
_ALLOWED = 0.99  # share of held-out crystals that are not to be called unusual
_FLOOR = 0.05  # of densities, before their logarithm
_DOUBT = 0.5  # crystals' worth of doubt in what an element adds to densities


def fit_novelty(model: Model, train: Description, heldout: Description) -> None:
    """Keep what is needed to tell unusual crystals: for each look some of those trained on, on principal axes.

    Args:
        model: gets `card["novelty"]` and arrays whose names begin with `novelty_`.
        train: crystals trained on, or a sample of them.
        heldout: crystals held out, which set the threshold.
    """
    log_bs, of_bz = _with_logarithms(train), train.composition_bz
    model.arrays["novelty_mean"] = log_bs.mean(axis=0).astype(np.float32)
    normal = of_bz.T @ of_bz + _DOUBT * np.eye(of_bz.shape[1])
    element_zs = np.linalg.solve(normal, of_bz.T @ (log_bs - model.arrays["novelty_mean"]))
    model.arrays["novelty_element"] = element_zs.astype(np.float16)
    model.card["novelty"] = {"share": _ALLOWED, "rest": {}, "threshold": {}}
    for look, rows_bd in _looks(model, train).items():
        _fit_look(model, look, rows_bd)
    far_bl = strangeness(model, heldout)
    each_l = np.quantile(far_bl, _ALLOWED, axis=0)
    both = np.quantile((far_bl / each_l).max(axis=1), _ALLOWED)
    model.card["novelty"]["threshold"] = {look: float(each * both) for look, each in zip(AXES, each_l, strict=True)}


def _with_logarithms(seen: Description) -> Floats:
    return np.concatenate([seen.density_bs, np.log(seen.density_bs + _FLOOR)], axis=1)


def _looks(model: Model, seen: Description) -> dict[str, Floats]:
    expected = model.arrays["novelty_mean"] + seen.composition_bz @ model.arrays["novelty_element"].astype(np.float64)
    return {"states": seen.state_bd, "surroundings": _with_logarithms(seen) - expected}


def _fit_look(model: Model, look: str, rows_bd: Floats) -> None:
    center, unit = rows_bd.mean(axis=0), rows_bd.std(axis=0)
    unit = np.maximum(unit, 1e-3 * np.sqrt((unit**2).mean()))
    _, spread, axes = np.linalg.svd((rows_bd - center) / unit, full_matrices=False)
    spread = np.maximum(spread / np.sqrt(len(rows_bd)), 1e-3 * np.sqrt((spread**2).mean()))
    kept = {"center": center, "unit": unit, "axes": axes[: AXES[look]], "spread": spread[: AXES[look]]}
    model.arrays |= {f"novelty_{look}_{name}": array.astype(np.float32) for name, array in kept.items()}
    model.card["novelty"]["rest"][look] = 1.0
    rest = _place(model, look, rows_bd)[:, -1]
    model.card["novelty"]["rest"][look] = float(max(np.sqrt((rest**2).mean()), 1e-3 * spread[0]))
    model.arrays[f"novelty_{look}_points"] = _place(model, look, rows_bd[:_POINTS]).astype(np.float16)


def _place(model: Model, look: str, rows_bd: Floats) -> Floats:
    """Return the coordinates on the principal axes and the length of what they leave, each over its spread."""
    center, unit, axes, spread = (model.arrays[f"novelty_{look}_{n}"] for n in ("center", "unit", "axes", "spread"))
    shift = (rows_bd - center) / unit
    along = shift @ axes.T
    rest = np.linalg.norm(shift - along @ axes, axis=1) / model.card["novelty"]["rest"][look]
    return np.concatenate([along / spread, rest[:, None]], axis=1)


def strangeness(model: Model, seen: Description) -> Floats:
    """Return for each look the mean distance to the nearest crystals trained on, in units of its threshold; (B, 2)."""
    out = []
    for look, rows_bd in _looks(model, seen).items():
        place = _place(model, look, rows_bd)
        points = model.arrays[f"novelty_{look}_points"].astype(np.float64)
        square = (place**2).sum(axis=1)[:, None] + (points**2).sum(axis=1)[None] - 2.0 * place @ points.T
        nearest = np.sort(np.sqrt(np.maximum(square, 0.0)), axis=1)[:, :_NEAREST]
        out.append(nearest.mean(axis=1) / model.card["novelty"]["threshold"].get(look, 1.0))
    return np.stack(out, axis=1)


def unknown_elements(model: Model, symbols: set[str]) -> list[str]:
    """Return the elements that no crystal trained on had."""
    return sorted(symbols - set(model.card["elements"]))


def warnings(model: Model, symbols: set[str], strange_l: Floats) -> list[str]:
    """Return sentences on what makes a crystal unusual; none for a usual one."""
    counts: dict[str, Any] = model.card["elements"]
    said = [f"{e}: only {counts[e]} crystals trained on" for e in sorted(symbols) if counts.get(e, RARE) < RARE]
    return said + [_SAID[look].format(far) for look, far in zip(AXES, strange_l, strict=True) if far > 1.0]
