"""The torch module of `lodewell.predict.invariant`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lodewell.predict._rows import Batch, sum_rows
from lodewell.predict.elements import PLACES, periodic_table


class Elements(nn.Module):
    """A state for each element, from its place in the periodic table and a part of its own that begins small."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own = nn.Embedding(119, width)
        nn.init.normal_(self.own.weight, std=0.3)
        self.place = nn.Linear(PLACES, width)
        self.table: Tensor
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
        return sum_rows(self.filter(batch["density"]) * gate, center, len(state))


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

    def __init__(self, width: int, readers: Sequence[Radial | Sums], dropout: float) -> None:
        super().__init__()
        size = sum(reader.size for reader in readers)
        self.readers = nn.ModuleList(readers)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.update = nn.Sequential(nn.Linear(width + size, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, state: Tensor, batch: Batch) -> Tensor:
        seen = torch.cat([reader(state, batch) for reader in self.readers], dim=1)
        changed: Tensor = self.update(torch.cat([state, self.dropout(self.norm(seen))], dim=1))
        return state + changed


class InvariantModule(nn.Module):
    """Embed elements, update orbits, pool them by weight and by attention, and read off the targets."""

    def __init__(
        self, targets: int, *, width: int, layers: int, channels: int, charges: int,
        dropout: float, sums: int, radial: int,
    ) -> None:  # fmt: skip
        super().__init__()

        def readers() -> list[Radial | Sums]:
            near = Radial(width, channels, radial)
            return [near, Sums(width, charges, sums)] if charges else [near]

        self.element = Elements(width)
        self.layers = nn.ModuleList(Layer(width, readers(), dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, width)
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, targets))

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
