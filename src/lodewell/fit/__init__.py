"""Crystals with energies, forces and stresses in, a potential out."""
