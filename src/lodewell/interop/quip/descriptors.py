"""Descriptors of Gaussian approximation potentials as QUIP's files word them, in both directions.

A file holds for each descriptor what its fit was told: `soap cutoff=5.0 l_max=6 species_Z={6 14} ...`. What it means
was found by holding against quippy (tests/potentials/gap/oracle.py writes it out).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ase.data import chemical_symbols

from lodewell.descriptors.environments import Angle, Descriptor, Distance, Soap, Triplet
from lodewell.errors import BadFile, BadOption

_WORD = re.compile(r"([\w]+)(?:\s*=\s*(\{+[^{}]*\}+|\"[^\"]*\"|'[^']*'|\S+))?")

# Told to the fit alone: kernel, sparse points and weights stand in the file itself.
_OF_THE_FIT = (
    "delta", "energy_scale", "f0", "n_sparse", "config_type_n_sparse", "sparse_method", "lengthscale_factor",
    "theta_fac", "lengthscale_uniform", "theta_uniform", "lengthscale_file", "theta_file", "sparse_file",
    "mark_sparse_atoms", "add_species", "covariance_type", "soap_exponent", "zeta", "print_sparse_index",
    "unique_hash_tolerance", "unique_descriptor_tolerance",
)  # fmt: skip
_KNOWN = {
    "soap": ("l_max", "n_max", "atom_sigma", "atom_gaussian_width", "n_species", "species_z", "n_z", "z",
             "central_weight", "xml_version"),
    "distance_2b": ("z1", "z2"),
    "angle_3b": ("z_center", "z", "z1", "z2"),
    "distance_nb": ("order", "z", "compact_clusters", "xml_version"),
}  # fmt: skip
_RADII = ("cutoff", "cutoff_transition_width")
# What lodewell does not have, and may therefore only stand there with the value that switches it off.
_ONLY = {
    "average": "f", "diagonal_radial": "f", "central_reference_all_species": "f", "covariance_sigma0": "0",
    "normalise": "t", "normalize": "t", "basis_error_exponent": "10", "cutoff_dexp": "0", "cutoff_scale": None,
    "cutoff_rate": None, "nu_r": "2", "nu_s": "2", "z_mix": "f", "r_mix": "f", "sym_mix": "f", "coupling": "t",
    "k": "0", "mix_shift": "0", "z_map": "", "radial_basis": "equispaced_gauss", "resid_name": "",
    "only_intra": "f", "only_inter": "f", "n_exponents": "1", "exponents": "1", "tail_exponent": "0",
    "tail_range": None,
}  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """The words of one descriptor: `kind`, such as "soap", and what is told, keys in lower case."""

    kind: str
    told: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> Wording:
        """Take apart the words of a file.

        Raises:
            BadFile: for a descriptor or an option that lodewell does not have, named.
        """
        words = [(key.lower(), value.strip("{}\"' ")) for key, value in _WORD.findall(text)]
        bare = [key for key, value in words if not value]
        kind = bare[0] if bare else ""
        if kind not in _KNOWN:
            raise BadFile(f"its descriptor '{kind or text.strip()[:40]}' is none of those that lodewell has: soap, "
                          "distance_2b, angle_3b")  # fmt: skip
        told = dict(words)
        del told[kind]
        for key, value in told.items():
            ours = key in _KNOWN[kind] or key in _RADII or key in _OF_THE_FIT
            if not ours and not (key in _ONLY and _same(value, _ONLY[key])):
                raise BadFile(f"its {kind} has the option {key}={value}, which lodewell does not have")
        return cls(kind, told)

    def number(self, keys: str, default: float | None = None) -> float:
        """Return the number told by one of the keys.

        Raises:
            BadFile: when it is missing or none.
        """
        for key in keys.split():
            if key in self.told:
                try:
                    return float(self.told[key].replace("d", "e").replace("D", "E"))
                except ValueError:
                    raise BadFile(f"its {self.kind} has {key}={self.told[key]}, which is no number") from None
        if default is None:
            raise BadFile(f"its {self.kind} does not say {keys.split(maxsplit=1)[0]}")
        return default

    def elements(self, key: str) -> tuple[int, ...]:
        """Return atomic numbers; () when none are told, or 0, which is any element."""
        try:
            numbers = tuple(int(word) for word in self.told.get(key, "").replace(",", " ").split())
        except ValueError:
            raise BadFile(f"its {self.kind} has {key}={self.told[key]}, which are no atomic numbers") from None
        if any(not 0 <= z < len(chemical_symbols) for z in numbers):
            raise BadFile(f"its {self.kind} has {key}={self.told[key]}, which are no atomic numbers")
        return () if numbers == (0,) else numbers

    def element(self, keys: str) -> int:
        """Return the one atomic number told by one of the keys."""
        for key in keys.split():
            if len(found := self.elements(key)) == 1:
                return found[0]
        raise BadFile(f"its {self.kind} is for any element: lodewell wants {keys.split(maxsplit=1)[0]} to name one")

    @property
    def blind(self) -> bool:
        """Whether it takes all neighbours for one element."""
        return self.kind == "soap" and not self.elements("species_z")


def _same(value: str, only: str | None) -> bool:
    value = value.lower().strip(".")
    if only is None:
        return True  # without effect while what it belongs to is switched off
    if only in ("t", "f"):
        return value[:1] == only
    try:
        return float(value) == float(only)
    except ValueError:
        return value == only


def read_descriptors(words: Wording, lengths: Sequence[float], zeta: float) -> list[Descriptor]:
    """Return the descriptor, or one for each central element that shares it.

    Args:
        words: from the file.
        lengths: θ of a squared exponential.
        zeta: of a dot product.

    Raises:
        BadFile: for something that lodewell does not have, named.
    """
    cutoff, width = words.number("cutoff"), words.number("cutoff_transition_width", 0.5)
    try:
        if words.kind == "soap":
            return _soaps(words, cutoff, width, zeta)
        if words.kind == "angle_3b":
            others = sorted((words.element("z1"), words.element("z2")))
            x, y, z = lengths
            return [Angle(words.element("z_center z"), (others[0], others[1]), cutoff, width, (x, y, z))]
        if words.kind == "distance_nb" and words.number("order") == 3:
            return [_triplet(words, cutoff, width, lengths)]
        pair = _pair(words)
        return [Distance((min(pair), max(pair)), cutoff, width, lengths[0])]
    except BadOption as error:
        raise BadFile(str(error)) from error


def size(words: Wording) -> int:
    """Return how many numbers a sparse point of the file has."""
    if words.kind == "soap":
        channels = max(1, len(words.elements("species_z"))) * int(words.number("n_max"))
        return channels * (channels + 1) // 2 * (int(words.number("l_max")) + 1) + 1
    return 3 if words.kind == "angle_3b" or words.number("order", 2) == 3 else 1


def _pair(words: Wording) -> tuple[int, int]:
    if words.kind == "distance_2b":
        return words.element("z1"), words.element("z2")
    if (order := words.number("order")) != 2:
        raise BadFile(f"its distance_Nb of order {order:g} is none of the descriptors that lodewell has: 2 and 3 are")
    pair = words.elements("z")
    if len(pair) != 2:
        raise BadFile("its distance_Nb is for any element: lodewell wants Z to name two")
    return pair[0], pair[1]


def _triplet(words: Wording, cutoff: float, width: float, lengths: Sequence[float]) -> Triplet:
    if words.told.get("compact_clusters", "t")[:1].lower() != "t":
        raise BadFile("its distance_Nb has compact_clusters=F, which lodewell does not have")
    species = sorted(words.elements("z"))
    if len(species) != 3:
        raise BadFile("its distance_Nb is for any element: lodewell wants Z to name three")
    if len(set(species)) == 2:
        raise BadFile(
            f"its distance_Nb of {_names(species)} changes with the order of the atoms in QUIP: no potential can follow"
        )
    (a, b, c), (x, y, z) = species, lengths
    return Triplet((a, b, c), cutoff, width, (x, y, z))


def _soaps(words: Wording, cutoff: float, width: float, zeta: float) -> list[Descriptor]:
    centres = words.elements("z")
    species = words.elements("species_z") or centres[:1]
    if not centres:
        raise BadFile("its soap is around any element: lodewell wants Z to name them")
    if int(words.number("n_species", 1)) != len(species):
        raise BadFile(f"its soap has n_species={words.told.get('n_species')}, but species_Z={species}")
    if len(species) == 1 and set(centres) != set(species):
        raise BadFile(
            f"its soap around {_names(centres)} has a density of {_names(species)} alone, in which QUIP counts the "
            "centre: lodewell does not"
        )
    sigma = words.number("atom_sigma atom_gaussian_width")
    whole = int(words.number("n_max")), int(words.number("l_max"))
    weight = words.number("central_weight", 1.0)
    return [Soap(z, species, cutoff, width, *whole, sigma, zeta, weight) for z in centres]


def _names(numbers: Sequence[int]) -> str:
    return ", ".join(chemical_symbols[z] for z in numbers)


def written(d: Descriptor) -> str:
    """Return a descriptor in the words of QUIP.

    Raises:
        BadOption: for one that means something else there.
    """
    radii = f"cutoff={d.cutoff!r} cutoff_transition_width={d.width!r}"
    if isinstance(d, Distance):
        return f"distance_2b {radii} Z1={d.species[0]} Z2={d.species[1]}"
    if isinstance(d, Angle):
        return f"angle_3b {radii} Z_center={d.centre} Z1={d.others[0]} Z2={d.others[1]}"
    if isinstance(d, Triplet):
        z = " ".join(map(str, d.species))
        return f"distance_Nb {radii} order=3 compact_clusters=T Z={{{z}}}"
    if len(d.species) == 1 and d.centre not in d.species:
        raise BadOption(f"{d.name}: of one other element: QUIP would count the centre among it; add the centre's own")
    species = " ".join(map(str, d.species))
    return (
        f"soap {radii} l_max={d.l_max} n_max={d.n_max} atom_sigma={d.sigma!r} central_weight={d.central_weight!r} "
        f"n_species={len(d.species)} species_Z={{{species}}} n_Z=1 Z={d.centre}"
    )
