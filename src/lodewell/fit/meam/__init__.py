"""Spline MEAM: the fit."""
