"""Three-body functions: slices against the angle, and maps of two equal legs and the angle between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.report.coverage import Coverage
from lodewell.report.style import BLUE, INK, PALE

_SHELLS = (0.92, 1.0, 1.12, 1.3)  # legs of the slices, in units of the distance of the first neighbours
_SLICES = ("#7A5195", BLUE, "#2A9D8F", "#E9A23B")
UNSEEN = "#E9EBEE"


@dataclass(frozen=True)
class ThreeBody:
    """What is drawn of a central atom i and two others j, k.

    Attributes:
        title: such as "O–Si–O", the central atom in the middle.
        energy: by r_ij, r_ik and r_jk (Å), eV.
        low: where the legs begin, Å.
        ends: where they end, Å.
        shells: typical distances of first neighbours along both, Å.
        known: which distances r_ij, r_ik, r_jk the training data hold.
    """

    title: str
    energy: Callable[[Floats, Floats, Floats], Floats]
    low: float
    ends: tuple[float, float]
    shells: tuple[float, float]
    known: tuple[Coverage | None, Coverage | None, Coverage | None]

    @property
    def legs(self) -> list[tuple[float, float]]:
        """The legs of the slices, Å."""
        near = [min(r, 0.9 * end) for r, end in zip(self.shells, self.ends, strict=True)]
        slices = [(near[0] * f, near[1] * f) for f in _SHELLS]
        return [legs for legs in slices if legs[0] < 0.97 * self.ends[0] and legs[1] < 0.97 * self.ends[1]]

    def seen(self, r_ij: Floats, r_ik: Floats, r_jk: Floats) -> NDArray[np.bool_]:
        """Return whether the data hold all three distances of triangles."""
        seen = np.ones(np.broadcast_shapes(np.shape(r_ij), np.shape(r_ik), np.shape(r_jk)), dtype=bool)
        for known, r in zip(self.known, (r_ij, r_ik, r_jk), strict=True):
            if known is not None:
                seen &= known.seen(r)
        return seen


def third(r_ij: Floats, r_ik: Floats, angle: Floats) -> Floats:
    """Return the third side of triangles with these legs (Å) and angles between them (degrees)."""
    square = r_ij**2 + r_ik**2 - 2.0 * r_ij * r_ik * np.cos(np.radians(angle))
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def draw_angles(drawn: Any, place: Any, triple: ThreeBody) -> None:
    """Draw a three-body function against the angle at a few leg lengths; dashed where the data have no such one."""
    axes, angle = drawn.add_subplot(place), np.linspace(20.0, 180.0, 321)
    axes.axhline(0.0, color=PALE, lw=0.8, zorder=0)
    shown, alike = [], True
    for k, (r_ij, r_ik) in enumerate(triple.legs):
        r_jk = third(np.array(r_ij), np.array(r_ik), angle)
        value = triple.energy(np.array(r_ij), np.array(r_ik), r_jk)
        seen = triple.seen(np.array(r_ij), np.array(r_ik), r_jk)
        label = f"r = {r_ij:.2f} Å" if r_ij == r_ik else f"{r_ij:.2f}, {r_ik:.2f} Å"
        alike &= r_ij == r_ik
        width = 2.0 if abs(_SHELLS[k] - 1.0) < 1e-9 else 1.2
        axes.plot(angle, np.where(seen, value, np.nan), color=_SLICES[k], lw=width, label=label, zorder=3)
        axes.plot(angle, value, color=_SLICES[k], lw=0.9, ls=(0, (2, 2)), alpha=0.7, zorder=2)
        shown.append(value[seen] if seen.any() else value)
    low, high = min(float(v.min()) for v in shown), max(float(v.max()) for v in shown)
    span = max(high - low, 1e-6)
    axes.set(xlim=(20, 180), xticks=[30, 60, 90, 120, 150, 180], ylim=(low - 0.1 * span, high + 0.3 * span))
    axes.set(xlabel="θ / °", ylabel=f"V₃({'r, r' if alike else 'r₁, r₂'}, θ) / eV")
    axes.set_title(triple.title)
    axes.legend(loc="upper right", ncols=2, handlelength=1.3, labelspacing=0.25, columnspacing=1.0, borderaxespad=0.1)


def draw_map(drawn: Any, place: Any, triple: ThreeBody) -> None:
    """Draw a three-body function of two equal legs and the angle between them."""
    axes = drawn.add_subplot(place)
    end, known = min(triple.ends), [c.shortest for c in triple.known[:2] if c is not None]
    begin = max(triple.low, max(known) - 0.25 if known else 0.6 * triple.shells[0])
    r, angle = np.linspace(begin, end, 161)[:, None], np.linspace(0.0, 180.0, 181)[None, :]
    side = third(r, r, angle)
    value, seen = triple.energy(r, r, side), triple.seen(r, r, side)
    within = np.abs(value[seen & (r > begin + 0.1 * (end - begin))])
    most = float(np.quantile(within, 0.995)) if within.size and within.max() > 0 else 1.0
    box = (0.0, 180.0, float(begin), float(end))
    drawn_map = axes.imshow(value, extent=box, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-most, vmax=most,
                            interpolation="bilinear")  # fmt: skip
    fine_r, fine = np.linspace(begin, end, 801)[:, None], np.linspace(0.0, 180.0, 721)[None, :]
    held = triple.seen(fine_r, fine_r, third(fine_r, fine_r, fine))
    axes.contourf(fine[0], fine_r[:, 0], held.astype(float), [-0.5, 0.5], colors=[UNSEEN])
    levels = most * np.array([-0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75])
    axes.contour(angle[0], r[:, 0], np.where(seen, value, np.nan), levels, colors=INK, linewidths=0.4,
                 linestyles="solid", alpha=0.5)  # fmt: skip
    for k, (r_ij, r_ik) in enumerate(triple.legs):
        if r_ij == r_ik:
            axes.plot([176.0, 180.0], [r_ij, r_ij], color=_SLICES[k], lw=2.2, solid_capstyle="butt", clip_on=False)
    axes.set(xlim=(0, 180), ylim=(begin, end), xticks=[0, 60, 120, 180], xlabel="θ / °", ylabel="r / Å")
    axes.set_title("V₃(r, r, θ) / eV")
    bar = drawn.colorbar(drawn_map, ax=axes, pad=0.02, fraction=0.06, extend="both")
    bar.outline.set_visible(False)
