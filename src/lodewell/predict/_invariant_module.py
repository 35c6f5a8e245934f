"""The torch module of `lodewell.predict.invariant`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lodewell.predict import _moments
from lodewell.predict.elements import PLACES, periodic_table

SPANS = ((0, 3), (3, 8))  # the harmonics of l = 1, 2
DEGREE = np.repeat(np.arange(2), [3, 5])
Batch = dict[str, Tensor]


def sum_rows(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """Add up rows with the same index; (count, ...)."""
    return rows.new_zeros((count, *rows.shape[1:])).index_add_(0, index, rows)


class Moments(torch.autograd.Function):
    """The compiled moments as a function that torch differentiates."""

    @staticmethod
    def forward(ctx: Any, density: Tensor, weight: Tensor, gate: Tensor, center: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(density, weight, gate, center)
        out = gate.new_zeros((count, density.shape[1], gate.shape[1]))
        _moments.moments(*(t.numpy() for t in (density, weight, gate, center)), DEGREE, out.numpy())
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        weight_slope, gate_slope = torch.zeros_like(saved[1]), torch.zeros_like(saved[2])
        arrays = (t.numpy() for t in (*saved, slopes[0].contiguous(), weight_slope, gate_slope))
        density, weight, gate, center, slope, *outs = arrays
        _moments.moments_backward(density, weight, gate, center, DEGREE, slope, *outs)
        return None, weight_slope, gate_slope, None, None


def moments(density: Tensor, weight: Tensor, gate: Tensor, center: Tensor, count: int) -> Tensor:
    """Return Σ_e z_e,c Σ_n W_l(m),n,c ρ_e,m,n over the edges of each orbit; (count, m, c)."""
    if gate.device.type == "cpu" and gate.dtype == torch.float32:
        out: Tensor = Moments.apply(density, weight.contiguous(), gate.contiguous(), center, count)
        return out
    spans = [density[:, a:b] @ w for (a, b), w in zip(SPANS, weight, strict=False)]
    return sum_rows(torch.cat(spans, dim=1) * gate[:, None], center, count)


class Elements(nn.Module):
    """A state for each element, from its place in the periodic table and a part of its own that begins small."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Embedding(119, width)
        nn.init.normal_(self.own.weight, std=0.3)
        self.place = nn.Linear(PLACES, width)
        self.register_buffer("table", torch.from_numpy(periodic_table()), persistent=False)

    def forward(self, number: Tensor) -> Tensor:
        states: Tensor = self.own(number) + self.place(self.table[number])
        return states


class Radial(nn.Module):
    """Messages through radial densities: Σ_J (Σ_n W_nc ρ_IJ,n) z_IJ,c with gates z of both states."""

    def __init__(self, width: int, channels: int, radial: int) -> None:
        super().__init__()
        self.center, self.other = nn.Linear(width, channels), nn.Linear(width, channels, bias=False)
        self.filter = nn.Linear(radial, channels, bias=False)
        self.size = channels

    def forward(self, state: Tensor, batch: Batch) -> Tensor:
        center, other = batch["center"], batch["other"]
        gate = functional.silu(self.center(state).index_select(0, center) + self.other(state).index_select(0, other))
        return sum_rows(self.filter(batch["radial"]) * gate, center, len(state))


class Angular(nn.Module):
    """Invariants of the vectors and quadrupoles A_m,c = Σ_J (Σ_n W_lnc ρ_IJ,nlm) z_J,c."""

    def __init__(self, width: int, channels: int, coarse: int) -> None:
        super().__init__()
        self.other = nn.Linear(width, channels)
        self.filter = nn.Parameter(torch.randn(2, coarse, channels) * (2.0 / coarse) ** 0.5)
        self.mix = nn.Parameter(torch.randn(2, channels, channels) / channels**0.5)
        self.size = 4 * channels

    def forward(self, state: Tensor, batch: Batch) -> Tensor:
        center = batch["center"]
        gate = self.other(state).index_select(0, batch["other"])
        moment = moments(batch["angular"], self.filter, gate, center, len(state))
        vector, quadrupole = moment[:, :3], moment[:, 3:]
        out = [(part * (part @ mix)).sum(1) for part, mix in zip((vector, quadrupole), self.mix, strict=True)]
        return torch.cat(out + triple(moment), dim=1)


