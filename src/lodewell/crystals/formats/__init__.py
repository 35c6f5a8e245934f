"""Formats of crystals, a file or a folder each."""
