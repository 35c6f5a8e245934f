"""What a worker does in a derivation: read a chunk of crystals, leave out what must be, and count distances."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.symbols import symbols2numbers

from lodewell.crystals.batch import Batch
from lodewell.crystals.chemistry import element_set, reduced_formula
from lodewell.crystals.read import Chunk, Record
from lodewell.derive.options import DeriveOptions
from lodewell.derive.pair_sums import PairCounts, count_pairs
from lodewell.errors import BadFile
from lodewell.files import read_bytes
from lodewell.potentials.statistical.statistical import BIN

CLOSEST = 0.5  # Å; no two atoms of a crystal are closer, so one that says so is wrong


@dataclass(frozen=True)
class HoldOut:
    """Crystals kept back to judge the result: some reduced formulas, or whole element sets.

    Attributes:
        formulas: reduced formulas to leave out, as `reduced_formula` writes them.
        systems: element sets to leave out, such as "Li-O-P".
        share: besides, this share of all formulas (or of all element sets, with `by_system`), chosen by a hash.
        by_system: whether `share` picks element sets rather than formulas.
    """

    formulas: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    share: float = 0.0
    by_system: bool = False

    def about(self) -> list[object]:
        """Return what is kept back in an order that is always the same, for a fingerprint."""
        return [sorted(self.formulas), sorted(self.systems), self.share, self.by_system]

    def holds(self, numbers: Any) -> bool:
        """Tell whether a crystal of these atomic numbers is kept back."""
        if not (self.formulas or self.systems or self.share):
            return False
        formula, system = reduced_formula(numbers), element_set(numbers)
        name = system if self.by_system else formula
        return formula in self.formulas or system in self.systems or hashed(name) < self.share


def read_formulas(path: Path) -> frozenset[str]:
    """Read formulas, one a line in any order of elements ("Li3PO4"), as `reduced_formula` writes them.

    Raises:
        BadFile: when the file cannot be read or a line is no formula.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
        lines = [line.split("#")[0].strip() for line in text.splitlines()]
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: cannot be read as a list of formulas ({error})") from error
    out = set()
    for number, line in enumerate(lines, 1):
        if line:
            try:
                if any(len(count) > 5 for count in re.findall(r"\d+", line)):
                    raise ValueError("so many atoms")  # each would be written out
                out.add(reduced_formula(symbols2numbers(line)))
            except (KeyError, ValueError, IndexError, SyntaxError) as error:
                raise BadFile(f"{path}, line {number}: '{line}' is no formula such as Li3PO4") from error
    return frozenset(out)


def hashed(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone."""
    return zlib.crc32(name.encode()) / 2**32


@dataclass(frozen=True)
class ChunkCounts:
    """The result of one chunk: what was counted, how many crystals were met, left out (by reason), and refused."""

    counts: PairCounts | None
    met: int
    left_out: dict[str, int]
    refused: list[tuple[str, int, str]]


def mine_chunk(chunk: Chunk | Sequence[Atoms], options: DeriveOptions, hold_out: HoldOut) -> ChunkCounts:
    """Read, filter and count one chunk."""
    if isinstance(chunk, Chunk):
        records = chunk.read()
    else:
        records = [Record("memory", k, atoms, None) for k, atoms in enumerate(chunk)]
    kept: list[Record] = []
    left_out: Counter[str] = Counter()
    refused: list[tuple[str, int, str]] = []
    for record in records:
        atoms = record.atoms
        if atoms is None:
            refused.append((record.file, record.frame, record.error or "unreadable"))
        elif why := _left_out(atoms, options, hold_out):
            left_out[why] += 1
        elif not atoms.pbc.all() or abs(np.linalg.det(atoms.cell.array)) < 1.0:
            refused.append((record.file, record.frame, "not a three-dimensional crystal with a volume"))
        else:
            kept.append(record)
    batch = Batch.from_atoms([r.atoms for r in kept if r.atoms is not None])
    found = count_pairs(batch, options.cutoff, options.smoothing) if kept else None
    if found is not None:
        near = found.contact_sh[:, : round(CLOSEST / BIN)].any(axis=1)
        if near.any():
            bad = set(found.crystal_s[near].tolist())
            refused += [
                (kept[b].file, kept[b].frame, f"two atoms are closer than {CLOSEST} Å: no crystal") for b in sorted(bad)
            ]
            good = [b for b in range(len(batch)) if b not in bad]
            found = count_pairs(batch.take(good), options.cutoff, options.smoothing) if good else None
    return ChunkCounts(found, len(records), dict(left_out), refused)


def _left_out(atoms: Atoms, options: DeriveOptions, hold_out: HoldOut) -> str | None:
    above = atoms.info.get("energy_above_hull", atoms.info.get("e_above_hull"))
    if above is not None and float(above) > options.max_above_hull:
        return f"more than {options.max_above_hull} eV/atom above the hull"
    if options.experimental and not observed(atoms.info):
        return "not said to be observed"
    if hold_out.holds(atoms.numbers):
        return "held out"
    return None


def observed(info: dict[str, Any]) -> bool:
    """Tell whether a crystal's own data say that it was observed (keys of Materials Project, ICSD, COD and OQMD)."""
    if "theoretical" in info:
        return not bool(info["theoretical"])
    if any(
        str(info.get(key) or "").strip("[]{} ") for key in ("icsd", "icsd_id", "icsd_ids", "cod_id", "database_IDs")
    ):
        return True
    return bool(info.get("experimental", False))
