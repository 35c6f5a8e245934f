"""Changes that make a good file a bad one: bytes, words, lines, and the values inside JSON and zipped arrays."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
import zlib
from typing import Any

import numpy as np

WORDS = (
    b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"1e-320", b"99999999999999999999", b"200000000", b"1_000", b"",
    b"\x00", b"\xff\xfe", b"\xe9", b"[/b]", b"[red]", b"{}", b"[]", b"'", b'"', b"\\", b"?", b".", b"loop_", b"data_",
    b"null", b"true", b"\r", b"\n\n", b" " * 300, b"-" * 50, b"((((((((", b"*a", b"&a", b"<<: *a", b"%d", b"$x$", b"=",
    b"[" * 3000, b"9" * 5000,
    "²".encode(), "Ａ".encode(), "\u202e".encode(), b"Xx", b"D", b"1.0(3)", b"1/3", b"2.0 2.0 2.0", b"1:2:3",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2, 1e308, -1e308, 1e-320, float("nan"), float("inf"), 10**30, "", "x", "nan", [], [1], [[]], {},
    {"a": 1}, [None] * 3, "Xx", 200_000_000, 1.5, -0.0,
)  # fmt: skip


def changed(rng: random.Random, good: bytes) -> bytes:
    """Return a file with one to four changes, most of them small."""
    raw = good
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        raw = _change(rng, raw)
    return raw


def _change(rng: random.Random, raw: bytes) -> bytes:
    inside = rng.random() < 0.7
    if raw[:2] == b"PK" and inside:
        return _zip(rng, raw) or _text(rng, raw)
    if raw[:2] == b"\x1f\x8b" and inside:
        try:
            return gzip.compress(_text(rng, gzip.decompress(raw)))
        except (OSError, EOFError, zlib.error):
            return _text(rng, raw)
    if raw[:1] in (b"{", b"[") and inside:
        return _json(rng, raw) or _text(rng, raw)
    return _text(rng, raw)


def _json(rng: random.Random, raw: bytes) -> bytes | None:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    places: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        here = waiting.pop()
        keys: Any = here.keys() if isinstance(here, dict) else range(len(here))
        for key in keys:
            places.append((here, key))
            if isinstance(here[key], dict | list):
                waiting.append(here[key])
    if not places:
        return None
    parent, key = rng.choice(places)
    how = rng.random()
    if how < 0.25 and isinstance(parent, dict):
        del parent[key]
    elif how < 0.35:
        other, there = rng.choice(places)
        parent[key] = json.loads(json.dumps(other[there])) if there in other or isinstance(other, list) else None
    else:
        parent[key] = rng.choice(VALUES)
    return json.dumps(content).encode()


def _zip(rng: random.Random, raw: bytes) -> bytes | None:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as z:
            entries = {name: z.read(name) for name in z.namelist()}
    except Exception:  # an earlier change broke it
        return None
    if not entries:
        return None
    name = rng.choice(sorted(entries))
    if rng.random() < 0.05:
        del entries[name]
    elif name.endswith(".npy") and rng.random() < 0.7:
        entries[name] = _array(rng, entries[name])
    else:
        entries[name] = _json(rng, entries[name]) or _text(rng, entries[name])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as z:
        for entry, content in entries.items():
            z.writestr(entry, content)
    return out.getvalue()


def _array(rng: random.Random, raw: bytes) -> bytes:
    """Change numbers, the shape, or the type of an array."""
    try:
        array = np.load(io.BytesIO(raw), allow_pickle=False)
    except Exception:  # an earlier change broke it
        return raw
    if array.dtype.kind not in "biuf":
        return _text(rng, raw)
    how = rng.random()
    with np.errstate(all="ignore"):
        if how < 0.5 and array.size:
            flat = array.copy().ravel()
            value = rng.choice((np.nan, np.inf, -1.0, 0.0, 1e30, 1e-30, 300.0, 7.5))
            flat[rng.randrange(len(flat))] = np.array(value).astype(array.dtype)
            array = flat.reshape(array.shape)
        elif how < 0.7 and len(array.shape):
            array = array[: rng.randrange(len(array) + 1)]
        elif how < 0.8:
            array = array.ravel() if rng.random() < 0.5 else array[None]
        elif how < 0.9:
            array = array.astype(rng.choice(("<f4", ">f8", "<i8", "|b1", "<U3", "<c16")))
        else:
            array = np.concatenate([array, array]) if array.ndim else array
    out = io.BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


def _text(rng: random.Random, raw: bytes) -> bytes:
    """Change bytes, words and lines, whatever they mean."""
    if not raw:
        return rng.choice(WORDS)
    at, size = rng.randrange(len(raw)), rng.choice((1, 2, 8, 40, 400))
    how = rng.randrange(11)
    if how == 0:
        return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
    if how == 1:
        return raw[:at] + raw[at + size :]
    if how == 2:
        return raw[:at] + raw[at : at + size] * rng.choice((2, 3, 50)) + raw[at + size :]
    if how == 3:
        return raw[:at] + rng.choice(WORDS) + raw[at:]
    if how == 4:
        return raw[:at]
    if how == 5:
        return raw[:at] + rng.randbytes(min(size, 40)) + raw[at + size :]
    if how == 6:
        lines = raw.split(b"\n")
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        return b"\n".join(lines)
    if how == 7:
        lines = raw.split(b"\n")
        del lines[rng.randrange(len(lines))]
        return b"\n".join(lines)
    words = raw.split(b" ")
    place = rng.randrange(len(words))
    words[place] = rng.choice(WORDS) if how < 10 else rng.choice(words)
    return b" ".join(words)
