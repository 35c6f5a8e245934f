"""Gaussian approximation potentials: errors, cost of a fit, silicon that was not fitted to."""
