"""The rows of a map: where each crystal or atom came from, what is known of it, and what colours it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.units import _amu

from lodewell.crystals.batch import Batch, Floats, Ints
from lodewell.crystals.chemistry import ANION_CLASSES, anion_class_b, element_set, reduced_formula
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.read import Record
from lodewell.crystals.validate import validate
from lodewell.errors import BadOption, did_you_mean
from lodewell.potentials.gap.gap import GAP

Value: TypeAlias = float | str | None
By: TypeAlias = Literal["crystals", "atoms"]
KNOWN = (
    "energy", "volume", "density", "config_type", "elements", "class", "formula", "element", "uncertainty"
)  # fmt: skip
_FIELDS = {"energy": "energy_per_atom", "volume": "volume_per_atom", "class": "anion_class"}
_GRAMS_PER_CM3 = _amu * 1e3 / 1e-24  # of one atomic mass unit in one Å^3
_MOST_KINDS = 12  # config_types that are told apart
_MOST_SYSTEMS = 30  # chemical systems


@dataclass(frozen=True)
class MapPoint:
    """What became of one crystal, or of one atom.

    | field | meaning |
    |---|---|
    | `file`, `frame` | where it came from (no file: in memory); frames count from zero |
    | `id`, `formula` | its own name, if it has one; reduced formula, symbols sorted |
    | `status`, `message` | `mapped`, `unsupported` or `bad input`, and why |
    | `x`, `y` | coordinates on the two axes; without unit |
    | `atom`, `element` | of a map of atoms: which one, counted from zero, and what it is |
    | `energy_per_atom` | eV, as labelled |
    | `volume_per_atom`, `density` | Å³ and g/cm³; None without a volume |
    | `config_type` | as labelled |
    | `elements`, `anion_class` | such as "Li-O-P"; such as "oxide", by the most electronegative element of some share |
    | `value` | what the figure colours |
    """

    file: str | None
    frame: int
    id: str | None
    formula: str | None
    status: Literal["mapped", "unsupported", "bad input"] = "mapped"
    message: str = ""
    x: float | None = None
    y: float | None = None
    atom: int | None = None
    element: str | None = None
    energy_per_atom: float | None = None
    volume_per_atom: float | None = None
    density: float | None = None
    config_type: str | None = None
    elements: str | None = None
    anion_class: str | None = None
    value: Value = None

    def row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def refusal(record: Record, gap: GAP | None) -> MapPoint | None:
    """Return the row of a crystal that cannot be mapped, or None."""
    atoms = record.atoms
    if atoms is None:
        return MapPoint(record.file or None, record.frame, None, None, "bad input", record.error or "unreadable")
    if why := validate(atoms):
        formula = reduced_formula(atoms.numbers) if len(atoms) and 0 < max(atoms.numbers) <= 118 else None
        return MapPoint(record.file or None, record.frame, _id(atoms), formula, "bad input", why)
    if gap is not None and (why := gap.unsupported(atoms.numbers)):
        return MapPoint(
            record.file or None, record.frame, _id(atoms), reduced_formula(atoms.numbers), "unsupported", why
        )
    return None


def _id(atoms: Atoms) -> str | None:
    found = atoms.info.get("id")
    return None if found is None else str(found)


def rows_of(record: Record, atom_k: Ints | None, colour: str | None, gap: GAP | None) -> list[MapPoint]:
    """Return the row of a crystal, or a row for each of some atoms, without coordinates."""
    atoms = record.atoms
    assert atoms is not None
    volume = atoms.get_volume() if atoms.pbc.all() else None
    config_type = atoms.info.get("config_type")
    whole = MapPoint(
        record.file or None, record.frame, _id(atoms), reduced_formula(atoms.numbers),
        energy_per_atom=_energy(atoms),
        volume_per_atom=volume and volume / len(atoms),
        density=volume and float(atoms.get_masses().sum()) * _GRAMS_PER_CM3 / volume,
        config_type=None if config_type is None else str(config_type),
        elements=element_set(atoms.numbers),
        anion_class=ANION_CLASSES[int(anion_class_b(Batch.from_atoms(atoms))[0])],
    )  # fmt: skip
    told = _uncertainty(atoms, gap) if colour == "uncertainty" else None
    if colour is not None and colour not in KNOWN:
        whole = replace(whole, value=_plain(atoms.info.get(colour)))
    if atom_k is None:
        return [whole if told is None else replace(whole, value=float(told.max()))]
    symbols = [chemical_symbols[z] for z in atoms.numbers]
    return [
        replace(whole, atom=int(k), element=symbols[k], value=whole.value if told is None else float(told[k]))
        for k in atom_k
    ]


def _uncertainty(atoms: Atoms, gap: GAP | None) -> Floats:
    """Return the standard deviation of each atom's energy, meV."""
    if gap is None or not gap.uncertain:
        raise BadOption("colour uncertainty needs a GAP that was fitted with --uncertainty")
    return 1e3 * gap.atomic_deviations(atoms)[0]


def _energy(atoms: Atoms) -> float | None:
    """Return the energy per atom as labelled, eV."""
    name = LabelKeys().found_in(atoms.info.keys()).energy
    found = atoms.info.get(name) if name else None
    if found is None and atoms.calc is not None:
        found = getattr(atoms.calc, "results", {}).get("energy")
    value = _plain(found)
    return value / len(atoms) if isinstance(value, float) and np.isfinite(value) else None


def _plain(value: Any) -> Value:
    """Return a number as float, a word as it is, None for what cannot colour a point."""
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value) if np.isfinite(value) else None
    return None


def placed(rows: Sequence[MapPoint], xy_nk: Floats) -> list[MapPoint]:
    """Give each row that is not refused its coordinates, in order."""
    places = iter(xy_nk.tolist())
    return [row if row.message else replace(row, **dict(zip("xy", next(places), strict=True))) for row in rows]


def coloured(rows: Sequence[MapPoint], colour: str | None, by: By) -> tuple[list[MapPoint], str]:
    """Fill in the values that the figure colours; return the rows and the name of the values.

    Raises:
        BadOption: when no crystal has such a value.
    """
    good = [row for row in rows if row.x is not None]
    name = colour or _telling(good, by)
    if name in KNOWN and name != "uncertainty":
        field = _FIELDS.get(name, name)
        rows = [row if row.x is None else replace(row, value=getattr(row, field)) for row in rows]
    if all(row.value is None for row in rows):
        why = "only a map of atoms has" if name == "element" else "no crystal has"
        raise BadOption(f"{why} a {name} to colour by{did_you_mean(name, KNOWN)}: choose one of {', '.join(KNOWN)}, "
                        "or a name that stands beside the crystals in their file")  # fmt: skip
    return list(rows), name


def _telling(rows: Sequence[MapPoint], by: By) -> str:
    """Choose what to colour by: what differs and is known of nearly all."""

    def known(name: str) -> list[Any]:
        found = [value for row in rows if (value := getattr(row, name)) is not None]
        return found if len(found) > 0.9 * len(rows) else []

    if by == "atoms" and len(set(known("element"))) > 1:
        return "element"
    if len(set(known("elements"))) > _MOST_SYSTEMS and len(set(known("anion_class"))) > 1:
        return "class"
    if len(set(known("elements"))) > 1:
        return "elements"
    if 1 < len(set(known("config_type"))) <= _MOST_KINDS:
        return "config_type"
    if len(set(known("energy_per_atom"))) > 1:
        return "energy"
    return "volume" if known("volume_per_atom") else "formula"
