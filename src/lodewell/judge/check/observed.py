"""What elements are known to be: lattice constants at low pressure, and elastic constants of cubic ones."""

from __future__ import annotations

from ase.data import atomic_numbers, reference_states

# C11, C12, C44 in GPa at room temperature, rounded; CRC Handbook of Chemistry and Physics, 98th edition, "Elastic
# Constants of Single Crystals".
_ELASTIC = {
    "Li": (13.5, 11.4, 8.8), "Al": (107, 60.4, 28.3), "Si": (166, 63.9, 79.6), "K": (3.70, 3.14, 1.88),
    "Cr": (340, 58.6, 99.0), "Fe": (226, 140, 116), "Ni": (248, 155, 124), "Cu": (168, 121, 75.7),
    "Ge": (128, 48.2, 66.7), "Nb": (246, 134, 28.7), "Mo": (464, 158, 109), "Ag": (124, 93.7, 46.1),
    "Ta": (260, 154, 82.6), "W": (522, 204, 161), "Au": (192, 163, 42.0),
}  # fmt: skip


def lattice(z: int, structure: str) -> dict[str, float] | None:
    """Return the lattice constants (Å) of an element in this structure, if that is how it is found (ASE's table)."""
    state = reference_states[z]
    if state is None or state["symmetry"] != structure or "a" not in state:
        return None
    return {"a": float(state["a"])} | ({"c": float(state["a"] * state["c/a"])} if "c/a" in state else {})


def elastic(z: int) -> dict[str, float]:
    """Return the elastic constants (GPa) of a cubic element, and the bulk modulus they make; empty if not known."""
    found = {atomic_numbers[symbol]: values for symbol, values in _ELASTIC.items()}.get(z)
    if found is None:
        return {}
    c11, c12, c44 = found
    return {"C11": c11, "C12": c12, "C44": c44, "bulk modulus": (c11 + 2.0 * c12) / 3.0}
