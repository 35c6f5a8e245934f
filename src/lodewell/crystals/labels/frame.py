"""The labels of one frame: found under their names, brought to one unit and shape, and looked at for nonsense."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa
from numpy.typing import NDArray

from lodewell.crystals import voigt
from lodewell.crystals.labels.keys import KNOWN_NAMES, LabelKeys
from lodewell.errors import BadCrystal

Floats = NDArray[np.float64]

GROUP_NAMES = ("group", "trajectory")
LARGEST_FORCE = 1e3  # eV/Å: a force on the way to fusion
LARGEST_STRESS = 10.0  # eV/Å^3, 1.6 TPa
NET_FORCE = 0.02  # eV/Å per atom: what coarse grids leave over, and more
NET_FORCE_SHARE = 0.02  # of the largest force, for frames whose forces are large
SKEW_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """What stands beside the atoms of one frame; see `Labelled`."""

    energy: float | None
    forces_nc: Floats | None
    stress_cc: Floats | None
    config_type: str
    group: str
    weight: float


def frame_names(atoms: Atoms) -> set[str]:
    """Return the names in `info`, `arrays` and the results of the calculator, positions and species left out."""
    names = {*atoms.info, *atoms.arrays} - {"positions", "numbers"}
    return names | set(getattr(atoms.calc, "results", None) or ())


def label_frame(atoms: Atoms, names: LabelKeys) -> FrameLabels:
    """Take the labels off the atoms, which lose their calculator as well.

    Raises `BadCrystal` with the reason and the cure when there is none, or when one cannot be right.
    """
    results: dict[str, Any] = getattr(atoms.calc, "results", None) or {}
    info, arrays = atoms.info, atoms.arrays
    energy = _energy(_first(names.energy, info, results), names.energy)
    forces_nc = _forces(_first(names.forces, arrays, results, info), names.forces, len(atoms))
    if energy is not None and "enthalpy" in info and names.energy in results:
        energy -= float(info.get("pressure_GPa", 0.0)) * GPa * atoms.get_volume()  # AIRSS keeps the enthalpy
    stress_cc = _stress(atoms, names, results)
    config_type = str(info.get(names.config_type or "config_type", ""))
    group = next((str(info[k]) for k in ((names.group,) if names.group else GROUP_NAMES) if k in info), "")
    weight = _weight(info.get("weight", 1.0))
    if energy is None and forces_nc is None and stress_cc is None:
        raise BadCrystal(_without_labels(atoms, names))
    _strip(atoms, names)
    return FrameLabels(energy, forces_nc, stress_cc, config_type, group, weight)


def _first(name: str, *places: Any) -> Any:
    return next((place[name] for place in places if name in place), None) if name else None


def _strip(atoms: Atoms, names: LabelKeys) -> None:
    given = {names.energy, names.forces, names.stress, names.virial}
    for place in (atoms.info, atoms.arrays):
        for name in list(place):
            if name.lower() in KNOWN_NAMES or name in given:
                del place[name]
    atoms.calc = None


def _without_labels(atoms: Atoms, names: LabelKeys) -> str:
    found = sorted(frame_names(atoms))
    if names.nothing():
        there = ", ".join(found[:12]) if found else "nothing beside positions and species"
        return (
            f"no energy, forces or stress under a known name; there is {there}."
            " Name the labels (--energy-key, --forces-key ...) or leave the frame out"
        )
    wanted = ", ".join(n for n in (names.energy, names.forces, names.stress, names.virial) if n)
    return f"it has no label ({wanted}); add them or leave the frame out"


def _numbers(value: Any, name: str) -> Floats:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise BadCrystal(f"{name} is {str(value)[:40]!r}, which is no number; correct it or remove the frame") from err
    # A sum is NaN or infinite if a part is, and costs less than looking at each.
    if not math.isfinite(np.dot(numbers.ravel(), numbers.ravel())):
        raise BadCrystal(f"{name} is not finite (NaN or infinite){_which(numbers)}; correct it or remove the frame")
    return numbers


def _which(numbers: Floats) -> str:
    if numbers.ndim != 2 or numbers.shape[1] != 3:
        return ""
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    return f" at atom {bad[0] + 1}" if len(bad) else ""


def _energy(value: Any, name: str) -> float | None:
    if value is None:
        return None
    numbers = _numbers(value, name)
    if numbers.size != 1:
        raise BadCrystal(
            f"{name} holds {numbers.size} numbers; the total energy is one: name another with --energy-key"
        )
    return float(numbers.reshape(()))


def _forces(value: Any, name: str, count: int) -> Floats | None:
    if value is None:
        return None
    forces_nc = _numbers(value, name)
    if forces_nc.shape != (count, 3):
        raise BadCrystal(
            f"{name} has the shape {forces_nc.shape} and not ({count}, 3), one force an atom; correct or name another"
        )
    largest = float(np.abs(forces_nc).max())
    if largest > LARGEST_FORCE:
        raise BadCrystal(
            f"{name} reaches {largest:.3g} eV/Å; that is another unit or a failed calculation: eV/Å is wanted"
        )
    net = float(np.abs(forces_nc.sum(axis=0)).max()) / count
    if net > max(NET_FORCE, NET_FORCE_SHARE * largest):
        raise BadCrystal(
            f"the forces do not sum to zero: {net:.3g} eV/Å are left per atom. Atoms held fixed lose theirs, so take"
            " forces without constraints; or remove the frame"
        )
    return forces_nc


def _stress(atoms: Atoms, names: LabelKeys, results: dict[str, Any]) -> Floats | None:
    """Return the stress in eV/Å^3, also from a virial; None without a volume that means something."""
    value = _first(names.stress, atoms.info, results)
    virial = None if value is not None else _first(names.virial, atoms.info, results)
    if value is None and virial is None:
        return None
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        return None
    if value is not None:
        name, stress_cc = names.stress, _matrix(value, names.stress)
    else:
        name, stress_cc = names.virial, -_matrix(virial, names.virial) / atoms.get_volume()
    largest = float(np.abs(stress_cc).max())
    skew = float(np.abs(stress_cc - stress_cc.T).max())
    if skew > max(SKEW_SHARE * largest, 1e-3):
        raise BadCrystal(f"{name} is not symmetric (by {skew:.3g} eV/Å^3); correct it or remove the frame")
    if largest > LARGEST_STRESS:
        raise BadCrystal(
            f"{name} reaches {largest:.3g} eV/Å^3, which is {largest / GPa:.3g} GPa; if it is given in GPa divide"
            " it by 160.2177, if in kbar by 1602.177; if it is a virial (eV), name it with --virial-key"
        )
    return 0.5 * (stress_cc + stress_cc.T)


def _matrix(value: Any, name: str) -> Floats:
    numbers = _numbers(value, name)
    if numbers.size == 9:
        return numbers.reshape(3, 3)
    if numbers.size == 6:
        return voigt.matrix(numbers.ravel())
    raise BadCrystal(f"{name} holds {numbers.size} numbers; give 9, or 6 in the order xx yy zz yz xz xy")


def _weight(value: Any) -> float:
    try:
        weight = float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0.0):
        raise BadCrystal(f"the weight is {value}; it must be a number of 0 or more")
    return weight
