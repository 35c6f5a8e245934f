"""The acceleration benchmark's distribution of steps, time, failures and final energies, wins and losses alike."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness

Row = dict[str, Any]
STARTS = ("raw", "push", "spp")
TOLERANCE = 5.0  # meV/atom


def _rows(folder: Path) -> list[Row]:
    from benchmarks.acceleration.steps import CAP, rows_of

    return [_cut(r, CAP[r["engine"]]) for e in CAP for r in rows_of(folder / f"{e}.jsonl")]


def _cut(row: Row, cap: int) -> Row:
    """Judge a run that was allowed more steps as if it had been stopped at the same cap as all others."""
    if row["status"] == "failed" or row["steps"] <= cap + 1:
        return row
    share = (cap + 1) / row["steps"]
    return row | {"status": "capped", "steps": cap + 1, "cap": cap, "cpu_s": round(share * row["cpu_s"], 2),
                  "energy_per_atom": row["energies_per_atom"][cap],
                  "energies_per_atom": row["energies_per_atom"][: cap + 1]}  # fmt: skip


def _quartiles(values: list[float]) -> dict[str, float | int]:
    """Count, quartiles and extremes."""
    if not values:
        return {"count": 0}
    low, middle, high = np.percentile(values, (25, 50, 75))
    return {"count": len(values), "min": min(values), "q1": round(float(low), 3), "median": round(float(middle), 3),
            "q3": round(float(high), 3), "max": max(values)}  # fmt: skip


def _steps_to(row: Row, energy: float) -> int | None:
    """Return the number of evaluations after which the energy stays at or below `energy` (eV/atom)."""
    below = [e <= energy for e in row["energies_per_atom"]]
    for n in range(len(below)):
        if all(below[n:]):
            return n + 1
    return None


def pair(raw: Row, other: Row) -> Row:
    """Compare one candidate's two starts; a capped run counts as its cap, and `bound` says which way that errs."""
    out: Row = {k: raw[k] for k in ("id", "system", "kind", "formula", "atoms", "engine")}
    out |= {"raw_status": raw["status"], "status": other["status"], "raw_steps": raw["steps"], "steps": other["steps"]}
    out |= {"raw_cpu_s": raw["cpu_s"], "cpu_s": round(other["cpu_s"] + other["start_s"], 2)}
    if "failed" in (raw["status"], other["status"]):
        return out | {"ratio": None, "energy_difference_meV": None, "bound": "failed"}
    capped = (raw["status"] == "capped", other["status"] == "capped")
    out["bound"] = {(False, False): "exact", (True, False): "at least", (False, True): "at most"}.get(
        capped, "both capped"
    )
    out["ratio"] = round(raw["steps"] / other["steps"], 3)
    out["cpu_ratio"] = round(raw["cpu_s"] / (other["cpu_s"] + other["start_s"]), 3)
    out["energy_difference_meV"] = round(1e3 * (other["energy_per_atom"] - raw["energy_per_atom"]), 1)
    # The same goal for both: the energy the raw start ended at, within the tolerance.
    goal = raw["energy_per_atom"] + TOLERANCE / 1e3
    out["raw_steps_to_goal"], out["steps_to_goal"] = _steps_to(raw, goal), _steps_to(other, goal)
    return out


def summarise(pairs: list[Row]) -> Row:
    """Count wins and losses of one start against raw."""
    known = [p for p in pairs if p["ratio"] is not None]
    differences = [p["energy_difference_meV"] for p in known]
    return {
        "pairs": len(pairs),
        "failed": len(pairs) - len(known),
        "ratio_all_capped_as_cap": _quartiles([p["ratio"] for p in known]),
        "ratio_where_both_converged": _quartiles([p["ratio"] for p in known if p["bound"] == "exact"]),
        "cpu_ratio": _quartiles([p["cpu_ratio"] for p in known]),
        "bounds": {b: sum(p["bound"] == b for p in known) for b in ("exact", "at least", "at most", "both capped")},
        "fewer_steps": sum(p["ratio"] > 1 and p["bound"] != "both capped" for p in known),
        "more_steps": sum(p["ratio"] < 1 and p["bound"] != "both capped" for p in known),
        "energy_difference_meV": _quartiles(differences),
        "no_more_than_5_meV_above": sum(d <= TOLERANCE for d in differences),
        "more_than_5_meV_above": sum(d > TOLERANCE for d in differences),
        "more_than_5_meV_below": sum(d < -TOLERANCE for d in differences),
        "ratio_where_energy_no_worse": _quartiles(
            [p["ratio"] for p in known if p["energy_difference_meV"] <= TOLERANCE]
        ),
        "goal_reached": sum(p["steps_to_goal"] is not None for p in known),
        "ratio_to_goal": _quartiles([p["raw_steps_to_goal"] / p["steps_to_goal"] for p in known if p["steps_to_goal"]]),
    }  # fmt: skip


