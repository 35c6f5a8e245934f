"""The torch module of `lodewell.predict.published`.

A gated convolution reads z_ij = h_i ⊕ h_j ⊕ e_ij by a matrix W. W z_ij = A h_i + B h_j + C e_ij, of which the first two
are computed once an orbit; nothing else is approximated or left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lodewell.predict._rows import Batch, sum_rows

GAUSSIANS, MULTIQUADRICS = 256, 64
_ATTRACTION = 0.75  # of -0.75 / d
_BREADTH = 8.0
_FAINT = -20.0  # exp of less would be subnormal numbers, which slow everything down


class BatchNorm(nn.Module):
    """Batch normalisation of rows of which each stands for several."""

    def __init__(self, width: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, rows: Tensor, often: Tensor) -> Tensor:
        if not self.training:
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            return torch.addcmul(self.bias - self.running_mean * scale, rows, scale)
        total = often.sum()
        share = often / total
        mean = share @ rows
        centred = rows - mean
        variance = share @ centred.square()
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (total / (total - 1.0).clamp(min=1.0)), self.momentum)
        return torch.addcmul(self.bias, centred, self.weight * torch.rsqrt(variance + self.eps))


class Gaussians(nn.Module):
    """256 Gaussians of -0.75/d between -1 and 0, eight times as broad as they stand apart: 0.17 Å at 2 Å."""

    def __init__(self) -> None:
        super().__init__()
        self.centers: Tensor
        self.register_buffer("centers", torch.linspace(-1.0, 0.0, GAUSSIANS), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        apart = (-_ATTRACTION / distance[:, None] - self.centers) * ((GAUSSIANS - 1) / _BREADTH)
        return apart.square_().mul_(-0.5).clamp_(min=_FAINT).exp_()


class Multiquadrics(nn.Module):
    """64 functions sqrt(b² + (s - c)²) with c between -1 and 1, b their step."""

    def __init__(self) -> None:
        super().__init__()
        self.centers: Tensor
        self.register_buffer("centers", torch.linspace(-1.0, 1.0, MULTIQUADRICS), persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        step = 2.0 / (MULTIQUADRICS - 1)
        return (value[:, None] - self.centers).square_().add_(step * step).sqrt_()


class Convolution(nn.Module):
    """h_i + BN(Σ_j σ(F z_ij) ⊙ silu(G z_ij)), F and G two linear layers each with SiLU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.center = nn.Linear(width, 2 * width)
        self.other, self.edge = (nn.Linear(width, 2 * width, bias=False) for _ in range(2))
        for part in (self.center, self.other, self.edge):
            nn.init.uniform_(part.weight, -((3 * width) ** -0.5), (3 * width) ** -0.5)  # as one layer of 3 width inputs
        self.gate, self.value = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = BatchNorm(width)

    def forward(self, state: Tensor, edge: Tensor, center: Tensor, other: Tensor, often: Tensor, of: Tensor) -> Tensor:
        hidden = self.edge(edge)
        hidden += self.center(state).index_select(0, center)
        hidden += self.other(state).index_select(0, other)
        for_gate, for_value = functional.silu(hidden).chunk(2, dim=1)
        message = torch.sigmoid(self.gate(for_gate)) * functional.silu(self.value(for_value)) * often
        changed: Tensor = self.norm(sum_rows(message, center, len(state)), of)
        return state + changed


class PublishedModule(nn.Module):
    """Embed elements, convolve over both kinds of edges, take the mean over the atoms, and read off the targets."""

    def __init__(self, targets: int, *, width: int, layers: int, complete: bool) -> None:
        super().__init__()
        self.element = nn.Embedding(119, width)
        self.near = nn.Sequential(Gaussians(), nn.Linear(GAUSSIANS, width), nn.SiLU())
        if complete:
            self.complete = nn.Sequential(Multiquadrics(), nn.Linear(MULTIQUADRICS, width), nn.Softplus())
            self.complete_norm = BatchNorm(width)
        self.layers = nn.ModuleList(Convolution(width) for _ in range(layers))
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, targets))

    def embed(self, batch: Batch) -> Tensor:
        """Return the mean state of each crystal's atoms; (B, width)."""
        state = self.element(batch["number"].long())
        of = batch["multiplicity"]
        edge, center, other, often = self.near(batch["distance"]), batch["center"], batch["other"], batch["count"]
        if hasattr(self, "complete"):
            receiver, often_p = batch["receiver"], batch["often"]
            complete = self.complete_norm(self.complete(batch["sum"]), often_p * of[receiver])
            edge, often = torch.cat([edge, complete]), torch.cat([often, often_p])
            center, other = torch.cat([center, receiver]), torch.cat([other, batch["sender"]])
        often = often[:, None]
        for layer in self.layers:
            state = layer(state, edge, center, other, often, of)
        return sum_rows(state * batch["weight"][:, None], batch["crystal_of_orbit"], len(batch["crystal_of_crystal"]))

    def forward(self, batch: Batch) -> Tensor:
        """Return the normalised targets; (B, targets)."""
        out: Tensor = self.head(self.embed(batch))
        return out
