"""Options of predictions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What is predicted, and of which crystals.

    Attributes:
        properties: Those wanted; all of the model by default.
        strict_formula: Refuse crystals of files that contradict themselves, instead of remarking on them.
    """

    properties: tuple[str, ...] = ()
    strict_formula: bool = False