def _print_starts(name: str, rows: list[Row]) -> Row:
    out = {}
    for start in STARTS:
        mine = [r for r in rows if r["start"] == start]
        if not mine:
            continue
        steps = _quartiles([r["steps"] for r in mine if r["status"] != "failed"])
        status = {s: sum(r["status"] == s for r in mine) for s in ("converged", "capped", "failed")}
        cpu = [r["cpu_s"] for r in mine]
        middle = float(np.median(cpu))
        out[start] = {
            "steps": steps,
            "status": status,
            "cpu_s": round(sum(cpu), 1),
            "cpu_s_median": middle,
        }
        three = f"{steps['q1']:.0f} / {steps['median']:.0f} / {steps['q3']:.0f}" if steps["count"] else "-"
        print(f"{name:9} {start:5} {len(mine):3} runs  steps {three:>16}  converged {status['converged']:2} "
              f"capped {status['capped']:2} failed {status['failed']:2}  median {middle:6.0f} s CPU")  # fmt: skip
    return out


def _print_pairs(start: str, pairs: list[Row]) -> None:
    print(f"\n{start} against raw, candidate by candidate")
    print("candidate   kind         formula     atoms   raw -> steps   ratio            dE meV/atom  to raw + 5 meV")
    for p in pairs:
        ratio = "failed" if p["ratio"] is None else f"{p['ratio']:.2f} {'' if p['bound'] == 'exact' else p['bound']}"
        energy = "-" if p["ratio"] is None else f"{p['energy_difference_meV']:+9.1f}"
        goal = "" if p["ratio"] is None else f"{p['raw_steps_to_goal']} -> {p['steps_to_goal'] or 'never'}"
        print(f"{p['id']:11} {p['kind']:12} {p['formula']:11} {p['atoms']:5} {p['raw_steps']:5} -> {p['steps']:5}   "
              f"{ratio:16} {energy:>11}  {goal}")  # fmt: skip


def _print_summary(name: str, s: Row) -> None:
    ratio, energy = s["ratio_all_capped_as_cap"], s["energy_difference_meV"]
    if ratio["count"]:
        print(f"  {name:18} median ratio {ratio['median']:.2f} (quartiles {ratio['q1']:.2f}, {ratio['q3']:.2f}); "
              f"fewer steps {s['fewer_steps']}, more {s['more_steps']}; no more than 5 meV/atom above "
              f"{s['no_more_than_5_meV_above']} of {s['pairs']}; median dE {energy['median']:+.1f}")  # fmt: skip


