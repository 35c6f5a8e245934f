"""LAMMPS `pair_style uf3`: ultra-fast potentials as its files, and its files as potentials.

The format is that of the LAMMPS manual: a block a spline, each between a line `#UF3 POT ...` and a line `#`. What the
manual leaves open was found by running LAMMPS (release of July 2025):

- its two-body energy is the sum over ordered pairs, so its curves are half of ours; three-body functions are equal,
  Σ_i Σ_{j<k}, the central element named first, and coefficients run over r_ij, r_ik, r_jk though knots are written
  in the order r_jk, r_ik, r_ij;
- below the first knot of a curve it reads beyond its tables, while ours goes on with its slope: the files written
  here go on in the same way down to 0; below the first knot of a three-body function both are zero;
- it cuts lines after 1,023 characters and then fails or hangs, so very many numbers are written with fewer digits;
- it knows no energies of lone atoms; a comment, which it passes over, keeps them for `read_uf3`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption, UnsupportedElement
from lodewell.files import atomic_path, read_bytes
from lodewell.interop.curves import chosen_elements, folder
from lodewell.interop.lammps.lone import noted_energies
from lodewell.potentials.bspline import Axis
from lodewell.potentials.uf.splines import Pair, Spline2, Spline3, Triple, name
from lodewell.potentials.uf.uf import UF

SUFFIX = ".uf3"
_HEAD = "#UF3"
_CITATION = "Xie, Rupp & Hennig, npj Comput. Mater. 9, 162 (2023)"
_LONE = "# lodewell: energies of lone atoms (eV), which LAMMPS leaves out:"
_NOTHING = 0.1  # Å: reach of a three-body function that is zero everywhere; LAMMPS wants one for every triple
_CLOSEST = 0.01  # Å: no two atoms come closer, so what happens there is left open
_LONGEST = 1_000  # characters of a line
_SAME = 1e-8  # how far the two orders of two like neighbours may differ, relative to the largest coefficient


def write_uf3(
    potential: UF, elements: str | Sequence[str] | None, out: str | Path, *, name: str = "lodewell"
) -> list[Path]:
    """Write `name.uf3`, all splines, and `name.in` to be included: atom types in the order of `elements`.

    Energies, forces and stresses in LAMMPS are those of lodewell, less the energies of lone atoms, at every distance.

    Raises:
        UnsupportedElement: for an element that the potential lacks.
        BadOption: for a potential with an embedding, which the style does not have.
        BadFile: when the folder cannot be written.
    """
    numbers = chosen_elements(potential, elements)
    if embedded := [chemical_symbols[z] for z in numbers if z in potential.embeddings]:
        raise BadOption(
            f"LAMMPS has no style for the embedding of {', '.join(embedded)}: fit without it to export, or run the "
            "potential through ASE"
        )
    place = folder(out)
    splines, script = place / f"{name}{SUFFIX}", place / f"{name}.in"
    three = any(set(triple) <= set(numbers) for triple in potential.triples)
    with atomic_path(splines) as temporary, open(temporary, "w", encoding="ascii") as handle:
        handle.writelines(f"{line}\n" for line in _lines(potential, numbers, three))
    with atomic_path(script) as temporary:
        temporary.write_text(_script(potential, numbers, splines.name, three), encoding="utf-8")
    return [splines, script]


@dataclass(frozen=True)
class _Block:
    """One spline of a file: knots along r_ij (and r_ik, r_jk), four at either end, and coefficients."""

    elements: str
    axes: list[list[float]]
    coefficients: Floats

    @property
    def even(self) -> bool:
        """Whether the knots of each axis are evenly spaced."""
        edges = [np.array(knots[3:-3]) for knots in self.axes]
        return all(np.ptp(np.diff(edge)) < 1e-9 * (edge[1] - edge[0]) for edge in edges)

    def lines(self, spacing: str) -> Iterator[str]:
        """Yield the lines of the block, but for the first and the last."""
        c = self.coefficients
        yield f"{c.ndim // 2 + 2}B {self.elements} 0 3 {spacing}"
        axes = self.axes[::-1]
        yield " ".join([repr(knots[-1]) for knots in axes] + [str(len(knots)) for knots in axes])
        yield from map(_numbers, axes)
        yield " ".join(map(str, c.shape))
        yield from map(_numbers, c.reshape(-1, c.shape[-1]))


def _lines(potential: UF, numbers: Sequence[int], three: bool) -> Iterator[str]:
    species, legs = sorted(numbers), _legs(potential)
    pairs = list(combinations_with_replacement(species, 2))
    blocks = []
    for pair in pairs:
        knots, c = _continued(potential.pairs.get(pair), legs.get(pair, 0.0))
        blocks.append(_Block(" ".join(chemical_symbols[z] for z in pair), [knots], 0.5 * c))
    for triple in [(i, *pair) for i in species for pair in pairs] if three else []:
        axes, c = _padded(potential.triples.get(triple))
        blocks.append(_Block(" ".join(chemical_symbols[z] for z in triple), axes, c))
    # LAMMPS finds its way on even knots a quarter faster, but only if those of all splines are.
    spacing = "uk" if all(block.even for block in blocks) else "nk"
    for k, block in enumerate(blocks):
        yield f"#UF3 POT UNITS: metal DATE: {datetime.now(UTC):%Y-%m-%d} AUTHOR: lodewell CITATION: {_CITATION}"
        yield from block.lines(spacing)
        yield "#"
        if k == 0:
            yield f"{_LONE} " + " ".join(f"{chemical_symbols[z]} {potential.energies[z]!r}" for z in species)


def _numbers(values: Sequence[float] | Floats) -> str:
    """Return numbers as one line that LAMMPS can read: with all their digits, or with fewer if they are many."""
    ends = float(values[0]), float(values[-1])  # of knots: cutoffs, which must agree with each other
    for digits in (17, *range(16, 8, -1)):
        words = [repr(v) if digits == 17 or v in ends else f"{v:.{digits}g}" for v in map(float, values)]
        if len(line := " ".join(words)) <= _LONGEST:
            return line
    raise BadOption(
        f"{len(values)} knots are too many for LAMMPS, which reads up to 1,023 characters of a line: fit with fewer "
        "intervals, or write a potential of pairs alone as tables (--points 50000)"
    )


def _legs(potential: UF) -> dict[Pair, float]:
    """Return how far three-body functions reach along each pair, Å."""
    out: dict[Pair, float] = {}
    for (i, j, k), v in potential.triples.items():
        for z, axis in ((j, v.axes[0]), (k, v.axes[1])):
            pair = min(i, z), max(i, z)
            out[pair] = max(out.get(pair, 0.0), axis.high)
    return out


def _continued(spline: Spline2 | None, reach: float) -> tuple[list[float], Floats]:
    """Return knots, four at either end, and coefficients of a curve from 0 to its end or `reach`.

    LAMMPS sees no triple with a leg beyond the end of that pair's curve, so the curve must reach as far, as zero.
    """
    if spline is None:
        return [0.0] * 4 + [max(reach, _NOTHING)] * 4, np.zeros(4)
    knots, c = _at_ends(spline.axis.knots_k.tolist(), spline.coefficients_m[:, None], reach)
    low = knots[0]
    if low > _CLOSEST:
        # One of the four knots at `low` goes: the two cubics meet there with one value, which one function carries.
        value, slope = (float(spline(np.array(low), derivative)) for derivative in (0, 1))
        line = value + slope * (np.array([0.0, 1 / 3, 2 / 3]) - 1.0) * low
        knots, c = [0.0] * 4 + knots[1:], np.concatenate([line[:, None], c])
    return knots, c[:, 0]


def _padded(spline: Spline3 | None) -> tuple[list[list[float]], Floats]:
    """Return knots along r_ij, r_ik, r_jk, four at either end, and coefficients.

    LAMMPS wants both legs to end together and the third side at twice that: what is added there is zero.
    """
    if spline is None:
        return [[0.0] * 4 + [end] * 4 for end in (_NOTHING, _NOTHING, 2 * _NOTHING)], np.zeros((4, 4, 4))
    leg = max(axis.high for axis in spline.axes[:2])
    leg = max(leg, 0.5 * spline.axes[2].high)
    axes, c = [], spline.coefficients_xyz
    for a, (axis, end) in enumerate(zip(spline.axes, (leg, leg, 2.0 * leg), strict=True)):
        knots, c_a = _at_ends(axis.knots_k.tolist(), np.moveaxis(c, a, 0), end)
        axes.append(knots)
        c = np.moveaxis(c_a, 0, a)
    return axes, c


def _at_ends(knots: list[float], c: Floats, end: float = 0.0) -> tuple[list[float], Floats]:
    """Add knots until four stand at either end, and zeros: the functions that were there stay what they were."""
    last = knots[-1]
    if abs(end - last) < 1e-9:  # a difference of rounding is none
        knots = [end if x == last else x for x in knots]
    before = 4 - knots.count(knots[0])
    after = 4 - knots.count(knots[-1]) if end <= knots[-1] else 4
    knots = [knots[0]] * before + knots + [max(end, knots[-1])] * after
    return knots, np.concatenate([np.zeros((before, *c.shape[1:])), c, np.zeros((after, *c.shape[1:]))])


def _script(potential: UF, numbers: Sequence[int], splines: str, three: bool) -> str:
    symbols = [chemical_symbols[z] for z in numbers]
    lone = " ".join(f"{potential.energies[z]:+.10g} N({s})" for z, s in zip(numbers, symbols, strict=True))
    lines = [
        "# Written by lodewell: ultra-fast potential (UF), " + ("two- and three-body" if three else "two-body"),
        "# Atom types: " + ", ".join(f"{k} = {s}" for k, s in enumerate(symbols, 1)),
        "# Use: units metal, then the cell and atoms, then   include " + splines.replace(SUFFIX, ".in"),
        "# Run LAMMPS in this folder, or name it beforehand: variable lodewell index /path/to/this/folder",
        "#",
        "# LAMMPS leaves out the energies of lone atoms. Forces and stresses are the same, and for N(X) atoms of X",
        f"# E(lodewell) = E(LAMMPS) {lone} eV",
        "variable lodewell index .",
        "",
        f"pair_style uf3 {3 if three else 2}",
        f"pair_coeff * * ${{lodewell}}/{splines} {' '.join(symbols)}",
        "",
        "# Masses (g/mol), in case the data file has none:",
    ]
    lines += [f"# mass {k} {atomic_masses[z]:.4f}  # {chemical_symbols[z]}" for k, z in enumerate(numbers, 1)]
    return "\n".join(lines) + "\n"


def read_uf3(paths: str | Path | Sequence[str | Path], elements: str | Sequence[str] | None = None) -> UF:
    """Read files of LAMMPS `pair_style uf3` (units metal).

    Energies of lone atoms are those that lodewell noted in a comment, else 0.

    Args:
        paths: one file with all splines, or several; compressed or not. In the older format of one spline a file the
            name of the file says the elements, such as Nb_Sn_Sn.uf3.
        elements: those wanted, such as "Nb,Sn"; None takes all of the files.

    Raises:
        BadFile: for a file that is none or is cut short, with the line; for splines that are missing.
        UnsupportedElement: for an element that the files lack.
    """
    pairs: dict[Pair, Spline2] = {}
    triples: dict[Triple, Spline3] = {}
    energies: dict[int, float] = {}
    several = [paths] if isinstance(paths, (str, Path)) else list(paths)
    for path in several:
        reader = _Reader(path)
        while words := reader.line():
            if words[0].startswith(_HEAD):
                reader.spline(pairs, triples)
            elif " ".join(words).startswith(_LONE):
                try:
                    noted = noted_energies(words[len(_LONE.split()) :])
                except BadFile as error:
                    raise BadFile(f"{reader.path}: {error}") from error
                energies |= {atomic_numbers[symbol]: energy for symbol, energy in noted.items()}
            elif not words[0].startswith("#"):
                raise reader.refusal("'#UF3 POT ...', with which every spline begins")
    files = ", ".join(map(str, several))
    known = sorted({z for pair in pairs for z in pair})
    if not known:
        raise BadFile(f"{files}: there is no two-body spline in it: is it a file of LAMMPS pair_style uf3?")
    wanted = known if elements is None else _wanted(elements, known, files)
    keys = list(combinations_with_replacement(wanted, 2))
    missing = [name(pair) for pair in keys if pair not in pairs]
    if triples:
        missing += [name((i, *pair)) for i in wanted for pair in keys if (i, *pair) not in triples]
    if missing:
        raise BadFile(f"{files}: there is no spline {', '.join(missing)}: is the file cut short, or one left out?")
    return UF(
        {z: energies.get(z, 0.0) for z in wanted},
        {pair: pairs[pair] for pair in keys},
        {t: v for t, v in triples.items() if set(t) <= set(wanted)},
    )


def _wanted(elements: str | Sequence[str], known: Sequence[int], files: str) -> list[int]:
    symbols = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements)
    if lacking := [s for s in symbols if atomic_numbers.get(s) not in known]:
        held = ", ".join(chemical_symbols[z] for z in known)
        raise UnsupportedElement(f"{files}: there is no spline for {', '.join(lacking)}; it holds {held}")
    return sorted({atomic_numbers[s] for s in symbols})


class _Reader:
    """The lines of a file, those that are empty left out."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        text = read_bytes(path).decode("utf-8", "replace")
        self._rows = [(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split())]
        self._at = 0

    def line(self) -> list[str]:
        """Return the words of the next line; none at the end."""
        self._at += 1
        return self._rows[self._at - 1][1] if self._at <= len(self._rows) else []

    def refusal(self, expected: str) -> BadFile:
        """Make the refusal of the line that was read last."""
        if self._at > len(self._rows):
            return BadFile(f"{self.path}: cut short: expected {expected}")
        number, words = self._rows[self._at - 1]
        found = " ".join(words)
        return BadFile(f"{self.path}: line {number}: expected {expected}, not '{found[:60]}{'…' * (len(found) > 60)}'")

    def numbers(self, count: int, what: str) -> Floats:
        """Return the numbers of a line."""
        expected = f"{count} number{'s' * (count > 1)}, {what}"
        try:
            values = np.array([float(w) for w in self.line()])
        except ValueError as error:
            raise self.refusal(expected) from error
        if len(values) != count or not np.isfinite(values).all():
            raise self.refusal(expected)
        return values

    def counts(self, values: Floats, what: str) -> list[int]:
        """Return whole numbers between 1 and a million, or refuse the line."""
        if (values != np.round(values)).any() or (values < 1).any() or (values > 1e6).any():
            raise self.refusal(what)
        return [int(v) for v in values]

    def spline(self, pairs: dict[Pair, Spline2], triples: dict[Triple, Spline3]) -> None:
        """Read one block, whose first line has been read, into one of the two."""
        head = " ".join(self._rows[self._at - 1][1])
        if "UNITS:" in head and "UNITS: metal" not in head:
            raise self.refusal("UNITS: metal (eV and Å)")
        words = self.line()
        count = {"2B": 2, "3B": 3}.get(words[0] if words else "", 0)
        named = words[1:-3] if words and words[-1] in ("uk", "nk") else words[1:-2]
        named = named or Path(self.path).name.split(".")[0].split("_")
        if not count or len(named) != count or any(atomic_numbers.get(s, 0) < 1 for s in named):
            raise self.refusal("2B or 3B, two or three elements, the trims 0 3, and uk or nk")
        species = [atomic_numbers[s] for s in named]
        if count == 2:
            a, b = sorted(species)
            pairs[a, b] = self._curve("-".join(named))
        else:
            i, j, k = species
            v = self._function("-".join(named))
            if j == k:
                v = self._symmetric(v, "-".join(named))
            if j > k:
                v = Spline3((v.axes[1], v.axes[0], v.axes[2]), v.coefficients_xyz.swapaxes(0, 1).copy())
            triples[i, min(j, k), max(j, k)] = v

    def _curve(self, what: str) -> Spline2:
        cutoff, size = self.numbers(2, "the cutoff and the number of knots")
        (size,) = self.counts(np.array([size]), "the cutoff and the number of knots")
        axis = self._axis(size, cutoff, f"knots of {what}")
        (size,) = self.counts(self.numbers(1, "the number of coefficients"), "the number of coefficients")
        if size != axis.size:
            raise self.refusal(f"{axis.size} coefficients, four fewer than knots")
        # LAMMPS sums over ordered pairs.
        return Spline2(axis, 2.0 * self.numbers(size, f"coefficients of {what}"))

    def _function(self, what: str) -> Spline3:
        values = self.numbers(6, "cutoffs and numbers of knots along r_jk, r_ik, r_ij")
        sizes = self.counts(values[3:], "cutoffs and numbers of knots along r_jk, r_ik, r_ij")
        along = zip(sizes, values[:3], ("r_jk", "r_ik", "r_ij"), strict=True)
        z, y, x = (self._axis(size, end, f"knots of {what} along {leg}") for size, end, leg in along)
        expected = f"{x.size} {y.size} {z.size}, the numbers of coefficients along r_ij, r_ik, r_jk"
        shape = tuple(self.counts(self.numbers(3, expected), expected))
        if shape != (x.size, y.size, z.size):
            raise self.refusal(expected)
        lines = [self.numbers(shape[2], f"coefficients of {what}") for _ in range(shape[0] * shape[1])]
        return Spline3((x, y, z), np.array(lines).reshape(shape))

    def _axis(self, size: int, cutoff: float, what: str) -> Axis:
        knots = self.numbers(size, what)
        try:
            axis = Axis(knots)
        except BadOption as error:
            raise self.refusal(f"{what} ({error})") from error
        if abs(axis.high - cutoff) > 1e-6:
            raise self.refusal(f"{what} that end at the cutoff, {cutoff:g} Å")
        return axis

    def _symmetric(self, v: Spline3, what: str) -> Spline3:
        x, y, z = v.axes
        c = v.coefficients_xyz
        if not np.array_equal(x.knots_k, y.knots_k) or np.abs(c - c.swapaxes(0, 1)).max() > _SAME * np.abs(c).max():
            raise BadFile(f"{self.path}: {what}: with two equal neighbours r_ij and r_ik must be interchangeable")
        return Spline3((x, x, z), 0.5 * (c + c.swapaxes(0, 1)))
