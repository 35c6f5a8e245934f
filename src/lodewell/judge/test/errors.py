"""What a potential is held to: errors by kind of label, by kind of frame, and of error bars."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ase.units import GPa

from lodewell.crystals.batch import Floats
from lodewell.crystals.labels.read import Refusal
from lodewell.judge.test.tally import Calibration, Error

LEAST = 5  # numbers from which on their spread means something
KINDS = ("energy", "force", "stress")
UNITS = {"energy": "eV/atom", "force": "eV/Å", "stress": "eV/Å^3"}


@dataclass(frozen=True)
class Group:
    """Errors of some frames: all of them, or those of one `config_type`.

    Attributes:
        frames: that were compared.
        atoms: in them.
        energy: per atom, eV.
        force: each component, eV/Å.
        vector: length of the difference of two force vectors, eV/Å.
        stress: the six components, eV/Å^3.
        pressure: minus a third of the trace of the stress, eV/Å^3; its shift tells of data computed with another basis.
    """

    frames: int
    atoms: int
    energy: Error
    force: Error
    vector: Error
    stress: Error
    pressure: Error

    def json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "energy": self.energy.json(),
            "force": self.force.json() | {"vector_mae": self.vector.mae, "vector_rmse": self.vector.rmse},
            "stress": self.stress.json() | {"pressure_shift": self.pressure.shift},
            "frames": self.frames,
            "atoms": self.atoms,
        }


@dataclass(frozen=True)
class Points:
    """A fair sample of single errors for figures; σ is NaN where the potential knows none.

    | field | shape | columns |
    |---|---|---|
    | `energy` | (F, 5) | reference, predicted, σ (eV/atom), nearest distance (Å), kind |
    | `force` | (A, 11) | reference x y z, predicted x y z, σ x y z (eV/Å), nearest distance (Å), kind |
    | `stress` | (S, 19) | reference, predicted, σ, six components each (eV/Å^3), kind |
    | `kinds` | | names of the kinds: the `config_type`, "" where there is none |
    """

    energy: Floats
    force: Floats
    stress: Floats
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Errors:
    """What `lodewell.test` returns.

    Attributes:
        name: of the potential.
        overall: errors of all frames.
        by_config_type: of the frames of each; empty where no frame has one.
        by_element: of the force components on the atoms of each element.
        calibration: of the error bars of "energy", "force" and "stress", where the potential has them.
        calibration_by_config_type: the same for the frames of each; empty where no frame has one.
        extrapolated: force errors of atoms with an extrapolation grade above 1, and of the others.
        refused: frames that could not be compared, and why.
        points: a sample for figures.
        calibrated: whether the energies of the potential are true eV.
        notes: what the user should know of the data.
    """

    name: str
    overall: Group
    by_config_type: dict[str, Group]
    by_element: dict[str, Error]
    calibration: dict[str, Calibration]
    calibration_by_config_type: dict[str, dict[str, Calibration]]
    extrapolated: dict[str, Error]
    refused: tuple[Refusal, ...]
    points: Points
    calibrated: bool = True
    notes: tuple[str, ...] = ()

    @property
    def energy(self) -> Error:
        """Errors of the energy per atom."""
        return self.overall.energy

    @property
    def force(self) -> Error:
        """Errors of the force components."""
        return self.overall.force

    @property
    def stress(self) -> Error:
        """Errors of the stress components."""
        return self.overall.stress

    def doubts(self) -> list[str]:
        """Say which numbers are worse than their mean would be: those of all frames, and of each config_type."""
        groups = {"": self.overall} | (self.by_config_type if len(self.by_config_type) > 1 else {})
        return [
            f"{what}{f' of {name}' if name else ''} are predicted worse than by their mean: the RMSE is"
            f" {error.rmse / unit:,.4g} {words}, that of their mean {error.spread / unit:,.4g}"
            for name, group in groups.items()
            for what, error, unit, words in (
                ("energies", group.energy, 1e-3, "meV/atom"),
                ("forces", group.force, 1.0, "eV/Å"),
                ("stresses", group.stress, GPa, "GPa"),
            )
            if error.count >= LEAST and error.rmse is not None and error.spread and error.rmse > error.spread
        ]

    def json(self) -> dict[str, Any]:
        """Return everything but the points, as plain values."""
        out = self.overall.json()
        out["by_config_type"] = {name: group.json() for name, group in self.by_config_type.items()}
        out["by_element"] = {name: {"force": error.json()} for name, error in self.by_element.items()}
        out["doubts"] = self.doubts()
        if self.calibration:
            out["uncertainty"] = {name: c.json() for name, c in self.calibration.items()}
            for kind, bars in self.calibration_by_config_type.items():
                out["by_config_type"][kind]["uncertainty"] = {name: c.json() for name, c in bars.items()}
        if self.extrapolated:
            out["extrapolation"] = {name: {"force": error.json()} for name, error in self.extrapolated.items()}
        out["refused"] = [asdict(r) for r in self.refused]
        return {"potential": self.name, "calibrated": self.calibrated} | out | {"notes": list(self.notes)}

    def figure(self, path: str | Path) -> Path:
        """Draw parity, errors against distance, and the calibration of error bars; return the file."""
        from lodewell.report.parity import draw_errors

        return draw_errors(self, path)
