"""Curves that rest on too little."""

from __future__ import annotations

from lodewell.crystals.batch import Flags
from lodewell.potentials.statistical.statistical import Statistical

FEW = 5  # independent crystals below which a curve is hardly more than they are


def thin_p(table: Statistical) -> Flags:
    """Tell which curves are mostly prior or rest on fewer than five independent crystals, shape (P,).

    The published recipe has no prior: what is thin there are the few crystals.
    """
    flags: Flags = table.flagged_p() | (table.evidence.families_p < FEW)
    return flags


def thin_text(table: Statistical, p: int) -> str:
    """Say on what curve p rests."""
    count, prior = int(table.evidence.structures_p[p]), float(table.evidence.prior_p[p])
    kind = "no known crystal" if count == 0 else f"{count} known crystal{'s' if count > 1 else ''}"
    return f"{table.name(p)} rests on {kind}" + (f": {100 * prior:.0f} % of it is prior" if prior > 0.0 else "")
