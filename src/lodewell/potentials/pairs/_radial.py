"""Radial functions of pair potentials, evaluated on a block of distances that stays in the first-level cache.

A block is one flat array of `CHANNELS` stretches of `ROOM` numbers: with one base pointer and constant distances the
compiler sees that they do not overlap and uses vector instructions throughout.
"""

import math

import numpy as np

from lodewell.compiled import FAST, inner, kernel

ROOM = 256
DX, DY, DZ = 0, ROOM, 2 * ROOM  # x_j - x_i
R, PER_R = 3 * ROOM, 4 * ROOM  # distance (its square at first) and its reciprocal
U, DU = 5 * ROOM, 6 * ROOM  # energy and slope
A, B, C = 7 * ROOM, 8 * ROOM, 9 * ROOM  # scratch of the forms
CHANNELS = 10

# The formulas a compiled sum knows.
LENNARD_JONES, MORSE, BUCKINGHAM, ZBL = range(4)

SCREENING = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
COULOMB = 14.399645  # e²/(4πε0) in eV Å, rounded as in LAMMPS, so that both give the same ZBL energies

_LOG2E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52  # adding it leaves the nearest integer in the low bits
_POWERS = tuple(1.0 / math.factorial(n) for n in range(14))


@kernel(fastmath={"contract"})
def exponentials(count, block, x):
    """Replace the numbers at `x` by their exponentials, to 2 units in the last place from -700 to 700.

    exp(x) = 2^k exp(x - k ln 2) with a Taylor sum; written out because calls of the C library are not vectorised.
    """
    bits = block.view(np.int64)
    for p in range(count):
        value = min(max(block[x + p], -700.0), 700.0)
        rounded = value * _LOG2E + _ROUND
        k = rounded - _ROUND
        f = (value - k * _LN2_HIGH) - k * _LN2_LOW
        total = _POWERS[13]
        total = total * f + _POWERS[12]
        total = total * f + _POWERS[11]
        total = total * f + _POWERS[10]
        total = total * f + _POWERS[9]
        total = total * f + _POWERS[8]
        total = total * f + _POWERS[7]
        total = total * f + _POWERS[6]
        total = total * f + _POWERS[5]
        total = total * f + _POWERS[4]
        total = total * f + _POWERS[3]
        total = total * f + _POWERS[2]
        total = total * f + 1.0
        block[x + p] = total * f + 1.0
        block[C + p] = rounded
    for p in range(count):
        bits[C + p] = (bits[C + p] + 1023) << 52
    for p in range(count):
        block[x + p] *= block[C + p]


@inner(fastmath=FAST)
def distances(count, block):
    """Turn squared distances into distances and reciprocals; 0 for the reciprocal of 0, which has no direction."""
    for p in range(count):
        r = math.sqrt(block[R + p])
        block[R + p] = r
        block[PER_R + p] = 1.0 / r if r > 0.0 else 0.0


@inner(fastmath=FAST)
def curves(count, block, row, numbers, origin, per_spacing, last):
    """Evaluate cubics: `row` is where each pair's curve begins in `numbers`, four powers an interval."""
    for p in range(count):
        t = (block[R + p] - origin) * per_spacing
        k = min(np.int32(t), last)
        block[A + p] = t - k
        row[p] += np.int32(4) * k
    for p in range(count):
        k = np.uint64(row[p])
        t = block[A + p]
        c1, c2, c3 = numbers[k + np.uint64(1)], numbers[k + np.uint64(2)], numbers[k + np.uint64(3)]
        block[U + p] = numbers[k] + t * (c1 + t * (c2 + t * c3))
        block[DU + p] = per_spacing * (c1 + t * (2.0 * c2 + 3.0 * t * c3))


@inner(fastmath=FAST)
def lennard_jones(count, block, row, numbers):
    """Evaluate 4 ε [(σ/r)^12 - (σ/r)^6]."""
    for p in range(count):
        k = np.uint64(row[p])
        block[A + p], block[B + p] = numbers[k], numbers[k + np.uint64(1)]
    for p in range(count):
        x = block[B + p] * block[PER_R + p]
        x6 = x * x * x * x * x * x
        block[U + p] = 4.0 * block[A + p] * x6 * (x6 - 1.0)
        block[DU + p] = -24.0 * block[A + p] * x6 * (2.0 * x6 - 1.0) * block[PER_R + p]


@inner(fastmath=FAST)
def morse(count, block, row, numbers):
    """Evaluate D [(1 - e^{-α(r - r0)})^2 - 1]."""
    for p in range(count):
        k = np.uint64(row[p])
        alpha = numbers[k + np.uint64(1)]
        block[A + p], block[B + p] = numbers[k], alpha
        block[U + p] = alpha * (numbers[k + np.uint64(2)] - block[R + p])
    exponentials(count, block, U)
    for p in range(count):
        decay = block[U + p]
        block[U + p] = block[A + p] * decay * (decay - 2.0)
        block[DU + p] = -2.0 * block[A + p] * block[B + p] * decay * (decay - 1.0)


@inner(fastmath=FAST)
def buckingham(count, block, row, numbers):
    """Evaluate A e^{-r/ρ} - C/r^6; `numbers` hold A, ρ, C."""
    for p in range(count):
        k = np.uint64(row[p])
        block[A + p], block[B + p] = numbers[k], 1.0 / numbers[k + np.uint64(1)]
        block[DU + p] = numbers[k + np.uint64(2)]
        block[U + p] = -block[R + p] * block[B + p]
    exponentials(count, block, U)
    for p in range(count):
        wall = block[A + p] * block[U + p]
        square = block[PER_R + p] * block[PER_R + p]
        tail = block[DU + p] * square * square * square
        block[U + p] = wall - tail
        block[DU + p] = 6.0 * tail * block[PER_R + p] - wall * block[B + p]


@inner(fastmath=FAST)
def zbl(count, block, row, numbers):
    """Evaluate Z1 Z2 / r in eV times the universal screening; `numbers` hold Z1 Z2 and the screening length."""
    for p in range(count):
        block[B + p] = 1.0 / numbers[np.uint64(row[p]) + np.uint64(1)]
        block[U + p] = block[DU + p] = 0.0
    for term in range(4):
        weight, rate = SCREENING[term]
        for p in range(count):
            block[A + p] = -rate * block[B + p] * block[R + p]
        exponentials(count, block, A)
        for p in range(count):
            part = weight * block[A + p]
            block[U + p] += part
            block[DU + p] -= part * rate * block[B + p]
    for p in range(count):
        bare = COULOMB * numbers[np.uint64(row[p])] * block[PER_R + p]
        block[DU + p] = bare * (block[DU + p] - block[U + p] * block[PER_R + p])
        block[U + p] *= bare


@inner(fastmath=FAST)
def switch(count, block, cutoff, width):
    """Multiply by 1 - 10 t³ + 15 t⁴ - 6 t⁵ over the last `width` before the cutoff."""
    per_width = 1.0 / width
    for p in range(count):
        t = max(0.0, (block[R + p] - cutoff + width) * per_width)
        s = 1.0 - t * t * t * (10.0 - 15.0 * t + 6.0 * t * t)
        ds = -30.0 * per_width * t * t * (1.0 - t) * (1.0 - t)
        block[DU + p] = block[DU + p] * s + block[U + p] * ds
        block[U + p] *= s
