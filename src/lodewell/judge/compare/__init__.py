"""Potentials side by side: accuracy and cost."""
