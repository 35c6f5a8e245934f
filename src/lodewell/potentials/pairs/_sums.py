"""Sums over neighbour pairs, fused and vectorised: gather a block of pairs, evaluate it, scatter it to the atoms."""

import numpy as np

from lodewell.compiled import FAST, inner, kernel
from lodewell.crystals.neighbours.neighbours import most_images, shift_vectors, wrapped_positions
from lodewell.potentials.pairs._radial import (
    BUCKINGHAM,
    CHANNELS,
    DU,
    DX,
    DY,
    DZ,
    LENNARD_JONES,
    MORSE,
    PER_R,
    ROOM,
    ZBL,
    R,
    U,
    buckingham,
    curves,
    distances,
    lennard_jones,
    morse,
    switch,
    zbl,
)

_ONE, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


@inner(fastmath=FAST)
def gather(i, begin, end, x, shift, j_p, image_p, square, block, other):
    """Put the pairs begin:end of atom i that lie within the cutoff into the block; return how many there are.

    Every pair is written, and overwritten by the next if outside: no branch to mispredict. Unsigned indices spare the
    test for negative ones.
    """
    xi, yi, zi = x[3 * i], x[3 * i + 1], x[3 * i + 2]
    used = np.uint64(0)
    for p in range(np.uint64(begin), np.uint64(end)):
        j = j_p[p]
        a, k = _THREE * np.uint64(j), _THREE * np.uint64(image_p[p])
        dx = x[a] - xi + shift[k]
        dy = x[a + _ONE] - yi + shift[k + _ONE]
        dz = x[a + _TWO] - zi + shift[k + _TWO]
        r2 = dx * dx + dy * dy + dz * dz
        block[used] = dx
        block[used + np.uint64(DY)] = dy
        block[used + np.uint64(DZ)] = dz
        block[used + np.uint64(R)] = r2
        other[used] = j
        used += np.uint64(r2 < square)
    return np.int64(used)


@inner(fastmath=FAST)
def scatter(i, count, weight, block, other, work, virial):
    """Add a block's forces and energies to atom i and the others in `work` (4 numbers an atom), and to the virial."""
    e = fx = fy = fz = 0.0
    vxx = vyy = vzz = vyz = vxz = vxy = 0.0
    for p in range(count):
        dx, dy, dz = block[DX + p], block[DY + p], block[DZ + p]
        g = weight * block[DU + p] * block[PER_R + p]
        gx, gy, gz = g * dx, g * dy, g * dz
        u = weight * block[U + p]
        e += u
        fx += gx
        fy += gy
        fz += gz
        vxx -= gx * dx
        vyy -= gy * dy
        vzz -= gz * dz
        vyz -= gy * dz
        vxz -= gx * dz
        vxy -= gx * dy
        block[DX + p], block[DY + p], block[DZ + p], block[U + p] = gx, gy, gz, u
    for p in range(count):
        j = _FOUR * np.uint64(other[p])
        work[j] -= block[DX + p]
        work[j + _ONE] -= block[DY + p]
        work[j + _TWO] -= block[DZ + p]
        work[j + _THREE] += block[U + p]
    work[4 * i] += fx
    work[4 * i + 1] += fy
    work[4 * i + 2] += fz
    work[4 * i + 3] += e
    virial[0, 0] += vxx
    virial[1, 1] += vyy
    virial[2, 2] += vzz
    virial[1, 2] += vyz
    virial[0, 2] += vxz
    virial[0, 1] += vxy


@inner(fastmath=FAST)
def closed_form(form, count, block, row, numbers):
    """Evaluate a block by the formula that `form` names."""
    if form == LENNARD_JONES:
        lennard_jones(count, block, row, numbers)
    elif form == MORSE:
        morse(count, block, row, numbers)
    elif form == BUCKINGHAM:
        buckingham(count, block, row, numbers)
    elif form == ZBL:
        zbl(count, block, row, numbers)


@kernel(fastmath=FAST)
def sum_pairs(
    form, numbers, row_vtt, origin, spacing, last, cutoff, width, scale,
    positions, cells, first_b, types, variant_b, half, first_n, last_n, j_p, image_p, wraps, reach,
):  # fmt: skip
    """Return energies (N,), forces (N, 3) and virials (B, 3, 3) of pairs of one `form`.

    `row_vtt` says where in `numbers` the parameters of a pair of types begin, in each variant. With None for `form`
    they are curves on a grid that `origin`, `spacing` and `last` describe, and no formula is compiled; formulas are
    switched off over `width` before the cutoff.
    """
    energies, forces = np.empty(len(positions)), np.empty((len(positions), 3))
    virials = np.zeros((len(cells), 3, 3))
    largest = 0
    for b in range(len(cells)):
        largest = max(largest, first_b[b + 1] - first_b[b])
    x_nc, shift_kc = np.empty((largest, 3)), np.empty((most_images(reach), 3))
    x, shift = x_nc.ravel(), shift_kc.ravel()
    work = np.empty(4 * largest)
    block = np.empty(CHANNELS * ROOM)
    other, row = np.empty(ROOM, np.int32), np.empty(ROOM, np.int32)
    weight = scale if half else 0.5 * scale
    for b in range(len(cells)):
        s, e = first_b[b], first_b[b + 1]
        shift_vectors(cells[b], reach[b], shift_kc)
        wrapped_positions(positions[s:e], cells[b], wraps[s:e], x_nc)
        # A crystal without a place in space has no energy either: NaN, not zero.
        zero = 0.0 if reach[b, 0] >= 0 else np.nan
        for n in range(4 * (e - s)):
            work[n] = zero
        for i in range(e - s):
            row_t = row_vtt[variant_b[b], types[s + i]]
            for begin in range(first_n[s + i], last_n[s + i], ROOM):
                end = min(begin + ROOM, last_n[s + i])
                count = gather(i, begin, end, x, shift, j_p, image_p, cutoff * cutoff, block, other)
                for p in range(count):
                    row[p] = row_t[types[s + other[p]]]
                distances(count, block)
                if form is None:
                    curves(count, block, row, numbers, origin, 1.0 / spacing, np.int32(last))
                else:
                    closed_form(form, count, block, row, numbers)
                    if width > 0.0:
                        switch(count, block, cutoff, width)
                scatter(i, count, weight, block, other, work, virials[b])
        for n in range(e - s):
            forces[s + n, 0], forces[s + n, 1], forces[s + n, 2] = work[4 * n], work[4 * n + 1], work[4 * n + 2]
            energies[s + n] = 0.5 * work[4 * n + 3]
        virials[b, 2, 1], virials[b, 2, 0], virials[b, 1, 0] = virials[b, 1, 2], virials[b, 0, 2], virials[b, 0, 1]
    return energies, forces, virials
