"""Molecular dynamics: atoms that move in time under a potential."""
