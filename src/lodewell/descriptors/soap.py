"""Smooth overlaps of atomic positions: power spectra of atoms, and of whole crystals."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.descriptors._harmonics import factors
from lodewell.descriptors._soap import soap_vectors, spectrum
from lodewell.descriptors.environments import Soap
from lodewell.descriptors.legs import Legs
from lodewell.descriptors.soap_radial import central, polynomials


@lru_cache(maxsize=64)
def _constants(soap: Soap) -> tuple[Any, ...]:
    poly, step = polynomials(soap)
    return soap.cutoff, soap.width, poly, step, factors(soap.l_max), central(soap), len(soap.species)


def geometry(soap: Soap, legs: Legs) -> tuple[Any, ...]:
    """Return what the compiled loops want to know of the neighbours, and of SOAP."""
    types = legs.types(soap.species)
    return legs.begin, legs.start_k, legs.r_p, legs.j_p, legs.vector_pc, types, *_constants(soap)


def average(soap: Soap, legs: Iterable[Legs]) -> Floats:
    """Return the normalised power spectrum of the mean density of all atoms of a crystal, (D,).

    Every atom is a centre, whatever its element; `legs` are the blocks of one crystal (De, Bartók, Csányi & Ceriotti,
    Phys. Chem. Chem. Phys. 18, 13754 (2016), eq. 9, with the average in the density as the field's code has it).
    """
    total, count = np.zeros(()), 0
    for block in legs:
        _, _, c = soap_vectors(np.arange(block.begin, block.end), *geometry(soap, block))
        total, count = total + c.sum(axis=0), count + len(c)
    return np.asarray(spectrum(total / count, soap.l_max))


def spectra(soap: Soap, legs: Iterable[Legs]) -> Floats:
    """Return the normalised power spectra of all atoms of a crystal, whatever their elements, (N, D)."""
    found = [soap_vectors(np.arange(b.begin, b.end), *geometry(soap, b))[0] for b in legs]
    return np.concatenate([np.zeros((0, soap.size)), *found])
