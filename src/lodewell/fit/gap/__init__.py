"""Gaussian approximation potentials: the fit."""
