"""Pair potentials: analytic curves and tables."""
