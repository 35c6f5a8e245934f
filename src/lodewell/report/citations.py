"""What to cite: lodewell, and the papers behind each kind of potential and the data of those that are shipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lodewell.errors import BadOption
from lodewell.potentials.families import families, find_family, imported
from lodewell.version import __version__


@dataclass(frozen=True)
class Reference:
    """One reference; `authors` as BibTeX writes them, `volume` and `doi` empty where there are none.

    why: what it stands for, in a few words.
    """

    key: str
    why: str
    authors: str
    title: str
    where: str
    year: int
    volume: str = ""
    pages: str = ""
    doi: str = ""
    kind: str = "article"

    def text(self) -> str:
        """Return one line for people."""
        place = " ".join(part for part in (self.where, f"{self.volume}," if self.volume else "", self.pages) if part)
        doi = f" https://doi.org/{self.doi}" if self.doi else ""
        authors = self.authors.strip("{}").replace(" and others", " et al.").replace(" and ", "; ")
        return f"{authors}: {self.title}. {place} ({self.year}).{doi}"

    def bibtex(self) -> str:
        """Return the entry of a .bib file."""
        where = {"article": "journal", "book": "publisher"}.get(self.kind, "howpublished")
        fields = {
            "author": self.authors, "title": f"{{{self.title}}}", where: self.where, "year": str(self.year),
            "volume": self.volume, "pages": self.pages, "doi": self.doi,
        }  # fmt: skip
        lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


LODEWELL = Reference(
    "lodewell", "the program", "{The lodewell developers}",
    "lodewell: from crystal structures to interatomic potentials, and from potentials to materials",
    f"version {__version__}", 2026, kind="misc",
)  # fmt: skip
ANTYPOV = Reference(
    "antypov2024", "statistical potentials", "Antypov, Dmytro and others",
    "Statistically derived proxy potentials accelerate geometry optimization of crystal structures",
    "ChemPhysChem", 2024, doi="10.1002/cphc.202400254",
)  # fmt: skip
MATERIALS_PROJECT = Reference(
    "jain2013", "data: the Materials Project", "Jain, Anubhav and others",
    "Commentary: The Materials Project: A materials genome approach to accelerating materials innovation",
    "APL Materials", 2013, "1", "011002", "10.1063/1.4812323",
)  # fmt: skip
UF = Reference(
    "xie2023", "two- and three-body splines", "Xie, Stephen R. and Rupp, Matthias and Hennig, Richard G.",
    "Ultra-fast interpretable machine-learning potentials", "npj Computational Materials", 2023, "9", "162",
    "10.1038/s41524-023-01092-7",
)  # fmt: skip
MEAM = Reference(
    "lenosky2000", "spline MEAM", "Lenosky, Thomas J. and others",
    "Highly optimized empirical potential model of silicon",
    "Modelling and Simulation in Materials Science and Engineering", 2000, "8", "825", "10.1088/0965-0393/8/6/305",
)  # fmt: skip
GAP = Reference(
    "bartok2010", "Gaussian approximation potentials",
    "Bartók, Albert P. and Payne, Mike C. and Kondor, Risi and Csányi, Gábor",
    "Gaussian Approximation Potentials: The Accuracy of Quantum Mechanics, without the Electrons",
    "Physical Review Letters", 2010, "104", "136403", "10.1103/PhysRevLett.104.136403",
)  # fmt: skip
SOAP = Reference(
    "bartok2013", "SOAP", "Bartók, Albert P. and Kondor, Risi and Csányi, Gábor",
    "On representing chemical environments", "Physical Review B", 2013, "87", "184115", "10.1103/PhysRevB.87.184115",
)  # fmt: skip
JONES = Reference(
    "jones1924", "the 12-6 form", "Jones, John Edward",
    "On the determination of molecular fields. II. From the equation of state of a gas",
    "Proceedings of the Royal Society A", 1924, "106", "463", "10.1098/rspa.1924.0082",
)  # fmt: skip
MORSE = Reference(
    "morse1929", "the form", "Morse, Philip M.",
    "Diatomic Molecules According to the Wave Mechanics. II. Vibrational Levels", "Physical Review", 1929, "34", "57",
    "10.1103/PhysRev.34.57",
)  # fmt: skip
BUCKINGHAM = Reference(
    "buckingham1938", "the form", "Buckingham, R. A.",
    "The classical equation of state of gaseous helium, neon and argon", "Proceedings of the Royal Society A", 1938,
    "168", "264", "10.1098/rspa.1938.0173",
)  # fmt: skip
ZBL = Reference(
    "ziegler1985", "the universal repulsion", "Ziegler, J. F. and Biersack, J. P. and Littmark, U.",
    "The Stopping and Range of Ions in Solids", "Pergamon", 1985, kind="book",
)  # fmt: skip
EWALD = Reference(
    "ewald1921", "sums over a lattice", "Ewald, P. P.",
    "Die Berechnung optischer und elektrostatischer Gitterpotentiale", "Annalen der Physik", 1921, "369", "253",
    "10.1002/andp.19213690304",
)  # fmt: skip
BORN_MAYER = Reference(
    "born1932", "the form", "Born, Max and Mayer, Joseph E.", "Zur Gittertheorie der Ionenkristalle",
    "Zeitschrift für Physik", 1932, "75", "1", "10.1007/BF01340511",
)  # fmt: skip

# What is no potential but has papers behind it.
_OTHERS: dict[str, tuple[Reference, ...]] = {"properties": (EWALD, MATERIALS_PROJECT)}
_SHIPPED_DATA = (MATERIALS_PROJECT,)


def references(name: str | None = None) -> list[Reference]:
    """Return what to cite for lodewell and, with a name, for a kind, a shipped potential or the file of one.

    Raises:
        BadOption: when there is neither such a kind nor such a file.
        BadFile: when the file is no potential.
    """
    found = [LODEWELL]
    for kind, shipped in _kinds(name) if name is not None else ():
        found += [*of_kind(kind), *(_SHIPPED_DATA if shipped else ())]
    return list(dict.fromkeys(found))


def of_kind(kind: str) -> tuple[Reference, ...]:
    """Return the papers behind a kind; a table or a sum has none of its own."""
    row = find_family(kind)
    return _OTHERS.get(kind, ()) if row is None else tuple(map(_paper, row.references))


def _paper(name: str) -> Reference:
    found: Reference = imported(name if ":" in name else f"{__name__}:{name}")
    return found


def _kinds(name: str) -> Sequence[tuple[str, bool]]:
    """Return the kinds that a name stands for, and whether its data are those that are shipped."""
    from lodewell.potentials.store import find, load, shipped

    if name in _OTHERS or find_family(name) is not None:
        return [(name, False)]
    if name not in shipped() and not Path(name).is_file():
        raise BadOption(
            f"there is no potential '{name}' and no such kind: give one of {', '.join(sorted(shipped()))}, the path of "
            f"a file, or a kind: {', '.join(sorted({*families(), *_OTHERS}))}"
        )
    if Path(name).suffix == ".safetensors":
        return [("properties", False)]
    potential = load(find(name))
    terms = [term for _, term in getattr(potential, "terms", ())] or [potential]
    return [(term.kind, name in shipped()) for term in terms]
