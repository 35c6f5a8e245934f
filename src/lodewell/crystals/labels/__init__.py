"""Energies, forces and stresses that come with crystals."""
