"""Lattice sums in torch: the formulas, splits and bounds of `lodewell.lattice_sum`, differentiable, on any device.

How they are split and cut: docs/theory/lattice-sums.md. Where a sum is split and cut is chosen on the CPU in double
precision and carries no gradient; all that depends on positions and cell smoothly is computed where the tensors are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from lodewell.crystals.neighbours.lists import list_pairs
from lodewell.errors import BadOption
from lodewell.potentials.ionic import _lattice_sums as kernels
from lodewell.potentials.ionic.lattice_sums import density, kind_of, prepared
from lodewell.predict import _sum_functions as functions


@overload
def lattice_sum(
    positions: torch.Tensor,
    cell: torch.Tensor,
    power: int = ...,
    *,
    decay: float | None = ...,
    screening: float | None = ...,
    tolerance: float = ...,
) -> torch.Tensor: ...
@overload
def lattice_sum(
    positions: Sequence[torch.Tensor],
    cell: torch.Tensor | Sequence[torch.Tensor],
    power: int = ...,
    *,
    decay: float | None = ...,
    screening: float | None = ...,
    tolerance: float = ...,
) -> list[torch.Tensor]: ...
def lattice_sum(
    positions: torch.Tensor | Sequence[torch.Tensor],
    cell: torch.Tensor | Sequence[torch.Tensor],
    power: int = 1,
    *,
    decay: float | None = None,
    screening: float | None = None,
    tolerance: float = 1e-12,
) -> torch.Tensor | list[torch.Tensor]:
    """Sum r^-power, or exp(-decay r), or exp(-screening r)/r, over the lattice, for all pairs of a crystal's atoms.

    The values are those of `lodewell.lattice_sum`, down to the rounding of the tensors' precision; several crystals are
    computed together. Autograd gives derivatives of any order by positions and cell (the other held): those of the sums
    as cut.

    Args:
        positions: Cartesian, (n, 3) in Å, of one crystal or a sequence of them.
        cell: rows are lattice vectors, (3, 3) in Å; of several crystals one each.
        power: 1, or an even number above 3.
        decay: a in exp(-a r), 1/Å.
        screening: a in exp(-a r)/r, 1/Å.
        tolerance: from 1e-14 to 0.01.

    Returns:
        A symmetric tensor (n, n), of several crystals a list; in Å^-power (1 for `decay`, Å^-1 for `screening`).

    Raises:
        BadOption: as `lodewell.lattice_sum`, and for an odd or broken power, or positions that are integers.
        BadCrystal: when a crystal has a zero vector (a molecule, chain or slab), no volume or coincident atoms.
    """
    kind, a = kind_of(power, decay, screening, tolerance)
    if kind == kernels.POWER and a != 1.0 and a % 2.0 != 0.0:
        raise BadOption(
            f"Σ r^-{a:g} is not offered in torch, but 1 and even powers: lodewell.lattice_sum has it, on CPU"
        )
    if isinstance(positions, torch.Tensor) and isinstance(cell, torch.Tensor) and positions.ndim == 2:
        return _sums([positions], [cell], kind, a, tolerance)[0]
    return _sums(list(positions), list(cell), kind, a, tolerance)


@dataclass(frozen=True)
class _Cuts:
    """Where the sums of several crystals are split and cut: numbers without gradients.

    | field | shape | meaning |
    |---|---|---|
    | `eta_b`, `own_b`, `mean_b` | (B,) | the split, an atom's term with itself, ψ(0) V |
    | `basis_bkk` | (B, 3, 3) | a reduced basis in lattice vectors |
    | `dual_bkk` | (B, 3, 3) | a reduced basis of the reciprocal lattice in vectors dual to that |
    | `wrap_bnk` | (B, N, 3) | basis vectors to take off positions, 0 where a crystal has no more atoms |
    | `wave_bgk` | (B, G, 3) | one of each ±G in the reciprocal basis, filled up with 1 |
    | `real_bg` | (B, G) | 1, or 0 where filled up |
    | `crystal_p`, `i_p`, `j_p` | (P,) | pairs within the radius, each once |
    | `images` | B of (P, 3) | the image of x_j in basis vectors |
    """

    eta_b: torch.Tensor
    own_b: torch.Tensor
    mean_b: torch.Tensor
    basis_bkk: torch.Tensor
    dual_bkk: torch.Tensor
    wrap_bnk: torch.Tensor
    wave_bgk: torch.Tensor
    real_bg: torch.Tensor
    crystal_p: torch.Tensor
    i_p: torch.Tensor
    j_p: torch.Tensor
    images: tuple[torch.Tensor, ...]


def _cuts(positions: list[torch.Tensor], cells: list[torch.Tensor], kind: int, a: float, tolerance: float) -> _Cuts:
    like = positions[0]
    etas, bases, duals, wraps, waves, pairs, images = [], [], [], [], [], [], []
    for b, tensors in enumerate(zip(positions, cells, strict=True)):
        x, cell = (np.array(tensor.detach().cpu().numpy(), dtype=np.float64, order="C") for tensor in tensors)
        name = f"crystal {b}: " if len(positions) > 1 else ""
        basis, fractional, budget = prepared(x, cell, kind, a, tolerance, name)
        fractional -= np.rint(fractional)
        eta, radius, recip, n_gk, _ = kernels.plan(kind, a, basis, density(kind, a), budget)
        i_p, j_p, image_pk, _, _ = list_pairs(fractional @ basis, basis, np.ones(3, np.bool_), radius, True)
        etas.append(eta)
        bases.append(np.rint(basis @ np.linalg.inv(cell)))
        duals.append(np.rint(recip @ basis.T / (2.0 * math.pi)))
        wraps.append(np.rint(x @ np.linalg.inv(basis) - fractional))
        waves.append(n_gk)
        pairs.append(np.stack([np.full(len(i_p), b), i_p, j_p]))
        images.append(image_pk)

    def there(array: NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(array, dtype=like.dtype, device=like.device)

    def padded(arrays: Sequence[NDArray[Any]], fill: float) -> torch.Tensor:
        out = np.full((len(arrays), max(map(len, arrays)), 3), fill)
        for row, array in zip(out, arrays, strict=True):
            row[: len(array)] = array
        return there(out)

    wave_bgk = padded(waves, 1.0)
    crystal_p, i_p, j_p = torch.as_tensor(np.concatenate(pairs, axis=1), device=like.device)
    return _Cuts(
        there(np.array(etas)),
        there(np.array([kernels.itself(kind, a, eta) for eta in etas])),
        there(np.array([kernels.long(kind, a, eta, 0.0, 1.0)[0] for eta in etas])),
        there(np.stack(bases)),
        there(np.stack(duals)),
        padded(wraps, 0.0),
        wave_bgk,
        there(np.arange(wave_bgk.shape[1]) < np.array([[len(n_gk)] for n_gk in waves])),
        crystal_p,
        i_p,
        j_p,
        torch.split_with_sizes(there(np.concatenate(images)), [len(image_pk) for image_pk in images]),
    )


def _sums(
    positions: list[torch.Tensor], cells: list[torch.Tensor], kind: int, a: float, tolerance: float
) -> list[torch.Tensor]:
    """Sum for several crystals at once: their images in one flat list, atoms and waves filled up to the most of any."""
    if not positions:
        return []
    if not positions[0].is_floating_point():
        raise BadOption("positions must be floating-point numbers: use positions.double()")
    cuts = _cuts(positions, cells, kind, a, tolerance)
    basis_bkc = cuts.basis_bkk @ torch.stack(cells)
    x_bnc = pad_sequence(positions, batch_first=True) - cuts.wrap_bnk @ basis_bkc
    normal_bkc = torch.linalg.cross(basis_bkc.roll(-1, 1), basis_bkc.roll(-2, 1))
    volume_b = (basis_bkc[:, 0] * normal_bkc[:, 0]).sum(1)  # negative where the basis is left-handed
    dual_bkc = cuts.dual_bkk @ (2.0 * math.pi * normal_bkc / volume_b[:, None, None])
    volume_b = volume_b.abs()
    half_bnn = _images(kind, a, cuts, x_bnc, basis_bkc) + _waves(kind, a, cuts, x_bnc, dual_bkc, volume_b)
    once_nn = torch.eye(x_bnc.shape[1], dtype=x_bnc.dtype, device=x_bnc.device)
    same_bnn = (cuts.mean_b / volume_b)[:, None, None] - cuts.own_b[:, None, None] * once_nn
    sums_bnn = half_bnn + half_bnn.mT + same_bnn
    return [sums_nn[: len(x), : len(x)] for sums_nn, x in zip(sums_bnn, positions, strict=True)]


def _images(kind: int, a: float, cuts: _Cuts, x_bnc: torch.Tensor, basis_bkc: torch.Tensor) -> torch.Tensor:
    """Return Σ φ in one of (i, j) and (j, i) (B, N, N), of an atom with itself half of it."""
    crystals, atoms, _ = x_bnc.shape
    x_nc, first_p = x_bnc.reshape(-1, 3), cuts.crystal_p * atoms
    i_p, j_p = first_p + cuts.i_p, first_p + cuts.j_p
    shift_pc = torch.cat([image_pk @ basis_kc for image_pk, basis_kc in zip(cuts.images, basis_bkc, strict=True)])
    vector_pc = x_nc.index_select(0, j_p) - x_nc.index_select(0, i_p) + shift_pc
    value_p = functions.short(kind, a, cuts.eta_b[cuts.crystal_p], vector_pc.square().sum(1))
    place_p = i_p * atoms + cuts.j_p
    return value_p.new_zeros(crystals * atoms * atoms).index_add(0, place_p, value_p).view(crystals, atoms, atoms)


def _waves(
    kind: int, a: float, cuts: _Cuts, x_bnc: torch.Tensor, dual_bkc: torch.Tensor, volume_b: torch.Tensor
) -> torch.Tensor:
    """Return Σ ψ cos G·(x_j - x_i) over one of each ±G: half the sum over all (B, N, N)."""
    square_bg = (cuts.wave_bgk @ dual_bkc).square().sum(-1)
    psi_bg = cuts.real_bg * functions.long(kind, a, cuts.eta_b[:, None], square_bg, volume_b[:, None])
    angle_bng = x_bnc @ dual_bkc.mT @ cuts.wave_bgk.mT
    phase_bng = torch.cat([angle_bng.cos(), angle_bng.sin()], -1)
    return (phase_bng * torch.cat([psi_bg, psi_bg], -1).unsqueeze(1)) @ phase_bng.mT
