"""Charged and dispersive crystals: exact lattice sums."""
