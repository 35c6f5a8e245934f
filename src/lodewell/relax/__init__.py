"""Crystals and a potential in, relaxed crystals out, thousands at a time. The package itself can be called."""

from __future__ import annotations

from lodewell._verb import make_callable
from lodewell.relax.options import RelaxOptions as RelaxOptions
from lodewell.relax.result import Relaxation as Relaxation

make_callable(__name__, home="run")
