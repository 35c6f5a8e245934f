"""Moments of gated densities, forward and backward, compiled: on a CPU several times as quick as torch's own.

M_I,m,c = Σ_e z_e,c Σ_n W_l(m),n,c ρ_e,m,n over the edges e of orbit I. Nothing of the size (E, 16, C) is ever stored.
"""

import numpy as np
from numba import njit

_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def moments(density_emn, weight_lnc, gate_ec, center_e, degree_m, out_imc):
    """Add the moments to `out_imc`."""
    edges, components, radial = density_emn.shape
    channels = gate_ec.shape[1]
    row = np.empty(channels, np.float32)
    for e in range(edges):
        i = center_e[e]
        for m in range(components):
            weight = weight_lnc[degree_m[m]]
            row[:] = np.float32(0.0)
            for n in range(radial):
                d = density_emn[e, m, n]
                for c in range(channels):
                    row[c] += d * weight[n, c]
            for c in range(channels):
                out_imc[i, m, c] += row[c] * gate_ec[e, c]


@njit(cache=True, error_model="numpy", fastmath=_FAST, nogil=True)
def moments_backward(density_emn, weight_lnc, gate_ec, center_e, degree_m, slope_imc, weight_slope_lnc, gate_slope_ec):
    """Add the slopes of Σ slope·M by the weights and the gates to the last two arrays."""
    edges, components, radial = density_emn.shape
    channels = gate_ec.shape[1]
    row, pull = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for e in range(edges):
        i = center_e[e]
        for m in range(components):
            l = degree_m[m]
            weight, weight_slope = weight_lnc[l], weight_slope_lnc[l]
            for c in range(channels):
                pull[c] = slope_imc[i, m, c] * gate_ec[e, c]
                row[c] = np.float32(0.0)
            for n in range(radial):
                d = density_emn[e, m, n]
                for c in range(channels):
                    row[c] += d * weight[n, c]
                    weight_slope[n, c] += d * pull[c]
            for c in range(channels):
                gate_slope_ec[e, c] += row[c] * slope_imc[i, m, c]
