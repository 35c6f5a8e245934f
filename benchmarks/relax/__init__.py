"""Relaxing thousands of crystals."""
