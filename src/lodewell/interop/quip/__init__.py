"""QUIP: GAP files and the descriptors and pair terms in them."""
