"""Files made bad at random, thousands of them, through every reader: what escapes, what takes long, what takes memory.

Whatever a file holds, a reader may raise `LodewellError` and nothing else, within ten seconds and half a gigabyte. Each
try runs in a child process with limits of its own, so that one that ends it is known by its number. A change follows
from kind, seed and number alone: `--replay KIND SEED NUMBER` writes the file and reads it here.

    python -m benchmarks.fuzz.run --seconds 600 --keep failures
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.fuzz.changes import changed
from benchmarks.fuzz.seeds import Kind, kinds
from benchmarks.harness import one_thread, report
from lodewell.errors import LodewellError

SECONDS, BYTES = 10.0, 500_000_000  # what reading one small file may take
ROOM = 4 << 30  # of address space beyond what the child has, before an allocation fails


@dataclass
class Count:
    """What came of the tries of one kind."""

    tries: int = 0
    refused: int = 0
    escapes: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    memory: int = 0
    seconds: float = 0.0


def file_of(kind: str, what: Kind, seed: int, number: int) -> bytes:
    """Return the bad file of a number."""
    rng = random.Random(f"{kind} {seed} {number}")
    return changed(rng, rng.choice(what.seeds))


def attempt(what: Kind, content: bytes, folder: Path) -> tuple[str, str, float, int]:
    """Read one file; return how it ended (`read`, `refused`, or the kind of what escaped), where, seconds, bytes."""
    path = folder / what.name
    path.write_bytes(content)
    _reset_peak()
    before, began, where, how = _peak(), time.perf_counter(), "", "read"
    signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            what.read(path)
    except LodewellError:
        how = "refused"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        how, where = type(error).__name__, f"{Path(last.filename).name}:{last.lineno} {str(error)[:80]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
    seconds, taken = time.perf_counter() - began, max(0, _peak() - before)
    if how in ("read", "refused") and (seconds > SECONDS or taken > BYTES):
        how, where = "cost", f"{seconds:.0f} s, {taken / 1e6:.0f} MB"
    for left in folder.iterdir():
        left.unlink()
    return how, where, seconds, taken


def _reset_peak() -> None:
    gc.collect(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Return the largest memory that this process has held since the last reset."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return 1024 * int(found[1]) if found else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(pipe: Connection, all_kinds: dict[str, Kind], seed: int) -> None:
    """Work on what comes through the pipe, one (kind, number) at a time."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))

    def stop(*_: Any) -> None:
        raise TimeoutError("it takes too long")

    signal.signal(signal.SIGALRM, stop)
    with tempfile.TemporaryDirectory() as folder:
        while True:
            kind, number = pipe.recv()
            pipe.send(attempt(all_kinds[kind], file_of(kind, all_kinds[kind], seed, number), Path(folder)))


def run(all_kinds: dict[str, Kind], seed: int, seconds: float, keep: Path | None) -> dict[str, Count]:
    """Try kinds in turn until the time is over."""
    counts = {kind: Count() for kind in all_kinds}
    context = multiprocessing.get_context("fork")  # what was compiled here need not be compiled again
    ends = time.monotonic() + seconds
    process: Any = None
    number = 0
    while time.monotonic() < ends:
        for kind, what in all_kinds.items():
            if process is None:
                pipe, end = context.Pipe()
                process = context.Process(target=child, args=(end, all_kinds, seed), daemon=True)
                process.start()
                end.close()
            pipe.send((kind, number))
            try:
                how, where, spent, taken = pipe.recv() if pipe.poll(6 * SECONDS) else ("hang", "", 6 * SECONDS, 0)
            except EOFError:
                process.join()
                how, where, spent, taken = "killed", f"exit code {process.exitcode}", 0.0, 0
            if how in ("hang", "killed"):
                process.kill()
                process.join()
                process = None
            _count(counts[kind], how, where, spent, taken, number)
            if keep is not None and how not in ("read", "refused") and counts[kind].escapes[how] <= 3:
                keep.mkdir(parents=True, exist_ok=True)
                suffix = what.name.partition(".")[2] or what.name
                name = f"{kind.replace(' ', '-')}-{seed}-{number}.{suffix}"
                (keep / name).write_bytes(file_of(kind, what, seed, number))
        number += 1
    if process is not None:
        process.kill()
        process.join()
    return counts


def _count(count: Count, how: str, where: str, spent: float, taken: int, number: int) -> None:
    count.tries += 1
    count.memory, count.seconds = max(count.memory, taken), max(count.seconds, spent)
    count.refused += how == "refused"
    if how not in ("read", "refused"):
        count.escapes[how] += 1
        said = f"{how} at {where}"
        if said not in count.first:
            count.first[said] = number
            print(f"  number {number}: {said}", flush=True)


def main() -> None:
    """Run for a while and report, or replay one try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose names hold this")
    parser.add_argument("--keep", type=Path, help="folder for the files that escaped")
    parser.add_argument("--replay", nargs=3, metavar=("KIND", "SEED", "NUMBER"))
    given = parser.parse_args()
    one_thread()
    all_kinds = {name: what for name, what in kinds().items() if given.only in name}
    if given.replay:
        kind, seed, number = given.replay
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / all_kinds[kind].name
            path.write_bytes(file_of(kind, all_kinds[kind], int(seed), int(number)))
            Path(path.name).write_bytes(path.read_bytes())
            all_kinds[kind].read(path)
        return
    with tempfile.TemporaryDirectory() as folder:  # compiles, so that children need not
        for what in all_kinds.values():
            for good in what.seeds:
                (Path(folder) / what.name).write_bytes(good)
                what.read(Path(folder) / what.name)
                (Path(folder) / what.name).unlink()
    counts = run(all_kinds, given.seed, given.seconds, given.keep)
    rows = [
        [
            kind,
            f"{c.tries:,}",
            f"{c.refused:,}",
            str(c.escapes.total()),
            f"{c.memory / 1e6:.0f} MB",
            f"{c.seconds:.2f} s",
        ]
        for kind, c in counts.items()
    ]
    total = [f"{sum(c.tries for c in counts.values()):,}", f"{sum(c.refused for c in counts.values()):,}",
             str(sum(c.escapes.total() for c in counts.values())),
             f"{max(c.memory for c in counts.values()) / 1e6:.0f} MB",
             f"{max(c.seconds for c in counts.values()):.2f} s"]  # fmt: skip
    report(
        "fuzz", "Files made bad at random",
        ["reader", "tries", "refused whole", "escapes", "most memory", "longest"], [*rows, ["all", *total]],
        f"Seed {given.seed}, {given.seconds:.0f} s. Refused whole: the file as such; a bad crystal or frame costs its "
        "row only and counts as read.",
    )  # fmt: skip
    print(json.dumps({kind: c.first for kind, c in counts.items() if c.first}, indent=1))
    sys.exit(1 if any(c.escapes for c in counts.values()) else 0)


if __name__ == "__main__":
    main()