def triple(moment: Tensor) -> list[Tensor]:
    """Return v·T·v and tr T³ of the vector v and the quadrupole T of each channel."""
    x, y, z = moment[:, 0], moment[:, 1], moment[:, 2]
    xy, yz, zz, xz, d = (moment[:, k] * s for k, s in zip(range(3, 8), (1.0, 1.0, 1.1547005, 1.0, 1.0), strict=True))
    xx, yy = d - 0.5 * zz, -d - 0.5 * zz
    vtv = x * x * xx + y * y * yy + z * z * zz + 2.0 * (x * y * xy + y * z * yz + x * z * xz)
    det = xx * (yy * zz - yz * yz) - xy * (xy * zz - yz * xz) + xz * (xy * yz - yy * xz)
    return [vtv, det]


class Sums(nn.Module):
    """Messages through infinite sums: the potentials φ_Ik,c = Σ_J S_k(I, J) q_J,c of learned charges q."""

    def __init__(self, width: int, charges: int, sums: int) -> None:
        super().__init__()
        self.charge, self.test = nn.Linear(width, charges), nn.Linear(width, charges)
        self.size = 2 * charges * sums

    def forward(self, state: Tensor, batch: Batch) -> Tensor:
        charge = self.charge(state)
        term = batch["sums"][:, :, None] * charge.index_select(0, batch["sender"])[:, None, :]
        potential = sum_rows(term, batch["receiver"], len(state))
        energy = potential * self.test(state)[:, None, :]
        return torch.cat([potential, energy], dim=1).flatten(1)


class Layer(nn.Module):
    """Read the surroundings, and update the states."""

    def __init__(self, width: int, readers: list[nn.Module]) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)
        size = sum(reader.size for reader in readers)
        self.norm = nn.LayerNorm(size)
        self.update = nn.Sequential(nn.Linear(width + size, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, state: Tensor, batch: Batch) -> Tensor:
        seen = torch.cat([reader(state, batch) for reader in self.readers], dim=1)
        changed: Tensor = self.update(torch.cat([state, self.norm(seen)], dim=1))
        return state + changed


class InvariantModule(nn.Module):
    """Embed elements, update orbits, pool them by weight and by attention, and read off the targets."""

    def __init__(
        self, targets: int, *, width: int, layers: int, channels: int, angular: int, charges: int,
        sums: int, radial: int, coarse: int, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()

        def readers() -> list[nn.Module]:
            found: list[nn.Module] = [Radial(width, channels, radial)]
            found += [Angular(width, angular, coarse)] if angular else []
            found += [Sums(width, charges, sums)] if charges else []
            return found

        self.element = Elements(width)
        self.layers = nn.ModuleList(Layer(width, readers()) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, width)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, targets))

    def embed(self, batch: Batch) -> Tensor:
        """Return the mean of the orbits' states and their mean under attention; (B, 2 width)."""
        state = self.element(batch["number"].long())
        for layer in self.layers:
            state = layer(state, batch)
        state = self.norm(state)
        crystal, weight = batch["crystal_of_orbit"], batch["weight"][:, None]
        count = len(batch["crystal_of_crystal"])
        mean = sum_rows(state * weight, crystal, count)
        heard = weight * torch.exp(5.0 * torch.tanh(self.attention(state) / 5.0))
        return torch.cat([mean, sum_rows(state * heard, crystal, count) / sum_rows(heard, crystal, count)], dim=1)

    def forward(self, batch: Batch) -> Tensor:
        """Return the normalised targets; (B, targets)."""
        out: Tensor = self.head(self.embed(batch))
        return out
