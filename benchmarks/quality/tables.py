"""Tables derived without the crystals that judge them."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import lodewell
from benchmarks.quality.crystals import CACHE, CRYSTALS, SPLITS
from lodewell.derive.options import DeriveOptions
from lodewell.derive.refine import RefineOptions

RECIPES = ("spp-2024", "spp")

REFINE_ON = 50_000  # as the tables that are shipped
REFINING = ("refine", "features", "similar", "start", "calibrate")  # modules that the published recipe does not use


def table_file(folder: Path, recipe: str, split: str) -> Path:
    """Return where the table of a recipe for a split lies."""
    return folder / f"{recipe}-without-{split}.lodewell"


def derive_all(recipes: list[str], splits: list[str], folder: Path = CACHE) -> None:
    """Derive the tables that are not there yet, or were made with other options."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits or list(SPLITS):
        for recipe in recipes or list(RECIPES):
            out = table_file(folder, recipe, split)
            key = out.with_suffix(".json")
            wanted = options_of(recipe, split)
            if out.exists() and key.exists() and json.loads(key.read_text())["options"] == wanted:
                print(f"{out.name} is there")
                continue
            begun, cpu = time.perf_counter(), time.process_time()
            lodewell.derive(CRYSTALS, recipe=recipe, hold_out=SPLITS[split], workers=1, out=out, refine_on=REFINE_ON)
            took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu}
            key.write_text(json.dumps({"options": wanted, **took}) + "\n")
            print(f"{out.name}: {took['seconds']:.0f} s, {took['cpu_seconds']:.0f} s of processor time", flush=True)


def options_of(recipe: str, split: str) -> str:
    """Write down everything that a table depends on."""
    refine = repr(RefineOptions()) if recipe == "spp" else ""
    source = hashlib.sha256()
    for file in sorted((Path(lodewell.__file__).parent / "derive").glob("*.py")):
        if recipe == "spp" or file.stem not in REFINING:
            source.update(file.read_bytes())
    options = DeriveOptions(recipe=recipe, refine_on=REFINE_ON)
    return f"{options!r} {SPLITS[split]!r} {refine} source {source.hexdigest()[:16]}"
