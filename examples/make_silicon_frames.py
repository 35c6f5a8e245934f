"""Take the frames of examples/silicon-frames from the silicon set of Zuo et al. (2020).

python examples/make_silicon_frames.py PATH/TO/mlearn     # a folder with Si-train.extxyz.gz and Si-test.extxyz.gz
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

OUT = Path(__file__).parent / "silicon-frames"
EVERY = {"train": 5, "test": 1}  # every fifth training frame, all of the test


def frames(text: str) -> list[str]:
    """Cut extended XYZ into frames, unchanged."""
    lines, out, at = text.splitlines(keepends=True), [], 0
    while at < len(lines):
        end = at + 2 + int(lines[at])
        out.append("".join(lines[at:end]))
        at = end
    return out


def main(source: Path) -> None:
    """Write both files; the same input gives the same bytes."""
    OUT.mkdir(exist_ok=True)
    for part, every in EVERY.items():
        with gzip.open(source / f"Si-{part}.extxyz.gz", "rt", encoding="utf-8") as handle:
            chosen = frames(handle.read())[::every]
        target = OUT / f"{part}.extxyz.gz"
        target.write_bytes(gzip.compress("".join(chosen).encode(), 9, mtime=0))
        print(f"{target}: {len(chosen)} frames, {target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
