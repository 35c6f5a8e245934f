"""Options of `lodewell fit gap`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lodewell.errors import BadOption, did_you_mean
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.options import Unsaid, unsaid

_TRIPLE = "three numbers with colons, of energy : force : virial in eV, eV/Å, eV, such as 0.003:0.15:0.2"


@dataclass(frozen=True)
class GAPOptions(LabelledOptions):
    """How a Gaussian approximation potential is made.

    Attributes:
        preset: hyperparameters of a published model, which other options override; "Si-GAP-18", "C-GAP-17",
            "C-GAP-20", "RSS".
        points: sparse points of SOAP, of all elements together.
        sparse: how they are chosen; "farthest" takes one by one what those before explain least, "leverage" draws by
            leverage scores, "random" draws.
        quotas: sparse points of a config_type, such as liquid=200; the others share the rest.
        cutoff: of SOAP, Å; 0 takes the distance within which an atom has 30 neighbours on average.
        width: over which neighbours fade out before the cutoffs, Å.
        n_max: radial functions of SOAP.
        l_max: highest angular momentum of SOAP.
        atom_sigma: width of the atoms in SOAP, Å; 0 chooses it by likelihood.
        zeta: power of the SOAP kernel.
        delta: how much of an atom's energy SOAP is expected to explain, eV; 0 chooses it by likelihood.
        two_body: whether there is a kernel of distances.
        points_2body: its sparse points, for each pair of elements.
        cutoff_2body: where it ends, Å; 0 takes the distance within which an atom has 60 neighbours on average.
        length_2body: distance over which it changes, Å; 0 chooses it by likelihood.
        delta_2body: as delta, for a pair; 0 chooses it by likelihood.
        three_body: whether there is a kernel of triplets as well.
        points_3body: its sparse points, for each triplet of elements.
        cutoff_3body: longest leg of a triplet, Å; 0 takes the distance within which an atom has 12 neighbours.
        length_3body: over which it changes, in each of its three coordinates, Å and Å²; 0 chooses it by likelihood.
        delta_3body: as delta, for a triplet; 0 chooses it by likelihood.
        energy_sigma: expected error of the energy of one atom, eV; √N times it for a frame of N atoms, as errors of
            atoms add up; left out, it is chosen by likelihood.
        force_sigma: expected error of a force component, eV/Å; left out, it is chosen.
        virial_sigma: expected error of the virial of one atom, eV; √N times it for a frame; left out, it is chosen.
        config_sigmas: expected errors of a config_type, energy:force:virial, such as liquid=0.003:0.15:0.2. A frame
            may have energy_sigma, force_sigma and virial_sigma of its own (eV, eV/Å, eV), an atom force_atom_sigma, a
            component force_component_sigma.
        baseline: a potential that is subtracted from the data and added again; "wall" is the repulsion of the
            statistical potential inside the shortest distance of the data, "zbl" that of nuclei, "none" nothing, else
            a name or file.
        balance: how much a relative gain in forces counts against one in energies when the weights between them are
            chosen by cross-validation, which is done where no σ is given.
        config_balance: a config_type whose errors are smaller than the average has smaller σ, down to this factor, when
            σ are chosen; 1 treats all alike.
        uncertainty: keep what is needed for standard deviations, some megabytes.
        single: multiply matrices in single precision in predictions.
        keep_rows: also write NAME.rows, from which a later fit goes on with --extend.
        extend: a NAME.rows of an earlier fit; its sparse points are used, and its frames count as well.
    """

    preset: str = ""
    points: int = unsaid(0)
    sparse: Literal["farthest", "leverage", "random"] = "farthest"
    quotas: Mapping[str, int] = field(default_factory=dict)
    cutoff: float = unsaid(0.0)
    width: float = unsaid(1.0)
    n_max: int = unsaid(8)
    l_max: int = unsaid(6)
    atom_sigma: float = unsaid(0.0)
    zeta: float = unsaid(4.0)
    delta: float = unsaid(0.0)
    two_body: bool = unsaid(True)
    points_2body: int = unsaid(15)
    cutoff_2body: float = unsaid(0.0)
    length_2body: float = unsaid(0.0)
    delta_2body: float = unsaid(0.0)
    three_body: bool = unsaid(False)
    points_3body: int = unsaid(100)
    cutoff_3body: float = unsaid(0.0)
    length_3body: float = unsaid(0.0)
    delta_3body: float = unsaid(0.0)
    energy_sigma: float | None = unsaid(None)
    force_sigma: float | None = unsaid(None)
    virial_sigma: float | None = unsaid(None)
    config_sigmas: Mapping[str, str] = unsaid({})
    baseline: str = unsaid("wall")
    balance: float = 4.0
    config_balance: float = 3.0
    folds: int = 3
    uncertainty: bool = True
    single: bool = False
    keep_rows: bool = False
    extend: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(value, Unsaid) for value in vars(self).values()):
            self.settled()  # which checks itself
        else:
            self._check()

    def _check(self) -> None:
        for name in ("energy_sigma", "force_sigma", "virial_sigma"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise BadOption(
                    f"{name} must be above 0, not {value}: labels without any error would have to be met exactly; leave"
                    " it out to have it chosen"
                )
        for kind, text in self.config_sigmas.items():
            triple(text, f"config_sigmas of {kind}")
        for name in ("points", "points_2body", "points_3body"):
            if getattr(self, name) < 0:
                raise BadOption(f"{name} must be 0 or more, not {getattr(self, name)}")
        for kind, count in self.quotas.items():
            if count < 1:
                raise BadOption(f"the quota of {kind} must be 1 or more, not {count}")
        for name in ("cutoff", "cutoff_2body", "cutoff_3body"):
            value = getattr(self, name)
            if value and not 1.0 <= value <= 20.0:
                raise BadOption(f"{name} must lie between 1 and 20 Å, or be 0 to be chosen, not {value}")
        for name in ("atom_sigma", "delta", "length_2body", "delta_2body", "length_3body", "delta_3body"):
            if getattr(self, name) < 0.0:
                raise BadOption(f"{name} must be above 0, or 0 to be chosen, not {getattr(self, name)}")

    def settled(self) -> GAPOptions:
        """Return the options with the preset's values, or else the defaults, where nothing was said."""
        if self.preset and self.preset not in PRESETS:
            known = ", ".join(PRESETS)
            raise BadOption(
                f"there is no preset '{self.preset}'{did_you_mean(self.preset, PRESETS)}; known are {known}"
            )
        preset = PRESETS[self.preset] if self.preset else {}
        left = {name: value.value for name, value in vars(self).items() if isinstance(value, Unsaid)}
        return replace(self, **{name: preset.get(name, default) for name, default in left.items()})


