"""How unlike the crystals that a model was trained on a crystal is: its elements, and where the network puts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lodewell.crystals.batch import Floats

if TYPE_CHECKING:
    from lodewell.predict.model import Model

RARE = 10  # crystals trained on, below which an element is named in a warning
_AXES, _POINTS, _NEAREST = 32, 1500, 3
_ALLOWED = 0.99  # share of held-out crystals that are not to be called unusual


def fit_novelty(model: Model, embedding_train: Floats, embedding_heldout: Floats) -> None:
    """Keep what is needed to tell unusual crystals: some training crystals on their principal axes, and a threshold.

    Args:
        model: gets `card["novelty"]` and the arrays `novelty_center`, `_unit`, `_axes`, `_spread` and `_points`.
        embedding_train: of crystals trained on; (B, D).
        embedding_heldout: of crystals held out; (B', D).
    """
    center, unit = embedding_train.mean(axis=0), embedding_train.std(axis=0)
    unit = np.maximum(unit, 1e-3 * np.sqrt((unit**2).mean()))
    _, spread, axes = np.linalg.svd((embedding_train - center) / unit, full_matrices=False)
    spread = np.maximum(spread / np.sqrt(len(embedding_train)), 1e-3 * np.sqrt((spread**2).mean()))
    model.arrays["novelty_center"] = center.astype(np.float32)
    model.arrays["novelty_unit"] = unit.astype(np.float32)
    model.arrays["novelty_axes"] = axes[:_AXES].astype(np.float32)
    model.arrays["novelty_spread"] = spread[:_AXES].astype(np.float32)
    model.card["novelty"] = {"threshold": 1.0, "remainder": 1.0}
    remainder = _place(model, embedding_train)[:, -1]
    model.card["novelty"]["remainder"] = float(max(np.sqrt((remainder**2).mean()), 1e-3 * spread[0]))
    model.arrays["novelty_points"] = _place(model, embedding_train[:_POINTS]).astype(np.float16)
    model.card["novelty"]["threshold"] = float(np.quantile(strangeness(model, embedding_heldout), _ALLOWED))
    model.card["novelty"]["share"] = _ALLOWED


def _place(model: Model, embedding_bd: Floats) -> Floats:
    """Return the coordinates on the principal axes and the length of what they leave, each over its spread."""
    shift = (embedding_bd - model.arrays["novelty_center"]) / model.arrays["novelty_unit"]
    axes = model.arrays["novelty_axes"]
    along = shift @ axes.T
    rest = np.linalg.norm(shift - along @ axes, axis=1) / model.card["novelty"]["remainder"]
    return np.concatenate([along / model.arrays["novelty_spread"], rest[:, None]], axis=1)


def strangeness(model: Model, embedding_bd: Floats) -> Floats:
    """Return the mean distance to the nearest crystals trained on, in units of the threshold; (B,)."""
    place = _place(model, embedding_bd)
    points = model.arrays["novelty_points"].astype(np.float64)
    square = (place**2).sum(axis=1)[:, None] + (points**2).sum(axis=1)[None] - 2.0 * place @ points.T
    nearest = np.sort(np.sqrt(np.maximum(square, 0.0)), axis=1)[:, :_NEAREST]
    return np.asarray(nearest.mean(axis=1) / model.card["novelty"]["threshold"])


def unknown_elements(model: Model, symbols: set[str]) -> list[str]:
    """Return the elements that no crystal trained on had."""
    return sorted(symbols - set(model.card["elements"]))


def warnings(model: Model, symbols: set[str], strange: float) -> list[str]:
    """Return sentences on what makes a crystal unusual; none for a usual one."""
    counts: dict[str, Any] = model.card["elements"]
    said = [f"{e}: only {counts[e]} crystals trained on" for e in sorted(symbols) if counts.get(e, RARE) < RARE]
    if strange > 1.0:
        said.append(f"unlike the crystals trained on ({strange:.1f} times as far from them as 99 % of held-out ones)")
    return said
