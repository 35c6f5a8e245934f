"""Under which names energies, forces and stresses stand in files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
# Capitals do not matter: GPUMD's Virial is a virial.
KNOWN_NAMES = frozenset(
    (prefix + name).lower() for prefix in PREFIXES for names in SPELLINGS.values() for name in names
)
# What a name that is not known, such as TotEnergy, is probably about.
STEMS = {"energy": ("energ", "etot", "toten"), "forces": ("forc",), "stress": ("stress", "virial")}


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

        One whole family (REF_energy and REF_forces, say) is taken before a mixture of several. A stress under another
        prefix joins it, unless energies or forces stand under other prefixes too: then it may be theirs.
        """
        lower = {name.lower(): name for name in sorted(names)}
        families = [{kind: _spelt(prefix, kind, names, lower) for kind in SPELLINGS} for prefix in PREFIXES]
        whole = next((family for family in families if family["energy"] and family["forces"]), None)
        mixture = {kind: next((f[kind] for f in families if f[kind]), "") for kind in SPELLINGS}
        if whole is None:
            whole = mixture
        elif not (whole["stress"] or whole["virial"]) and not _rival(whole, families):
            whole |= {"stress": mixture["stress"], "virial": mixture["virial"]}  # nobody else's
        chosen = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{kind: chosen[kind] or name for kind, name in whole.items()})

    def nothing(self) -> bool:
        """Tell whether no name of a label is known."""
        return not (self.energy or self.forces or self.stress or self.virial)


def _spelt(prefix: str, kind: str, names: Collection[str], lower: Mapping[str, str]) -> str:
    """Return the name of a label with one prefix, as it is spelt, else in whatever capitals; "" if there is none."""
    for spelling in SPELLINGS[kind]:
        if prefix + spelling in names:
            return prefix + spelling
    exact = {known + spelling for known in PREFIXES for spelling in SPELLINGS[kind]}
    found = (lower.get((prefix + spelling).lower(), "") for spelling in SPELLINGS[kind])
    return next((name for name in found if name and name not in exact), "")


def _rival(whole: Mapping[str, str], families: Sequence[Mapping[str, str]]) -> bool:
    """Tell whether energies or forces stand in the file that are not of this family."""
    return any(family[kind] not in ("", whole[kind]) for family in families for kind in ("energy", "forces"))


def unread(missing: Collection[str], names: Collection[str], keys: LabelKeys) -> list[str]:
    """Return a sentence for each kind of label that is missing and may stand under a name that is not read.

    missing: of "energy", "forces" and "stress". names: all that stand in a file.
    """
    read = {keys.energy, keys.forces, keys.stress, keys.virial}
    out = []
    for kind in missing:
        like = sorted(name for name in names if name not in read and any(stem in name.lower() for stem in STEMS[kind]))
        if like:
            flag = "virial" if kind == "stress" and "virial" in like[0].lower() else kind
            out.append(f"no {kind} is read, but '{like[0]}' stands in the file; did you mean --{flag}-key {like[0]}?")
    return out
