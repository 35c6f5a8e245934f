"""Scores of crystals as they are."""
