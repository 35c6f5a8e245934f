"""What the runs of `predict/errors.py` say together: errors, paired differences, figures.

Differences are paired by structure: of each test crystal the error of one network is taken from that of the other (each
the mean over its seeds), and the crystals are drawn anew 10,000 times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import IMAGES, report
from lodewell.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, figure, save

ROWS = {"local": "local edges only", "published": "published", "exact": "published with exact sums",
        "near": "ours without sums", "plain": "ours without dropout", "ours": "ours"}  # fmt: skip
COLOURS = dict(zip(ROWS, (SKY, BLUE, ORANGE, GREEN, PURPLE, VERMILION), strict=True))
TARGETS = {"mp2018_formation_energy_per_atom": ("formation energy", "meV/atom", 1e3),
           "mp2018_band_gap": ("band gap", "eV", 1.0)}  # fmt: skip
PAIRS = (
    ("ours", "published"),
    ("ours", "exact"),
    ("ours", "near"),
    ("ours", "plain"),
    ("ours", "local"),
    ("near", "published"),
    ("plain", "published"),
    ("near", "local"),
    ("exact", "published"),
    ("published", "local"),
)
ANCHORS = "On the same test crystals, trained on 60,000: ALIGNN 23.2 and gradient-boosted trees 47.5 meV/atom."
RESAMPLES = 10_000
TOGETHER = ", seeds together"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """The runs of one network: `error_sk` of its S seeds on K structures, and of their mean prediction, per target."""

    runs: list[dict[str, Any]]
    predicted: dict[str, Floats]
    reference: dict[str, Floats]

    def error_sk(self, target: str) -> Floats:
        """Return the absolute errors; (S, K)."""
        return np.abs(self.predicted[target] - self.reference[target])

    def ensemble_k(self, target: str) -> Floats:
        """Return the absolute errors of the mean over the seeds; (K,)."""
        return np.abs(self.predicted[target].mean(0) - self.reference[target])

    def mean(self, key: str) -> float:
        """Return the mean over the runs of something that they measured."""
        return float(np.mean([run[key] for run in self.runs]))


def read_rows(out: Path) -> dict[str, Row]:
    """Read the runs in a folder, by row; all must be of the same test crystals and targets."""
    rows: dict[str, Row] = {}
    crystals: list[str] | None = None
    for name in ROWS:
        runs = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(out.glob(f"{name}-*.json"))
            if path.stem.rpartition("-")[2].isdigit()
        ]
        if not runs:
            continue
        for run in runs:
            crystals = crystals or run["crystals"]
            if run["crystals"] != crystals:
                raise SystemExit(f"{out}: {name}, seed {run['seed']} was tested on other crystals: remove it and rerun")
        predicted = {t: np.array([run["predicted"][t] for run in runs]) for t in TARGETS}
        rows[name] = Row(runs, predicted, {t: np.array(runs[0]["reference"][t]) for t in TARGETS})
    if not rows:
        raise SystemExit(f"{out}: no runs there; make some without --report")
    return rows


def paired_bootstrap(difference_k: Floats, seed: int = 0) -> tuple[float, float, float]:
    """Return the mean of paired differences and its interval of 95 %."""
    generator = np.random.default_rng(seed)
    count = len(difference_k)
    means = [difference_k[generator.integers(0, count, count)].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(difference_k.mean()), float(low), float(high)


def write_report(out: Path) -> None:
    """Write tables and figures of the runs in a folder."""
    rows = read_rows(out)
    settings: dict[str, list[str]] = {}
    for name, row in rows.items():
        run = row.runs[0]
        about = f"width {run['width']}, {run['epochs']} epochs, learning rate {run['lr']:g}"
        settings.setdefault(about, []).append(ROWS[name])
    test = len(next(iter(rows.values())).runs[0]["crystals"])
    train = next(iter(rows.values())).runs[0]["train"]
    write_errors(
        rows,
        f"{train:,} training, {test:,} test crystals of the 2018 split; "
        + "; ".join(f"{about}: {', '.join(names)}" for about, names in settings.items()),
    )
    write_differences(rows)
    draw_parity(rows, IMAGES / "predict-parity.png")
    draw_cost(rows, IMAGES / "predict-cost.png")


def write_errors(rows: dict[str, Row], what: str) -> None:
    """Write errors and cost of each network."""
    columns = ["network"]
    for name, unit, _ in TARGETS.values():
        columns += [f"{name}, {unit}", "together"]
    cells = []
    for name, row in rows.items():
        line: list[object] = [ROWS[name]]
        for target, (_, _, scale) in TARGETS.items():
            mae_s = scale * row.error_sk(target).mean(1)
            spread = f" ± {mae_s.std(ddof=1):.2g}" if len(mae_s) > 1 else ""
            line += [f"{mae_s.mean():.3g}{spread}", f"{scale * row.ensemble_k(target).mean():.3g}"]
        cells.append([*line, len(row.runs), int(row.mean("parameters")), f"{row.mean('cpu_seconds') / 60:.3g}",
                      f"{row.mean('crystals_per_second'):.3g}"])  # fmt: skip
    report(
        "predict_errors",
        "Formation energy and band gap of unseen crystals",
        [*columns, "seeds", "parameters", "training, CPU min", "crystals/s in training"],
        cells,
        f"MAE ± standard deviation over seeds, and of the mean of the seeds ('together'). {what}; both properties by "
        f"one network. {ANCHORS}",
    )


def write_differences(rows: dict[str, Row]) -> None:
    """Write the paired differences between networks."""
    cells, found = [], {}
    for a, b in PAIRS:
        if a not in rows or b not in rows:
            continue
        line = [f"{ROWS[a]} − {ROWS[b]}"]
        for target, (name, _, scale) in TARGETS.items():
            for what in ("", TOGETHER):
                error_k = {
                    row: rows[row].ensemble_k(target) if what else rows[row].error_sk(target).mean(0) for row in (a, b)
                }
                mean, low, high = paired_bootstrap(scale * (error_k[a] - error_k[b]))
                found[f"{a} - {b}, {name}{what}"] = (mean, low, high)
                line.append(f"{mean:+.3g} [{low:+.3g}, {high:+.3g}]".replace("-", "−"))
        cells.append(line)
    report(
        "predict_differences",
        "Is one network better than another?",
        [
            "mean difference of absolute errors",
            *(f"{name}{what}, {unit}" for name, unit, _ in TARGETS.values() for what in ("", TOGETHER)),
        ],
        cells,
        f"In brackets the interval of 95 %: paired bootstrap over structures, {RESAMPLES:,} resamples; negative: the "
        "first is better. Errors of single networks, averaged over their seeds, and of the seeds together.",
        differences=found,
    )


def draw_parity(rows: dict[str, Row], path: Path) -> None:
    """Draw predicted against reference of the published network and ours, each the mean of its seeds."""
    shown = [name for name in ("published", "ours") if name in rows]
    with figure(4.2 * len(TARGETS), 4.0 * len(shown)) as drawn:
        panels = drawn.subplots(len(shown), len(TARGETS), squeeze=False)
        for line, name in zip(panels, shown, strict=True):
            for axes, (target, (quantity, unit, scale)) in zip(line, TARGETS.items(), strict=True):
                x, y = rows[name].reference[target], rows[name].predicted[target].mean(0)
                ends = [min(x.min(), y.min()), max(x.max(), y.max())]
                axes.plot(ends, ends, color=GREY, lw=0.8, zorder=1)
                axes.scatter(x, y, s=6, color=COLOURS[name], alpha=0.5, linewidths=0, zorder=2)
                axes.set(
                    title=f"{ROWS[name].capitalize()}: {quantity}",
                    xlabel=f"reference ({unit.removeprefix('m')})",
                    ylabel=f"predicted ({unit.removeprefix('m')})",
                )
                axes.text(
                    0.05, 0.95, f"MAE {scale * np.abs(y - x).mean():.3g} {unit}", transform=axes.transAxes, va="top"
                )
        save(drawn, path)


def draw_cost(rows: dict[str, Row], path: Path) -> None:
    """Draw errors against what the training took."""
    with figure(4.6 * len(TARGETS), 3.8) as drawn:
        for axes, (target, (quantity, unit, scale)) in zip(
            drawn.subplots(1, len(TARGETS)), TARGETS.items(), strict=True
        ):
            for name, row in rows.items():
                mae_s, cost = scale * row.error_sk(target).mean(1), row.mean("cpu_seconds") / 60
                spread = mae_s.std(ddof=1) if len(mae_s) > 1 else 0.0
                axes.errorbar([cost], [mae_s.mean()], yerr=[spread], fmt="o", color=COLOURS[name], capsize=3, ms=6,
                              label=ROWS[name])  # fmt: skip
                together = scale * row.ensemble_k(target).mean()
                axes.plot([cost], [together], marker="D", ms=5, mfc="white", color=COLOURS[name])
            axes.set(
                title=quantity.capitalize(), xlabel="training of one network (CPU minutes)", ylabel=f"MAE ({unit})"
            )
            axes.set(xlim=(0, 1.15 * axes.get_xlim()[1]))
            axes.set_title(
                "dots: one; diamonds: mean of the seeds", loc="right", fontsize=8, fontweight="normal", color=GREY
            )
        drawn.axes[0].legend(loc="center", bbox_to_anchor=(0.6, 0.45))
        save(drawn, path)
