"""Neighbour lists under periodic boundaries."""
