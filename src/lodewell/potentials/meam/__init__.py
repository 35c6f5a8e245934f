"""Spline MEAM."""