def figure(path: Path, pairs: list[Row]) -> None:
    """Draw steps raw to spp, a line a candidate, and the final-energy differences."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    colours = {"Li-P-O": "#0072b2", "Li-P-S": "#d55e00", "Li-M-O": "#009e73", "DFT": "#555555"}
    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    known = [p for p in pairs if p["ratio"] is not None]
    for p in known:
        fill = ["full" if s == "converged" else "none" for s in (p["raw_status"], p["status"])]
        colour = colours[p["system"]]
        left.plot([0, 1], [p["raw_steps"], p["steps"]], "-", color=colour, alpha=0.6, lw=1.2)
        for x, y, f in zip((0, 1), (p["raw_steps"], p["steps"]), fill, strict=True):
            left.plot(x, y, "o", color=colour, fillstyle=f, ms=5)
    left.set(yscale="log", xticks=[0, 1], xticklabels=["raw", "spp first"], xlim=(-0.3, 1.3))
    left.set(ylabel="reference evaluations", title="Steps to convergence (open: cut at the cap)")  # fmt: skip
    left.set_yticks([10, 15, 20, 30, 40, 60], labels=["10", "15", "20", "30", "40", "60"])
    left.minorticks_off()
    difference = [p["energy_difference_meV"] for p in known]
    right.bar(range(len(known)), difference, color=[colours[p["system"]] for p in known])
    right.axhspan(-TOLERANCE, TOLERANCE, color="0.85", zorder=0)
    right.set_yscale("symlog", linthresh=10)
    right.set_yticks([-100, -10, -5, 0, 5, 10, 100], labels=["-100", "-10", "-5", "0", "5", "10", "100"])
    right.minorticks_off()
    right.set_xticks(range(len(known)), [p["id"] for p in known], rotation=90, fontsize=7)
    right.set(ylabel="final energy, spp first minus raw (meV/atom)", title="Final energies (grey: ±5 meV/atom)")
    for name, colour in colours.items():
        if any(p["system"] == name for p in known):
            left.plot([], [], "o-", color=colour, label="DFT cells" if name == "DFT" else name)
    left.legend(frameon=False, loc="lower center", fontsize=8)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def report(folder: Path) -> None:
    """Print the tables; write summary.json beside the ledgers, acceleration.json and acceleration.png one folder up."""
    rows = _rows(folder)
    by_key = {(r["id"], r["start"]): r for r in rows}
    rows = list(by_key.values())
    out: Row = {"machine": platform.processor() or platform.machine(), "threads": 1, "starts": {}, "against_raw": {}}
    groups = [*dict.fromkeys(r["system"] for r in rows if r["engine"] == "xtb"), "all xTB", "DFT"]
    for name in groups:
        mine = [r for r in rows if name in (r["system"], "all xTB" if r["engine"] == "xtb" else "")]
        if mine:
            out["starts"][name] = _print_starts(name, mine)
    for start in ("push", "spp"):
        pairs = [pair(by_key[i, "raw"], r) for (i, s), r in by_key.items() if s == start and (i, "raw") in by_key]
        pairs.sort(key=lambda p: (p["engine"] == "dft", p["system"], int(p["id"].rsplit("-", 1)[1])))
        if not pairs:
            continue
        _print_pairs(start, pairs)
        table = out["against_raw"][start] = {}
        for name in groups:
            mine = [p for p in pairs if name in (p["system"], "all xTB" if p["engine"] == "xtb" else "")]
            for kind in ("", "perturbed") if name == "all xTB" else ("",):
                chosen = [p for p in mine if kind in ("", p["kind"])]
                if chosen:
                    s = table[f"{name} {kind}".strip()] = summarise(chosen)
                    _print_summary(f"{name} {kind}".strip(), s)
        table["candidates"] = pairs
        if start == "spp":
            figure(folder.parent / "acceleration.png", pairs)
    failures = [r for r in rows if r["status"] == "failed"]
    print(f"\nfailures of the reference method: {len(failures)}")
    for r in failures:
        print(f"  {r['id']} from {r['start']} after {r['steps']} steps: {r['message']}")
    out["failures"] = [{k: r[k] for k in ("id", "start", "steps", "message")} for r in failures]
    (folder / "summary.json").write_text(json.dumps(out, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _table(out["against_raw"].get("spp", {}).get("candidates", []), rows)


def _table(pairs: list[Row], rows: list[Row]) -> None:
    """Write the table of README and documentation: every pair measured, and how many are still missing."""
    lines = [
        [
            f"{p['formula']} ({p['id']}, {p['engine']}, {p['kind']})",
            f"{p['raw_steps']}{'+' if p['raw_status'] == 'capped' else ''}",
            f"{p['steps']}{'+' if p['status'] == 'capped' else ''}",
            "-" if p["ratio"] is None else f"{p['ratio']:.2f}",
            "-" if p["ratio"] is None else f"{p['energy_difference_meV']:+.1f}",
        ]
        for p in pairs
    ]
    for engine in ("xtb", "dft"):
        known = [p for p in pairs if p["engine"] == engine and p["ratio"] is not None]
        if known:
            ratio = float(np.median([p["ratio"] for p in known]))
            energy = float(np.median([p["energy_difference_meV"] for p in known]))
            lines.append([f"median of {len(known)} ({engine})", "", "", f"{ratio:.2f}", f"{energy:+.1f}"])
    done = {start: sum(r["start"] == start and r["engine"] == "xtb" for r in rows) for r in rows for start in STARTS}
    harness.report(
        "acceleration",
        "Reference evaluations to relax a candidate: starting raw, and after `spp`",
        ["candidate", "raw", "after spp", "ratio", "final energy, spp less raw: meV/atom"],
        lines,
        f"Runs with GFN1-xTB so far, of 24 each: {done['raw']} raw, {done['spp']} spp, {done['push']} push-apart. "
        "A + marks a run that reached the cap of 61 evaluations (50 steps with DFT). The table of curves was derived "
        "without these formulas. Settings and their limits: benchmarks/results/acceleration/README.md.",
    )
