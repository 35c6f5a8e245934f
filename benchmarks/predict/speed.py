"""How fast features, training and prediction are; a part of `predict/errors.py`."""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import busy, report, run_command, stopwatch
from lodewell.predict.architecture import Architecture, Arrays, collate

PREDICTED = 10_000
PROPERTIES = ["formation_energy_per_atom", "mp2018_formation_energy_per_atom"]  # each crystal has one
SAMPLE, BATCH = 2_048, 64


def write_speed(args: argparse.Namespace) -> None:
    """Measure and report."""
    from benchmarks.predict.errors import network
    from benchmarks.predict.report import ROWS
    from lodewell.predict.train.dataset import read_dataset
    from lodewell.record import Run

    torch.set_num_threads(1)
    rows: list[list[Any]] = []
    for row in args.rows:
        architecture = network(row, args.width)
        with tempfile.TemporaryDirectory() as cache:
            # Compiled once before, so that every clock runs on work alone.
            subset(args.data, Path(cache) / "few.extxyz", 200)
            read_dataset(Path(cache) / "few.extxyz", PROPERTIES, architecture, cache=Path(cache))
            with stopwatch() as measured, Run("train", workers=2) as run:
                dataset = read_dataset(args.data, PROPERTIES, architecture, cache=Path(cache), run=run)
            crystals = dataset.crystals(list(range(0, len(dataset.ids), max(1, len(dataset.ids) // SAMPLE))))
            parameters, rate = training_rate(architecture, crystals)
            rows.append([ROWS[row], architecture.settings["width"], parameters, len(dataset.ids), measured["seconds"],
                         rate])  # fmt: skip
    seconds, cpu = prediction(args.data)
    report(
        "predict_speed",
        "Speed of property prediction",
        [
            "network",
            "width",
            "parameters",
            "crystals",
            "features on 2 workers, s",
            "training, crystals/CPU s",
        ],
        rows,
        f"Features with reading and writing of the cache. Training: batches of {BATCH} from features in memory, one "
        f"thread, AdamW. `lodewell predict` of {PREDICTED:,} crystals in one file on 2 workers, from the start of the "
        f"process on: {PREDICTED / seconds:.0f} crystals/s on the wall, {PREDICTED / cpu:.0f} a CPU second. {busy()}",
        predict={"crystals": PREDICTED, "seconds": seconds, "cpu_seconds": cpu},
    )


def training_rate(architecture: Architecture, crystals: list[Arrays], least: float = 10.0) -> tuple[int, float]:
    """Return parameters, and crystals a CPU second in training, over whole passes of at least some seconds."""
    module = architecture.module(2).train()
    optimiser = torch.optim.AdamW(module.parameters(), 1e-3, fused=True)

    def step(part: list[Arrays]) -> None:
        batch = {name: torch.from_numpy(array) for name, array in collate(architecture.fields, part).items()}
        optimiser.zero_grad()
        module(batch).square().mean().backward()
        optimiser.step()

    parts = [crystals[k : k + BATCH] for k in range(0, len(crystals), BATCH)]
    step(parts[0])
    start, passes = time.process_time(), 0
    while time.process_time() - start < least:
        for part in parts:
            step(part)
        passes += 1
    rate = passes * len(crystals) / (time.process_time() - start)
    return sum(p.numel() for p in module.parameters()), rate


def subset(source: Path, target: Path, count: int) -> None:
    """Copy the first crystals of a compressed extended XYZ file."""
    with gzip.open(source, "rt", encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
        for _ in range(count):
            head = next(lines, "")
            out.writelines([head, *islice(lines, int(head or 0) + 1)])


def prediction(source: Path) -> tuple[float, float]:
    """Return wall and CPU seconds of the command that predicts crystals of a file."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few.extxyz", Path(folder) / "many.extxyz"
        subset(source, few, 20)
        subset(source, many, PREDICTED)
        command = [sys.executable, "-m", "lodewell.cli", "predict", "--json", "--workers", "2"]
        run_command([*command, str(few)])
        measured = run_command([*command, str(many)])
    if measured["returncode"]:
        raise SystemExit(measured["output"][-2000:])
    return measured["seconds"], measured["cpu_seconds"]
