"""A map of crystals."""
