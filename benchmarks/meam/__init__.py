"""Spline MEAMs: errors."""
