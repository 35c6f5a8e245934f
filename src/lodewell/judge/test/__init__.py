"""Errors on labelled crystals."""
