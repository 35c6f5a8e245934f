"""Every data block of a CIF as a crystal, or as the reason why it is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from ase import Atoms

from lodewell.crystals.formats.cif.expand import Expansion, expand, repeated_sites
from lodewell.crystals.formats.cif.grammar import Block, blocks_of
from lodewell.crystals.formats.cif.operations import Floats, Operations
from lodewell.crystals.formats.cif.sites import Sites, cell_of, sites_of
from lodewell.crystals.formats.cif.stated import Statements, stated_by
from lodewell.crystals.formats.cif.symmetry import Reading, symmetry_of
from lodewell.crystals.remarks import CONTRADICTION, REMARK
from lodewell.crystals.validate import closest_pair
from lodewell.errors import BadCrystal

PERIODIC = np.ones(3, np.bool_)
SHORTEST = 0.7  # of the sum of covalent radii; the shortest bonds known, C≡C, V=O, S=O, lie at 0.73 and above
NEEDED = ("_atom_site_", "_cell_", "_symmetry", "_space_group")  # tags that must not be damaged


def read_cif(text: str) -> Iterator[Atoms | str]:
    """Yield the crystal, or the reason why there is none, of every data block that describes one."""
    found = False
    for block in blocks_of(text):
        damage = next((d for d in block.damages if any(word.startswith(NEEDED) for word in d[1].split())), None)
        if damage is None and not block.column("_atom_site_fract_x", "_atom_site_cartn_x"):
            continue
        found = True
        try:
            if damage is not None:
                raise BadCrystal(
                    f"it is cut short or damaged at line {damage[0]}, among the values of {damage[1].split()[0]}; "
                    "export the CIF again"
                )
            yield crystal_of(block)
        except BadCrystal as err:
            yield f"data_{block.name}: {err}"
        except Exception as err:  # a damaged block may break anything, and must not cost the others
            yield f"data_{block.name}: damaged ({type(err).__name__}: {str(err)[:200]}); export the CIF again"
    if not found:
        yield "the CIF has no block with a cell and atom coordinates; it is cut short or describes no crystal"


def crystal_of(block: Block) -> Atoms:
    """Return the crystal of a block; `info` has remarks, and what in the file speaks against it.

    Raises:
        BadCrystal: when the block describes no crystal, several, or one that is disordered.
    """
    cell, says = cell_of(block), stated_by(block)
    sites = sites_of(block, cell, says)
    found = symmetry_of(block, cell, lambda operations: _judge(sites, cell, operations, says))
    expanded, repeats = _whole(sites, cell, found.operations)
    atoms = _atoms(sites, expanded, cell)
    against = _contradictions(sites, expanded, atoms, says, found.operations)
    if against and sites.guessed:
        raise BadCrystal(f"its labels do not tell the elements ({against[0]}); add a column _atom_site_type_symbol")
    lost = says.hydrogen_lost(Counter(atoms.get_chemical_symbols()))
    if lost:
        against.append(f"{lost:g} atoms of hydrogen of its formula {says.text} were never located")
    for key, said in ((REMARK, [*sites.remarks, *repeats]), (CONTRADICTION, [*found.doubts, *against])):
        if said:
            atoms.info[key] = "; ".join(said)
    if block.name:
        atoms.info["id"] = block.name
    return atoms


def _atoms(sites: Sites, expanded: Expansion, cell: Floats) -> Atoms:
    symbols = [sites.symbols[k] for k in expanded.owner.tolist()]
    return Atoms(symbols, positions=expanded.fractional @ cell, cell=cell, pbc=True)


def _whole(sites: Sites, cell: Floats, operations: Operations) -> tuple[Expansion, list[str]]:
    """Return all atoms, and a remark on sites that were left out because they repeat others.

    Raises:
        BadCrystal: when two elements stand on one place.
    """
    expanded = expand(sites.fractional, sites.labels, cell, operations)
    if closest_pair(expanded.fractional @ cell, cell, PERIODIC)[0] < 0:
        return expanded, []
    pairs = repeated_sites(expanded, cell)
    for later, earlier in pairs:
        if sites.symbols[later] != sites.symbols[earlier]:
            one, other = (f"{sites.labels[k]} ({sites.symbols[k]})" for k in (earlier, later))
            raise BadCrystal(f"sites {one} and {other} are one place with two elements; choose an ordered approximant")
    gone = [later for later, _ in pairs]
    stays = ~np.isin(expanded.owner, gone)
    multiplicity = np.bincount(expanded.owner[stays], minlength=len(expanded.multiplicity))
    names = ", ".join(sites.labels[k] for k in gone[:5]) + (f" and {len(gone) - 5} more" if len(gone) > 5 else "")
    remarks = [f"sites that repeat others left out: {names}"] if gone else []
    return Expansion(expanded.fractional[stays], expanded.owner[stays], multiplicity), remarks


def _contradictions(
    sites: Sites, expanded: Expansion, atoms: Atoms, says: Statements, operations: Operations
) -> list[str]:
    """Return what the file says against a reading of it."""
    found = says.contradictions(Counter(atoms.get_chemical_symbols()), atoms.get_volume())
    made = expanded.multiplicity.tolist()
    pairs = [(a, b, x) for a, b, x in zip(sites.multiplicities, made, sites.labels, strict=True) if a and b]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    # Some programs write the order of the site's symmetry there.
    if wrong and not all(told * got == len(operations) for told, got, _ in pairs):
        found.append(f"site {wrong[0][2]} has the multiplicity {wrong[0][0]} in the file, {wrong[0][1]} by symmetry")
    return found


def _judge(sites: Sites, cell: Floats, operations: Operations, says: Statements) -> Reading:
    """Return what operations make of sites, and what speaks against it."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    try:
        expanded, _ = _whole(sites, cell, operations)
    except BadCrystal as err:
        return Reading("no crystal", 0.0, [str(err)])
    atoms = _atoms(sites, expanded, cell)
    against = _contradictions(sites, expanded, atoms, says, operations)
    if len(neighbor_list("i", atoms, natural_cutoffs(atoms, mult=SHORTEST))):
        against.append("atoms are closer than in any crystal")
    shortest = float(neighbor_list("d", atoms, 4.0).min(initial=np.inf))
    return Reading(atoms.get_chemical_formula(), shortest, against)
