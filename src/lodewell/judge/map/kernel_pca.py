"""Kernel principal components: the plane in which things differ most, as the kernel sees them.

Schölkopf, Smola & Müller, Neural Computation 10, 1299 (1998). Axes are laid by landmarks, a sample of bounded size;
everything else is projected on them (Nyström), so that memory does not grow with the number of points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lodewell.crystals.batch import Floats

_BLOCK = 2000  # points projected at once


@dataclass(frozen=True)
class KernelPCA:
    """Axes of the kernel (p · p')^ζ.

    | field | shape | meaning |
    |---|---|---|
    | `landmarks_ld` | (L, D) | vectors of length 1 that the axes are made of |
    | `axes_lk` | (L, K) | weights of the landmarks in each axis |
    | `mean_l`, `mean` | (L,) | means of the kernel over landmarks, by which it is centred |
    | `shares_k` | (K,) | share of the variance among landmarks along each axis |
    """

    landmarks_ld: Floats
    zeta: float
    axes_lk: Floats
    mean_l: Floats
    mean: float
    shares_k: Floats

    @classmethod
    def of(cls, landmarks_ld: Floats, zeta: float, axes: int = 2) -> KernelPCA:
        """Lay axes; those that do not exist, as between two points, have zeros."""
        from scipy.linalg import eigh

        k_ll = _kernel(landmarks_ld, landmarks_ld, zeta)
        mean_l, mean, count = k_ll.mean(axis=0), float(k_ll.mean()), len(k_ll)
        k_ll += mean - mean_l[:, None] - mean_l
        total = float(np.trace(k_ll))
        found = min(axes, count)
        values, vectors = eigh(k_ll, subset_by_index=[count - found, count - 1])
        values, vectors = values[::-1], vectors[:, ::-1]
        real = values > 1e-10 * max(total, 1e-6)
        vectors = vectors * np.where(vectors[np.abs(vectors).argmax(axis=0), np.arange(found)] < 0.0, -1.0, 1.0)
        axes_lk, shares_k = np.zeros((count, axes)), np.zeros(axes)
        axes_lk[:, :found][:, real] = vectors[:, real] / np.sqrt(values[real])
        shares_k[:found][real] = values[real] / total
        return cls(landmarks_ld, zeta, axes_lk, mean_l, mean, shares_k)

    def project(self, p_nd: Floats) -> Floats:
        """Return the coordinates (N, K) of vectors (N, D)."""
        out = np.empty((len(p_nd), self.axes_lk.shape[1]))
        for first in range(0, len(p_nd), _BLOCK):
            k_nl = _kernel(np.asarray(p_nd[first : first + _BLOCK], dtype=float), self.landmarks_ld, self.zeta)
            k_nl += self.mean - k_nl.mean(axis=1)[:, None] - self.mean_l
            out[first : first + _BLOCK] = k_nl @ self.axes_lk
        return out


def _kernel(a_nd: Floats, b_md: Floats, zeta: float) -> Floats:
    return np.asarray(np.maximum(a_nd @ b_md.T, 0.0) ** zeta)
