"""CIF readers: 10,000 files of known crystals, and every setting of every space group named in every way.

Speed: structures of the Materials Project, written by pymatgen with their space groups, read by lodewell, by gemmi
alone (parse, make the small structure, all sites of the cell), by ASE and by pymatgen (fewer files: they are slow).
Settings: the files of `tests/crystals/formats/cif/test_settings.py`, each read right, refused or wrong. Five minutes.
"""

from __future__ import annotations

import io
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import DATA, one_thread, race, report

one_thread()

import gemmi  # noqa: E402
import numpy as np  # noqa: E402

from lodewell.crystals.formats.cif import read_cif  # noqa: E402
from lodewell.crystals.read import read_crystals  # noqa: E402

FILES, FEW = 10_000, 200

Reader = Callable[[str], Any]


def ours(text: str) -> Any:
    """Raise where the reason for a refusal is given."""
    found = next(iter(read_cif(text)))
    if isinstance(found, str):
        raise ValueError(found)
    return found


def gemmi_alone(text: str) -> Any:
    """Return positions of all sites, fractional, with their elements."""
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text)[0])
    return [(site.element.name, site.fract.tolist()) for site in small.get_all_unit_cell_sites()]


def ase(text: str) -> Any:
    from ase.io.cif import read_cif as ase_reader

    (atoms,) = ase_reader(io.BytesIO(text.encode()), slice(None))
    return atoms


def pymatgen(text: str) -> Any:
    from pymatgen.io.cif import CifParser

    return CifParser(io.StringIO(text)).parse_structures(primitive=False)[0]


def written_by_pymatgen(count: int, folder: Path) -> list[str]:
    """Return CIFs with symmetry of known crystals; kept in a folder, for writing takes longer than reading."""
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.cif import CifWriter

    folder.mkdir(parents=True, exist_ok=True)
    for k, record in enumerate(read_crystals(DATA / "crystals" / "mp-experimental.extxyz.gz")):
        path = folder / f"{k:05d}.cif"
        if k >= count:
            break
        if record.atoms is not None and not path.exists():
            record.atoms.info = {}
            path.write_text(str(CifWriter(AseAtomsAdaptor.get_structure(record.atoms), symprec=0.01)))
    return [path.read_text() for path in sorted(folder.glob("*.cif"))[:count]]


def verdicts(reader: Reader, cases: Sequence[tuple[int, str]]) -> Counter[str]:
    """Count how often a reader is right, refuses, or makes another crystal."""
    from tests.crystals.cif.test_settings import crystal

    found: Counter[str] = Counter()
    for hall, text in cases:
        try:
            result = reader(text)
            symbols, positions = _sites(result)
        except Exception:
            found["refused"] += 1
            continue
        wanted = crystal(hall)[2]
        found["right" if _same(symbols, positions, wanted) else "wrong"] += 1
    return found


def _sites(result: Any) -> tuple[list[str], Any]:
    if isinstance(result, list):
        return [symbol for symbol, _ in result], np.array([place for _, place in result]).reshape(-1, 3)
    if hasattr(result, "frac_coords"):
        return [site.specie.symbol for site in result], result.frac_coords
    return result.get_chemical_symbols(), result.get_scaled_positions()


def _same(symbols: list[str], positions: Any, wanted: Any) -> bool:
    if len(symbols) != 2 * wanted.shape[1]:
        return False
    for element, places in zip(("Si", "O"), wanted, strict=True):
        got = positions[[k for k, symbol in enumerate(symbols) if symbol == element]]
        steps = got[:, None] - places
        near = np.abs(steps - np.round(steps)).max(axis=2) < 1e-3
        if not (len(got) and near.any(axis=0).all() and near.any(axis=1).all()):
            return False
    return True


def main() -> None:
    """Measure and report."""
    warnings.simplefilter("ignore")
    from tests.crystals.cif.test_settings import cif, headers

    readers: dict[str, Reader] = {"lodewell": ours, "gemmi": gemmi_alone, "ase": ase, "pymatgen": pymatgen}
    texts = written_by_pymatgen(FILES, Path(tempfile.gettempdir()) / "lodewell-cifs")
    slow = texts[:: len(texts) // FEW]
    per_file: dict[str, float] = {}
    for names, some in ((("lodewell", "gemmi"), texts), (("ase", "pymatgen"), slow)):
        jobs = {name: (lambda name=name, some=some: [readers[name](text) for text in some]) for name in names}
        per_file |= {name: timing.cpu_seconds / len(some) for name, timing in race(jobs, runs=5).items()}
    cases = [(hall, cif(hall, *header)) for hall in range(1, 531) for _, header, _ in headers(hall)]
    rows = []
    for name, reader in readers.items():
        some = cases if name in ("lodewell", "gemmi") else cases[::10]
        found = verdicts(reader, some)
        shares = [f"{100 * found[key] / len(some):.1f} %" for key in ("right", "refused", "wrong")]
        rows.append([name, f"{1e3 * per_file[name]:.2f}", *shares])
    report(
        "cif",
        "CIF readers",
        ["reader", "ms a file", "settings right", "refused", "wrong"],
        rows,
        note=f"Time: processor time on one thread, medians of 5 runs over {len(texts):,} files ({len(slow)} for ASE, "
        f"pymatgen). Settings: all 530 of spglib under {len(cases):,} headers that name the group, without operations "
        "(every tenth for those two); wrong is a crystal other than the one the header means.",
    )


if __name__ == "__main__":
    main()