def triple(text: str, name: str) -> tuple[float, float, float]:
    """Return the three σ written as "energy:force:virial".

    Raises:
        BadOption: for something else, and for a σ that is not above 0.
    """
    try:
        energy, force, virial = (float(part) for part in text.split(":")[:3])
    except ValueError:
        raise BadOption(f"{name} is '{text}', but {_TRIPLE} is wanted") from None
    if not min(energy, force, virial) > 0.0:
        raise BadOption(f"{name} is '{text}': every σ must be above 0")
    return energy, force, virial


# Hyperparameters as published; sets of frames and their config_types are of course other ones here.
PRESETS: dict[str, dict[str, Any]] = {
    # Bartók, Kermode, Bernstein & Csányi, Phys. Rev. X 8, 041048 (2018)
    "Si-GAP-18": {
        "points": 9000, "cutoff": 5.0, "width": 1.0, "n_max": 10, "l_max": 12, "atom_sigma": 0.5, "zeta": 4.0,
        "delta": 3.0, "two_body": False, "energy_sigma": 0.001, "force_sigma": 0.1, "virial_sigma": 0.05,
        "config_sigmas": {"liquid": "0.003:0.15:0.2", "amorph": "0.01:0.2:0.4", "amorphous": "0.01:0.2:0.4"},
        "baseline": "zbl",
    },
    # Deringer & Csányi, Phys. Rev. B 95, 094203 (2017)
    "C-GAP-17": {
        "points": 4000, "cutoff": 3.7, "width": 0.5, "n_max": 8, "l_max": 8, "atom_sigma": 0.5, "zeta": 4.0,
        "cutoff_2body": 3.7, "three_body": True, "cutoff_3body": 3.0, "energy_sigma": 0.002, "force_sigma": 0.2,
        "virial_sigma": 0.2, "config_sigmas": {"crystals": "0.0002:0.02:0.02", "crystal": "0.0002:0.02:0.02"},
    },
    # Rowe, Deringer, Gasparotto, Csányi & Michaelides, J. Chem. Phys. 153, 034702 (2020), and the command in its file
    "C-GAP-20": {
        "points": 9000, "cutoff": 4.5, "width": 1.0, "n_max": 12, "l_max": 4, "atom_sigma": 0.5, "zeta": 4.0,
        "delta": 0.2, "cutoff_2body": 4.5, "points_2body": 15, "length_2body": 1.0, "delta_2body": 2.0,
        "three_body": True, "cutoff_3body": 2.5, "points_3body": 200, "length_3body": 1.0, "delta_3body": 0.05,
        "energy_sigma": 0.001, "force_sigma": 0.01, "virial_sigma": 0.05,
        "config_sigmas": {
            "Liquid": "0.05:0.5:0.5", "Liquid_Interface": "0.05:0.5:0.5", "Amorphous_Bulk": "0.005:0.2:0.2",
            "Amorphous_Surfaces": "0.005:0.2:0.2", "Surfaces": "0.002:0.1:0.2", "Dimer": "0.002:0.1:0.2",
            "Fullerenes": "0.002:0.1:0.2", "Single_Atom": "0.0001:0.001:0.05",
        },
    },
    # Bernstein, Csányi & Deringer, npj Comput. Mater. 5, 99 (2019)
    "RSS": {"n_max": 12, "l_max": 6, "zeta": 4.0, "points": 1000},
}  # fmt: skip
