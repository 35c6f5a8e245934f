"""CIF: grammar, what the file states, sites, symmetry, expansion, each in a file of its own."""

from __future__ import annotations

from lodewell.crystals.formats.cif.read import read_cif as read_cif
