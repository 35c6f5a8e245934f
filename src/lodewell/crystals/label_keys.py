"""Under which names energies, forces and stresses stand in files."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace

# What people put before the plain names, most telling first. A prefix says that the numbers are the reference; plain
# names may also be what some potential has predicted since.
PREFIXES = ("REF_", "ref_", "DFT_", "dft_", "")
SPELLINGS = {
    "energy": ("energy", "free_energy"),
    "forces": ("forces", "force"),
    "stress": ("stress",),
    "virial": ("virial", "virials"),
}
KNOWN_NAMES = frozenset(prefix + name for prefix in PREFIXES for names in SPELLINGS.values() for name in names)


@dataclass(frozen=True)
class LabelKeys:
    """Names of the labels in a file; "" finds the name by itself.

    `energy`: total energy in eV. `forces`: eV/Å. `stress`: eV/Å^3, positive under tension, as 3x3, 9 or 6 numbers
    (Voigt, ASE's order xx yy zz yz xz xy). `virial`: eV, minus stress times volume. `config_type` and `group`: what
    kind of frame it is, and which frames belong together.
    """

    energy: str = ""
    forces: str = ""
    stress: str = ""
    virial: str = ""
    config_type: str = ""
    group: str = ""

    def found_in(self, names: Collection[str]) -> LabelKeys:
        """Return the names to read from a file that has these names; "" is left where it has no such label.

        One whole family (REF_energy and REF_forces, say) is taken before a mixture of several.
        """
        families = [
            {kind: next((prefix + s for s in spelt if prefix + s in names), "") for kind, spelt in SPELLINGS.items()}
            for prefix in PREFIXES
        ]
        whole = next((family for family in families if family["energy"] and family["forces"]), None)
        if whole is None:
            whole = {kind: next((f[kind] for f in families if f[kind]), "") for kind in SPELLINGS}
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{kind: chosen[kind] or name for kind, name in whole.items()})

    def nothing(self) -> bool:
        """Tell whether no name of a label is known."""
        return not (self.energy or self.forces or self.stress or self.virial)
