"""Names written beside points so that none covers another, a point, or a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lodewell.crystals.batch import Floats
from lodewell.report.style import lay_out
from lodewell.text import printable

_DIRECTIONS = [(np.cos(a), np.sin(a)) for a in np.deg2rad([20, -20, 160, -160, 60, -60, 120, -120, 90, -90, 0, 180])]
_DISTANCES = (9.0, 15.0, 24.0, 36.0, 50.0)  # points from the middle of the mark


def place_labels(
    axes: Any, points: Sequence[tuple[float, float]], texts: Sequence[str], colours: Sequence[str],
    avoid: Sequence[tuple[float, float]] = (), size: float = 8.5,
) -> None:  # fmt: skip
    """Write a text beside each point (data coordinates), crowded ones first; far ones get a thin line to their point.

    avoid: further places (data coordinates), such as along a line, that should stay free.
    """
    canvas = axes.figure.canvas
    lay_out(axes.figure)
    renderer, to_pixels = canvas.get_renderer(), axes.transData.transform
    scale = axes.figure.dpi / 72.0
    marks = np.array([to_pixels(p) for p in points]).reshape(-1, 2)
    obstacles = np.concatenate([marks, np.array([to_pixels(p) for p in avoid]).reshape(-1, 2)])
    frame = axes.get_window_extent(renderer)
    taken: list[tuple[float, float, float, float]] = []
    crowd = [float(np.sort(np.linalg.norm(marks - m, axis=1))[1:4].sum()) if len(marks) > 1 else 0.0 for m in marks]
    for k in np.argsort(crowd, kind="stable"):
        width, height = _extent(axes, renderer, printable(texts[k]), size)
        best, best_cost = None, np.inf
        for step, distance in enumerate(_DISTANCES):
            for turn, (dx, dy) in enumerate(_DIRECTIONS):
                box = _box(marks[k], scale * distance, dx, dy, width, height)
                cost = 3.0 * step + 0.15 * turn + _cost(box, taken, obstacles, marks, frame, 4.5 * scale)
                if cost < best_cost:
                    best, best_cost = (box, distance), cost
        assert best is not None
        box, distance = best
        taken.append(box)
        middle = (0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]))
        offset = ((middle[0] - marks[k][0]) / scale, (middle[1] - marks[k][1]) / scale)
        line = {"arrowstyle": "-", "color": colours[k], "lw": 0.6, "shrinkA": 0.0, "shrinkB": 3.0}
        note = axes.annotate(
            texts[k], points[k], xytext=offset, textcoords="offset points", ha="center", va="center", fontsize=size,
            color=colours[k], arrowprops=line if distance > _DISTANCES[1] else None, zorder=6,
            bbox={"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.3},
        )  # fmt: skip
        note.set_in_layout(False)


def _extent(axes: Any, renderer: Any, text: str, size: float) -> tuple[float, float]:
    """Return width and height of a text in pixels."""
    probe = axes.text(0.0, 0.0, text, fontsize=size, transform=axes.transAxes, parse_math=False)
    box = probe.get_window_extent(renderer)
    probe.remove()
    return float(box.width), float(box.height)


def _box(
    mark: Floats, distance: float, dx: float, dy: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return the rectangle of a text whose nearest edge or corner lies in a direction from its mark."""
    x = mark[0] + distance * dx + (0.5 * width if dx > 0.3 else -0.5 * width if dx < -0.3 else 0.0)
    y = mark[1] + distance * dy + (0.5 * height * np.sign(dy) if abs(dx) < 0.9 else 0.0)
    return float(x - 0.5 * width), float(y - 0.5 * height), float(x + 0.5 * width), float(y + 0.5 * height)


def _cost(
    box: tuple[float, float, float, float], taken: Sequence[tuple[float, float, float, float]], obstacles: Floats,
    marks: Floats, frame: Any, pad: float,
) -> float:  # fmt: skip
    """Return how bad a place is: outside, over another text, over a mark, over what should stay free."""
    x0, y0, x1, y1 = box
    cost = 0.0
    if x0 < frame.x0 or x1 > frame.x1 or y0 < frame.y0 or y1 > frame.y1:
        cost += 60.0
    for a0, b0, a1, b1 in taken:
        if x0 < a1 and a0 < x1 and y0 < b1 and b0 < y1:
            cost += 80.0

    def inside(points: Floats, margin: float) -> int:
        x, y = points[:, 0], points[:, 1]
        return int(((x > x0 - margin) & (x < x1 + margin) & (y > y0 - margin) & (y < y1 + margin)).sum())

    return cost + 40.0 * inside(marks, pad) + 2.0 * min(inside(obstacles, 1.0), 4)


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move numbers as little as possible so that they stand `gap` apart between `low` and `high`, order kept."""
    order = np.argsort(values, kind="stable")
    blocks: list[list[float]] = []  # each: where its middle wants to be (sum), how many
    for k in order:
        blocks.append([float(values[k]), 1.0])
        while len(blocks) > 1 and _start(blocks[-1], gap, low, high) < _end(blocks[-2], gap, low, high) + gap - 1e-12:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    out = [0.0] * len(values)
    place = iter(order)
    for block in blocks:
        start = _start(block, gap, low, high)
        for n in range(int(block[1])):
            out[next(place)] = start + n * gap
    return out


def _start(block: list[float], gap: float, low: float, high: float) -> float:
    total, count = block
    length = (count - 1.0) * gap
    return max(low, min(total / count - 0.5 * length, high - length))


def _end(block: list[float], gap: float, low: float, high: float) -> float:
    return _start(block, gap, low, high) + (block[1] - 1.0) * gap
