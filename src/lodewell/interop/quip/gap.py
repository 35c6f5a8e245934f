"""QUIP's files of Gaussian approximation potentials, which LAMMPS `pair_style quip` and quippy run: both directions.

A file is an XML with hyperparameters, weights and energies of lone atoms; the sparse points of each descriptor stand in
a text file beside it, a number a line, or in the XML itself. Its numbers mean what ours do: `signal_variance` is δ,
`alpha` the weights, `sparseCutoff` the points' cutoff factors. The baseline is a pair table (`quip_glue`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

from lodewell.crystals.batch import Floats
from lodewell.descriptors.environments import Angle, Descriptor, Distance, Soap, Triplet
from lodewell.errors import BadFile, UnsupportedElement
from lodewell.files import atomic_path, read_bytes
from lodewell.interop.curves import chosen_elements, folder
from lodewell.interop.quip.descriptors import Wording, read_descriptors, size, written
from lodewell.interop.quip.glue import glue_lines, read_glue
from lodewell.potentials.base import Potential
from lodewell.potentials.gap.gap import GAP, Term
from lodewell.potentials.gap.triplets import exchanges

SUFFIX = ".xml"
_LABEL = "GAP_lodewell"
_VERSION = 1596837814  # of the format, August 2020: QUIP refuses files that are newer than itself
_OLDEST = 1426512068  # before March 2015 SOAP had another density
_GAUSSIAN, _DOT = 1, 2  # covariance_type
_COVARIANCES = {3: "bond_real_space", 4: "piecewise polynomial"}
_SAME = 1e-6  # to which cutoff factors must agree


def write_quip(
    potential: GAP, elements: str | Sequence[str] | None, out: str | Path, *, name: str = "lodewell"
) -> list[Path]:
    """Write `name.xml`, its `name.xml.sparseX.*`, and `name.in` for LAMMPS: atom types in the order of `elements`.

    Energies, forces and stresses of QUIP are those of lodewell, those of lone atoms and the baseline included.

    Raises:
        UnsupportedElement: for an element that the potential lacks.
        BadOption: for a descriptor or a baseline that QUIP cannot express.
        BadFile: when the folder cannot be written.
    """
    numbers = chosen_elements(potential, elements)
    terms = [term for term in potential.terms if _centres(term.descriptor) <= set(numbers)]
    wordings = [written(term.descriptor) for term in terms]
    glue = [] if potential.baseline is None else list(glue_lines(potential.baseline, numbers))
    place = folder(out)
    xml, script = place / f"{name}{SUFFIX}", place / f"{name}.in"
    paths: list[Path] = []
    entries: list[str] = []
    for k, (term, words) in enumerate(zip(terms, wordings, strict=True), 1):
        points = _points(term)
        paths.append(place / f"{xml.name}.sparseX.{_LABEL}{k}")
        with atomic_path(paths[-1]) as temporary:
            temporary.write_bytes(points)
        entries += _entry(term, words, k, paths[-1].name, hashlib.md5(points, usedforsecurity=False).hexdigest())
    alone = f"IP GAP label={_LABEL}"
    lines = [
        f"<{_LABEL}>",
        f'<Potential label="{_LABEL}" init_args="'
        + (f"Sum init_args_pot1={{IP Glue}} init_args_pot2={{{alone}}}" if glue else alone) + '"/>',
        *glue,
        f'<GAP_params label="{_LABEL}" gap_version="{_VERSION}">',
        f'<GAP_data do_core="{"T" if glue else "F"}">',
        *(f'<e0 Z="{z}" value="{potential.energies[z]:.17e}"/>' for z in sorted(numbers)),
        "</GAP_data>",
        f'<gpSparse label="{_LABEL}" n_coordinate="{len(terms)}" fitted="T">',
        *entries,
        "</gpSparse>",
        "</GAP_params>",
        f"</{_LABEL}>",
    ]  # fmt: skip
    with atomic_path(xml) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
    with atomic_path(script) as temporary:
        temporary.write_text(_script(numbers, xml.name), encoding="utf-8")
    return [xml, *paths, script]


def _centres(d: Descriptor) -> set[int]:
    """Return the elements without which a descriptor is never seen."""
    if isinstance(d, Soap):
        return {d.centre}
    return set(_species(d))


def _species(d: Descriptor) -> set[int]:
    if isinstance(d, Soap):
        return {d.centre, *d.species}
    return {d.centre, *d.others} if isinstance(d, Angle) else set(d.species)


def _points(term: Term) -> bytes:
    points = term.points_md
    if isinstance(term.descriptor, Soap):  # a constant ends QUIP's vector
        points = np.append(points, np.zeros((len(points), 1)), axis=1)
    return ("%.17e\n" * points.size % tuple(points.ravel().tolist())).encode()


def _entry(term: Term, words: str, k: int, points: str, md5: str) -> Iterator[str]:
    d, count = term.descriptor, len(term.weights_m)
    lengths: tuple[float, ...] = ()
    permutations = exchanges(d).tolist() if isinstance(d, Triplet) else [list(range(d.size))]
    if isinstance(d, Soap):
        permutations = [[0]]  # whatever the size
        dimensions, kernel = d.size + 1, f'covariance_type="{_DOT}" zeta="{d.zeta!r}"'
    else:
        dimensions, kernel = d.size, f'covariance_type="{_GAUSSIAN}"'
        lengths = (d.length,) if isinstance(d, Distance) else d.lengths
    yield (
        f'<gpCoordinates label="{_LABEL}{k}" dimensions="{dimensions}" signal_variance="{term.delta:.17e}" '
        f'signal_mean="0.0" sparsified="T" n_permutations="{len(permutations)}" {kernel} n_sparseX="{count}" '
        f'sparseX_filename="{points}" sparseX_md5sum="{md5}">'
    )
    if lengths:
        yield f"<theta>{' '.join(f'{x:.17e}' for x in lengths)}</theta>"
    yield f"<descriptor>{words}</descriptor>"
    for i, slots in enumerate(permutations, 1):
        yield f'<permutation i="{i}">{" ".join(str(slot + 1) for slot in slots)}</permutation>'
    for m, (weight, cutoff) in enumerate(zip(term.weights_m.tolist(), term.cutoff_m.tolist(), strict=True), 1):
        yield f'<sparseX i="{m}" alpha="{weight:.17e}" sparseCutoff="{cutoff:.17e}"/>'
    yield "</gpCoordinates>"


def _script(numbers: Sequence[int], xml: str) -> str:
    symbols = [chemical_symbols[z] for z in numbers]
    lines = [
        "# Written by lodewell: Gaussian approximation potential (GAP); LAMMPS needs its package ML-QUIP",
        "# Atom types: " + ", ".join(f"{k} = {s}" for k, s in enumerate(symbols, 1)),
        "# Use: units metal, then the cell and atoms, then   include " + xml.replace(SUFFIX, ".in"),
        "# Run LAMMPS in this folder, or name it beforehand: variable lodewell index /path/to/this/folder",
        "variable lodewell index .",
        "",
        "pair_style quip",
        f'pair_coeff * * ${{lodewell}}/{xml} "Potential xml_label={_LABEL}" {" ".join(map(str, numbers))}',
        "",
        "# Masses (g/mol), in case the data file has none:",
    ]
    lines += [f"# mass {k} {atomic_masses[z]:.4f}  # {chemical_symbols[z]}" for k, z in enumerate(numbers, 1)]
    return "\n".join(lines) + "\n"


def read_quip(path: str | Path, elements: str | Sequence[str] | None = None) -> GAP:
    """Read an XML of QUIP with a Gaussian approximation potential, its files of sparse points beside it.

    Args:
        path: the XML; compressed or not.
        elements: those wanted, such as "Si,C"; None takes all of the file.

    Raises:
        BadFile: for a file that is none, is cut short, lacks its sparse points or belongs to others; for a descriptor,
            kernel, option or baseline that lodewell does not have, named.
        UnsupportedElement: for an element that the file lacks.
    """
    try:
        return _read(Path(path), elements)
    except BadFile as error:
        if str(error).startswith(str(path)):
            raise
        raise BadFile(f"{path}: {error}") from error


def _read(path: Path, elements: str | Sequence[str] | None) -> GAP:
    try:
        root = ElementTree.fromstring(read_bytes(path))
    except ElementTree.ParseError as error:
        raise BadFile(f"is no XML, or cut short ({error}): copy or download it again") from error
    models = list(root.iter("GAP_params"))
    if len(models) != 1:
        raise BadFile(f"holds {len(models) or 'no'} Gaussian approximation potentials (GAP_params), not one")
    (model,) = models
    baseline = _baseline(root)
    terms, blind = [], False
    version = float(model.get("gap_version", "0"))
    for entry in model.iter("gpCoordinates"):
        words = Wording.of(_text(entry, "descriptor"))
        if words.kind == "soap" and words.number("xml_version", version) < _OLDEST:
            raise BadFile("its soap is of a version before March 2015, which had another density: fit it again")
        blind |= words.blind
        terms += _terms(path, entry, words)
    known = {z for term in terms for z in _species(term.descriptor)}
    if blind and len(known) > 1:
        raise BadFile("its soap names no species_Z and so takes all elements for one, which lodewell does not have")
    if not terms:
        raise BadFile("its Gaussian approximation potential has no descriptors: is it cut short?")
    known |= baseline.species or set() if baseline is not None else set()
    lone = {int(e.attrib["Z"]): float(e.attrib["value"]) for e in model.iter("e0")}
    wanted = known if elements is None else _wanted(elements, known)
    terms = [term for term in terms if _centres(term.descriptor) <= wanted]
    return GAP({z: lone.get(z, 0.0) for z in sorted(wanted)}, terms, baseline)


def _wanted(elements: str | Sequence[str], known: set[int]) -> set[int]:
    symbols = elements.replace(",", " ").split() if isinstance(elements, str) else list(elements)
    if lacking := [s for s in symbols if atomic_numbers.get(s) not in known]:
        held = ", ".join(chemical_symbols[z] for z in sorted(known))
        raise UnsupportedElement(f"this potential knows nothing of {', '.join(lacking)}; it holds {held}")
    return {atomic_numbers[s] for s in symbols}


def _baseline(root: Element) -> Potential | None:
    """Return what is added to the Gaussian process by the first potential of the file."""
    whole = next((e.get("init_args", "") for e in root.iter("Potential")), "IP GAP")
    parts = [
        p.strip(" {}") for p in whole.replace("init_args_pot1=", "\n").replace("init_args_pot2=", "\n").split("\n")
    ]
    others = [p for p in parts if p and p != "Sum" and not p.startswith("IP GAP")]
    if not others:
        return None
    glue = root.find(".//Glue_params")
    if others != ["IP Glue"] or glue is None:
        raise BadFile(
            f"it adds the potential '{', '.join(others)}', which lodewell does not have: only IP Glue is read"
        )
    return read_glue(glue)


def _text(entry: Element, tag: str) -> str:
    found = entry.find(tag)
    if found is None or not found.text:
        raise BadFile(f"a descriptor lacks its <{tag}>: is the file cut short?")
    return found.text


def _terms(path: Path, entry: Element, words: Wording) -> list[Term]:
    """Return the terms of one gpCoordinates: one for each central element."""
    try:
        covariance, dimensions = int(entry.attrib["covariance_type"]), int(entry.attrib["dimensions"])
        delta, mean = float(entry.attrib["signal_variance"]), float(entry.get("signal_mean", "0"))
        zeta = float(entry.get("zeta", "1"))
        points = list(entry.iter("sparseX"))
        weights_m = np.array([float(p.attrib["alpha"]) for p in points])
        cutoff_m = np.array([float(p.get("sparseCutoff", "1")) for p in points])
        lengths = [float(w) for w in _text(entry, "theta").split()] if covariance == _GAUSSIAN else []
    except (KeyError, ValueError) as error:
        raise BadFile(f"its {words.kind} cannot be made out ({error}): is the file cut short?") from error
    expected = _DOT if words.kind == "soap" else _GAUSSIAN
    if covariance != expected:
        named = _COVARIANCES.get(covariance, {_GAUSSIAN: "ard_se", _DOT: "dot_product"}.get(covariance, covariance))
        raise BadFile(f"its {words.kind} has the covariance {named}, which lodewell does not have for it")
    if covariance == _GAUSSIAN and mean != 0.0:
        raise BadFile(f"its {words.kind} has the mean f0 = {mean:g}, which lodewell does not have")
    if dimensions != size(words) or (covariance == _GAUSSIAN and len(lengths) != dimensions):
        raise BadFile(f"its {words.kind} should have {size(words)} dimensions by its description, not {dimensions}")
    if len(points) != int(entry.get("n_sparseX", len(points))):
        raise BadFile(f"its {words.kind} has {len(points)} of {entry.get('n_sparseX')} weights: is the file cut short?")
    points_md = _sparse(path, entry, points, words.kind, (len(points), dimensions))
    if words.kind == "soap":
        points_md = np.ascontiguousarray(points_md[:, :-1])  # a constant, zero, ends the vector
    descriptors = read_descriptors(words, lengths, zeta)
    expected = len(exchanges(descriptors[0])) if isinstance(descriptors[0], Triplet) else 1
    if int(entry.get("n_permutations", "1")) != expected:
        raise BadFile(f"its {words.kind} has {entry.get('n_permutations')} permutations, not {expected}")
    _check_cutoff(descriptors[0], words.kind, points_md, cutoff_m)
    return [Term(d, delta, points_md, cutoff_m, weights_m) for d in descriptors]


def _sparse(path: Path, entry: Element, points: list[Element], kind: str, shape: tuple[int, int]) -> Floats:
    """Return sparse points, of the file beside or of the XML itself."""
    name = entry.get("sparseX_filename")
    if name is not None and Path(name).name != name:
        raise BadFile(f"the sparse points of its {kind} are said to be in '{name}': only a file beside it is read")
    where = path if name is None else path.parent / name
    if name is None:
        text = " ".join(word for p in points for word in p.itertext()).encode()
    elif not where.is_file():
        raise BadFile(
            f"the sparse points of its {kind}, '{name}', are not beside it: copy that file into the same folder, under "
            "the same name"
        )
    else:
        text = read_bytes(where)
        md5 = entry.get("sparseX_md5sum", "")
        if len(md5) == 32 and hashlib.md5(text, usedforsecurity=False).hexdigest() != md5:
            raise BadFile(
                f"the sparse points of its {kind}, '{name}', are not those it was written with (md5 {md5}): the "
                "file is cut short, changed, or of another potential; copy both again"
            )
    try:
        numbers = np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise BadFile(f"{where}: expected sparse points, a number a line ({error})") from error
    if numbers.size != shape[0] * shape[1]:
        raise BadFile(
            f"its {kind} needs {shape[0]} sparse points of {shape[1]} numbers, but {name or 'it'} holds "
            f"{numbers.size} numbers: it is cut short, or of another potential"
        )
    if not np.isfinite(numbers).all():
        raise BadFile(f"{where}: sparse points that are not finite")
    return cast("Floats", numbers.reshape(shape))


def _check_cutoff(d: Descriptor, kind: str, points_md: Floats, cutoff_m: Floats) -> None:
    """Refuse factors of sparse points that are neither 1 nor those of the descriptor's own cutoff."""
    if isinstance(d, Soap):
        legs_ml = np.zeros((len(points_md), 1))
    elif isinstance(d, Distance):
        legs_ml = points_md
    elif isinstance(d, Triplet):
        legs_ml = points_md[:, :2]
    else:
        difference = np.sqrt(np.maximum(points_md[:, 1], 0.0))
        legs_ml = 0.5 * np.stack([points_md[:, 0] - difference, points_md[:, 0] + difference], axis=1)
    along = np.clip((legs_ml - d.cutoff + d.width) / d.width, 0.0, 1.0)
    own_m = (0.5 + 0.5 * np.cos(np.pi * along)).prod(axis=1)
    wrong = (np.abs(cutoff_m - own_m) > _SAME) & (np.abs(cutoff_m - 1.0) > _SAME)
    if wrong.any():
        m = int(np.flatnonzero(wrong)[0])
        raise BadFile(
            f"its {kind} has the cutoff {d.cutoff:g} Å, by which sparse point {m + 1} would have the factor "
            f"{own_m[m]:.6g}, not {cutoff_m[m]:.6g}: description and sparse points do not belong together"
        )
