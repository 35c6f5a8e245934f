"""Networks on the 2018 split of the Materials Project: near edges alone, the published network, its sums exact, ours.

`python -m benchmarks.predict.errors FOLDER [--rows ours published] [--seeds 0 1 2] [--epochs 100] [--width 64]` trains
what is asked for and not yet in the folder, one JSON a row and seed: several processes can share the work, each with
rows or seeds of its own, and a stopped one goes on where it was. `--report` then writes tables and figures of all that
is there; `--speed` measures features, training and prediction instead.

Formation energy and band gap are learnt together, the gap at weight 0.3, by every network alike: same batches of 64,
same rates, same moving average of the weights, Huber loss.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.harness import DATA, machine, one_thread, stopwatch

one_thread()

import numpy as np  # noqa: E402

from benchmarks.predict.report import ROWS, TARGETS, write_report  # noqa: E402
from lodewell.errors import BadFile  # noqa: E402
from lodewell.files import atomic_path  # noqa: E402
from lodewell.predict.architecture import Architecture, make_architecture  # noqa: E402

CRYSTALS = DATA / "properties" / "mp.extxyz.gz"
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "local": ("published", {"sums": "none"}),
    "published": ("published", {"sums": "published"}),
    "exact": ("published", {"sums": "exact"}),
    "near": ("invariant", {"charges": 0}),
    "plain": ("invariant", {"dropout": 0.0}),
    "ours": ("invariant", {}),
}
WEIGHTS = dict(zip(TARGETS, (1.0, 0.3), strict=True))
BATCH = 64


def network(row: str, width: int | None) -> Architecture:
    """Make the network of a row; without a width, of its own."""
    name, settings = NETWORKS[row]
    return make_architecture(name, settings | ({"width": width} if width else {}))


def run(row: str, seed: int, args: argparse.Namespace) -> None:
    """Train one network, test it, and write what it says."""
    from lodewell.predict.process import keep_memory
    from lodewell.predict.train.dataset import read_dataset
    from lodewell.predict.train.options import TrainOptions
    from lodewell.predict.train.run import fit
    from lodewell.record import Run

    keep_memory()
    architecture = network(row, args.width)
    with Run("train", workers=args.workers) as features:
        dataset = read_dataset(
            args.data, list(TARGETS), architecture, split="mp2018_split", cache=args.folder / "cache", run=features
        )
    options = TrainOptions(
        properties=tuple(TARGETS), weights=WEIGHTS, epochs=args.epochs, batch_size=BATCH, members=1, seed=seed,
        lr=args.lr, device=args.device,
    )  # fmt: skip
    spent = args.folder / f"{row}-{seed}-seconds.json"  # of the runs that were stopped
    before = json.loads(spent.read_text(encoding="utf-8")) if spent.exists() else [0.0, 0.0]
    measured: dict[str, float] = {}
    try:
        with stopwatch() as measured:
            model = fit(dataset, architecture, options, args.folder / f"{row}-{seed}")
    finally:
        seconds, cpu_seconds = before[0] + measured["seconds"], before[1] + measured["cpu_seconds"]
        spent.write_text(json.dumps([seconds, cpu_seconds]), encoding="utf-8")
    test, train = dataset.part("test"), dataset.part("train")
    parts = [model.evaluate(dataset.crystals(test[k : k + 256]))[0][0] for k in range(0, len(test), 256)]
    predicted_bt, reference_bt = np.concatenate(parts), dataset.values_bt[test]
    result = {
        "row": row, "seed": seed, "epochs": args.epochs, "lr": args.lr, "batch": BATCH,
        "width": architecture.settings["width"],
        "settings": architecture.settings, "weights": WEIGHTS, "parameters": model.parameters, "train": len(train),
        "seconds": seconds, "cpu_seconds": cpu_seconds, "crystals_per_second": args.epochs * len(train) / cpu_seconds,
        "crystals": [dataset.ids[b] for b in test],
        "predicted": {name: predicted_bt[:, t].tolist() for t, name in enumerate(TARGETS)},
        "reference": {name: reference_bt[:, t].tolist() for t, name in enumerate(TARGETS)},
        "machine": machine(),
    }  # fmt: skip
    for (name, unit, scale), mae in zip(TARGETS.values(), np.abs(predicted_bt - reference_bt).mean(0), strict=True):
        print(f"{row}, seed {seed}: {name} {scale * mae:.4g} {unit}", flush=True)
    with atomic_path(result_of(row, seed, args)) as temporary:
        Path(temporary).write_text(json.dumps(result), encoding="utf-8")


def result_of(row: str, seed: int, args: argparse.Namespace) -> Path:
    """Return where a run's result stands."""
    path: Path = args.folder / f"{row}-{seed}.json"
    return path


def is_done(row: str, seed: int, args: argparse.Namespace) -> bool:
    """Say whether a run is there already; one with other settings is refused."""
    path = result_of(row, seed, args)
    if not path.exists():
        return False
    kept = json.loads(path.read_text(encoding="utf-8"))
    wanted = (args.epochs, args.lr, network(row, args.width).settings)
    if (kept["epochs"], kept["lr"], kept["settings"]) != wanted:
        raise BadFile(
            f"{path}: of {kept['epochs']} epochs, lr {kept['lr']}, {kept['settings']}; remove it or use another folder"
        )
    return True


def main() -> None:
    """Train, report or measure speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="where runs and features are kept")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--width", type=int, help="width of the states; each network's own if not given")
    parser.add_argument("--lr", type=float, default=3e-3, help="largest learning rate, the same for every row")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes that compute features")
    parser.add_argument("--data", type=Path, default=CRYSTALS)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--speed", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.speed:
        from benchmarks.predict.speed import write_speed

        write_speed(args)
    elif args.report:
        write_report(args.folder)
    else:
        for seed in args.seeds:
            for row in args.rows:
                if not is_done(row, seed, args):
                    run(row, seed, args)


if __name__ == "__main__":
    main()
