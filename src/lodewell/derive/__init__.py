"""Crystals without labels in, a statistical potential out."""

from lodewell._verb import make_callable

make_callable(__name__, "run")
