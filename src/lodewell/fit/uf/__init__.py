"""Ultra-fast potentials: the fit."""
