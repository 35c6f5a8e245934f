"""Gaussian approximation potentials: descriptors, their kernels, and the potential made of them."""
