"""Tables and the figure of the quality benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import lodewell
from benchmarks.harness import RESULTS, report
from benchmarks.quality.crystals import CACHE, held_out
from benchmarks.quality.decoys import shares
from benchmarks.quality.measure import CONTENDERS, RAW, raw_rows
from benchmarks.quality.relax import compared, disturbed, summary
from lodewell.potentials.statistical.statistical import Statistical
from lodewell.potentials.statistical.thin import thin_p
from lodewell.report.style import BLUE, GREEN, GREY, ORANGE, figure, save

TITLES = {
    "formula": "Held-out crystals: no reduced formula shared with the derivation",
    "system": "Held-out crystals: no element set shared with the derivation",
}
NAMES = {"formula": "quality", "system": "quality_systems"}
COLOURS = {"spp-2024": ORANGE, "spp": BLUE, "push-apart": GREY, "lennard-jones": GREEN}
ROWS = (
    ("crystals", "n"),
    ("own geometry below all of 20 decoys", "own"),
    ("… of 8 rattles, 0.1-0.5 Å RMS", "rattles"),
    ("… of 6 strains, ±4, 7, 10 %", "strains"),
    ("… of up to 6 swaps", "swaps"),
    ("… of 8 rattles, 0.1-0.5 Å a coordinate", "wide"),
    ("… of all 20, with these rattles instead", "own_wide"),
    ("relaxed: median volume error", "volume"),
    ("… median change of volume", "bias"),
    ("… median RMS displacement", "displacement"),
    ("… same structure (StructureMatcher)", "same"),
    ("… converged in 500 steps", "converged"),
    ("… median steps", "steps"),
)
NOTE = (
    "Crystals of at most 60 atoms, at most 0.1 eV/atom above the hull where that is known, families of "
    "near-duplicates once, none in the derivation. A tie with a decoy counts as lost. Rattles of decoys: Gaussian with "
    "a root mean square displacement of 0.1 to 0.5 Å. Swaps: two atoms of different elements, inequivalent by symmetry "
    "and distance, that give another crystal; {no_swap:,} crystals have none, {few:,} fewer than six. Relaxed from "
    "Gaussian rattles of 0.1 Å a coordinate and strains of 3 % a component; a failure counts as infinitely wrong. "
    "Displacements are of fractional coordinates in the cell of the original; the disturbed starts are themselves "
    "off by {volume:.1%} and {displacement:.3f} Å. Push-apart scores by its overlap energy "
    "and has no volume of its own: it undoes no strain. Lennard-Jones: one depth, minima at sums of radii, one factor "
    "on all radii fitted to volumes."
)


def write_coverage() -> None:
    """Count, in the shipped tables, pairs with a curve and those that rest on too little."""
    rows = []
    for name in ("spp-2024", "spp"):
        table = lodewell.load(name)
        assert isinstance(table, Statistical)
        common = table.variant_p < 0
        thin, prior = thin_p(table)[common], table.flagged_p()[common]
        elements = len(np.unique(table.pairs_pz))
        rows.append([name, elements, int(common.sum()), int((~thin).sum()), f"{thin.mean():.1%}", int(prior.sum())])
    report(
        "coverage",
        "Pairs of elements in the shipped tables",
        ["table", "elements", "pairs with a curve", "of these trusted", "flagged as thin", "mostly prior"],
        rows,
        "The published library has 3,388 pairs. Thin: fewer than five independent crystals, or mostly prior.",
    )


def numbers(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return every measured number of a contender."""
    found = shares(np.array([r["decoys"] for r in rows])) | summary(rows)
    return found | {"same": float(np.mean([r["same"] for r in rows])), "n": len(rows)}


def written(key: str, value: float) -> str:
    """Write a number with its unit."""
    if not np.isfinite(value):
        return "-"
    if key == "displacement":
        return f"{value:.3f} Å"
    if key in ("steps", "n"):
        return f"{value:,.0f}"
    return f"{value:+.1%}" if key == "bias" else f"{value:.1%}"


def write_tables(splits: Sequence[str]) -> None:
    """Print and store the tables, and draw the figure of the main split."""
    for split in splits:
        raw = {name: raw_rows(split, name)[1] for name in CONTENDERS}
        raw = {name: rows for name, rows in raw.items() if rows}
        if not raw:
            print(f"{split}: nothing measured yet")
            continue
        longest = max(raw.values(), key=len)
        measured: dict[str, dict[str, Any]] = {name: dict(numbers(rows)) for name, rows in raw.items()}
        cells = {name: {k: written(k, v) for k, v in found.items()} for name, found in measured.items()}
        for key in ("converged", "steps"):
            cells.get("push-apart", {})[key] = "-"
        swaps = np.array([r["decoys"][4] for r in longest])
        report(
            NAMES[split],
            TITLES[split],
            ["measure", *raw],
            [[title, *(cells[name].get(key, "-") for name in raw)] for title, key in ROWS],
            NOTE.format(no_swap=(swaps == 0).sum(), few=(swaps < 6).sum(), **_starts(split, [r["k"] for r in longest]))
            + _seen(split),
            measured=measured,
            crystals=json.loads((CACHE / f"{split}.json").read_text()),
        )
        if split == "formula":
            draw(raw, measured, RESULTS / "quality.png")


def _seen(split: str) -> str:
    """Return what `judge` said of the shipped tables, which have seen these crystals, if it was kept."""
    path = RAW / f"{split}-seen.txt"
    return f" With memory, the shipped tables on a part of them: {path.read_text().strip()}" if path.exists() else ""


def _starts(split: str, chosen: Sequence[int]) -> dict[str, float]:
    """Return the median errors of the disturbed crystals, before anything is done to them."""
    crystals = held_out(split)
    errors = np.array([compared(crystals[k], "", disturbed(crystals[k], k)) for k in chosen])
    volume, displacement = np.median(np.abs(errors), axis=0)
    return {"volume": float(volume), "displacement": float(displacement)}


def draw(raw: dict[str, list[dict[str, Any]]], measured: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the shares of crystals below their decoys, and the distributions of what relaxing got wrong."""
    with figure(10.0, 3.4) as drawn:
        bars, volume, displacement = drawn.subplots(1, 3, width_ratios=[1.25, 1, 1])
        kinds = ("own", "rattles", "strains", "swaps")
        width = 0.8 / len(raw)
        for m, name in enumerate(raw):
            x = np.arange(len(kinds)) + (m - (len(raw) - 1) / 2) * width
            heights = [100 * measured[name][k] for k in kinds]
            bars.bar(x, heights, width * 0.92, color=COLOURS[name], label=name)
        bars.set_xticks(range(len(kinds)), ["all 20", "8 rattles", "6 strains", "6 swaps"])
        bars.set_ylim(0, 100)
        bars.set_ylabel("crystals below all decoys (%)")
        bars.set_title("Own geometry against decoys")
        for name, rows in raw.items():
            for axis, key, factor, end in ((volume, "volume", 100, 30), (displacement, "displacement", 1, 0.6)):
                error = np.sort(factor * np.abs([r[key] for r in rows]))
                share = 100 * np.arange(1, len(error) + 1) / len(error)
                shown = error <= end
                axis.step(error[shown], share[shown], where="post", color=COLOURS[name], label=name)
                axis.set_xlim(0, end)
                axis.set_ylim(0, 100)
        volume.set_xlabel("volume error (%)")
        volume.set_ylabel("crystals with at most this (%)")
        volume.set_title("Volume after relaxing")
        displacement.set_xlabel("RMS displacement (Å)")
        displacement.set_title("Positions after relaxing")
        handles, labels = bars.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(raw))
        save(drawn, path)
