"""Radial densities of neighbours, and which atoms are alike; compiled. See docs/theory/prediction.md."""

import math

import numpy as np

from lodewell.compiled import inner, kernel

COMPONENTS = 9  # real harmonics of l = 0, 1, 2
_CLOSEST, _BROAD = 0.6, 0.75  # Å; where radial functions start; their width against their distance
_PROBES = 4  # radial functions that tell atoms apart


@inner(inline="always")
def _harmonics(x, y, z, out):
    """Write the real harmonics of a unit vector, each degree l normalised so that the squares sum to 1."""
    out[0] = 1.0
    out[1], out[2], out[3] = x, y, z
    root3 = math.sqrt(3.0)
    out[4], out[5], out[6] = root3 * x * y, root3 * y * z, 0.5 * (3.0 * z * z - 1.0)
    out[7], out[8] = root3 * x * z, 0.5 * root3 * (x * x - y * y)


@inner(inline="always")
def _fade(r, cutoff):
    """Return a weight that falls to 0 at the cutoff, with its slope."""
    x = 1.0 - (r / cutoff) ** 2
    return x * x


@inner
def radial_functions(r, cutoff, out):
    """Write Gaussians at equal steps between `_CLOSEST` and the cutoff, faded, of like size once atoms are summed."""
    count = len(out)
    step = (cutoff - _CLOSEST) / (count + 1)
    fade = _fade(r, cutoff)
    for n in range(count):
        center = _CLOSEST + (n + 0.5) * step
        u = (r - center) / (_BROAD * step)
        out[n] = fade / (_fade(center, cutoff) * center) * math.exp(-0.5 * u * u)


@inner
def bond_functions(r, bond, cutoff, out):
    """Write Gaussians of r over `bond`, the sum of two covalent radii, at equal steps between 0.6 and 2.6, faded."""
    count = len(out)
    step = 2.0 / count
    fade = _fade(r, cutoff) / max(r, 1.0) * 2.0
    for n in range(count):
        u = (r / bond - 0.6 - (n + 0.5) * step) / (_BROAD * step)
        out[n] = fade * math.exp(-0.5 * u * u)


@kernel
def alike(number_n, i_p, j_p, vector_pc, cutoff, tolerance):
    """Return the class of each atom: atoms of one class have the same element and the same surroundings.

    Classes are split by the power spectra of the density around an atom, in which each class has a weight of its own,
    until none splits: then every network that passes messages keeps equal the states of alike atoms. Classes are
    numbered by their first atoms.
    """
    count, pairs = len(number_n), len(i_p)
    class_n, classes = np.empty(count, np.int64), 0
    for n in range(count):
        class_n[n] = -1
        for m in range(n):
            if number_n[m] == number_n[n]:
                class_n[n] = class_n[m]
                break
        if class_n[n] < 0:
            class_n[n] = classes
            classes += 1
    if classes == count:
        return class_n, classes
    probe_pk, harmonic_pm = np.empty((pairs, _PROBES)), np.empty((pairs, COMPONENTS))
    for p in range(pairs):
        x, y, z = vector_pc[p, 0], vector_pc[p, 1], vector_pc[p, 2]
        r = math.sqrt(x * x + y * y + z * z)
        _harmonics(x / r, y / r, z / r, harmonic_pm[p])
        fade = _fade(r, cutoff) / r
        for k in range(_PROBES):
            probe_pk[p, k] = fade * math.cos(math.pi * (k + 0.5) * r / cutoff + k)
    spectra = 3 * (2 * _PROBES - 1)
    print_ns = np.empty((count, spectra))
    density = np.empty((_PROBES, COMPONENTS))
    weight = np.empty(count)
    while True:
        for c in range(classes):
            weight[c] = 0.5 + ((c + 1) * 0.6180339887498949) % 1.0
        first = 0
        for n in range(count):
            density[:] = 0.0
            while first < pairs and i_p[first] == n:
                w = weight[class_n[j_p[first]]]
                for k in range(_PROBES):
                    f = w * probe_pk[first, k]
                    for m in range(COMPONENTS):
                        density[k, m] += f * harmonic_pm[first, m]
                first += 1
            s = 0
            for degree in range(3):
                for k in range(_PROBES):
                    for other in range(k, min(k + 2, _PROBES)):
                        total = 0.0
                        for m in range(degree**2, (degree + 1) ** 2):
                            total += density[k, m] * density[other, m]
                        print_ns[n, s] = total
                        s += 1
        fresh, found = np.empty(count, np.int64), 0
        head = np.empty(count, np.int64)
        for n in range(count):
            fresh[n] = -1
            for c in range(found):
                h = head[c]
                if class_n[h] != class_n[n]:
                    continue
                same = True
                for s in range(spectra):
                    if abs(print_ns[n, s] - print_ns[h, s]) > tolerance * (1.0 + abs(print_ns[h, s])):
                        same = False
                        break
                if same:
                    fresh[n] = c
                    break
            if fresh[n] < 0:
                fresh[n] = found
                head[found] = n
                found += 1
        class_n = fresh
        if found == classes:
            return class_n, classes
        classes = found


@kernel
def densities(class_n, classes, representative_o, radius_n, i_p, j_p, vector_pc, cutoff, fine, bonds):
    """Return, for each orbit and each orbit near it, the density of the latter around the former's first atom.

    Returns `center_e`, `other_e` (E,) and `density_en` (E, fine + bonds) = Σ_j R_n(r) over the images of `other` in
    reach, first of the distance, then of the distance over the covalent radii.
    """
    pairs = len(i_p)
    wanted = np.full(len(class_n), -1, np.int64)
    for o in range(classes):
        wanted[representative_o[o]] = o
    seen = np.full((classes, classes), -1, np.int64)
    for p in range(pairs):
        o = wanted[i_p[p]]
        if o >= 0:
            seen[o, class_n[j_p[p]]] = 0
    edges = 0
    center_e, other_e = np.empty(classes * classes, np.int32), np.empty(classes * classes, np.int32)
    for o in range(classes):
        for u in range(classes):
            if seen[o, u] >= 0:
                seen[o, u] = edges
                center_e[edges], other_e[edges] = o, u
                edges += 1
    density_en, function = np.zeros((edges, fine + bonds)), np.empty(fine + bonds)
    for p in range(pairs):
        o = wanted[i_p[p]]
        if o < 0:
            continue
        x, y, z = vector_pc[p, 0], vector_pc[p, 1], vector_pc[p, 2]
        r = math.sqrt(x * x + y * y + z * z)
        radial_functions(r, cutoff, function[:fine])
        bond_functions(r, radius_n[i_p[p]] + radius_n[j_p[p]], cutoff, function[fine:])
        e = seen[o, class_n[j_p[p]]]
        for n in range(fine + bonds):
            density_en[e, n] += function[n]
    return center_e[:edges].copy(), other_e[:edges].copy(), density_en.astype(np.float32)
