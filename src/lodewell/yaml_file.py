"""YAML files, which people write: small, and free of aliases that multiply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lodewell.errors import BadFile
from lodewell.files import read_bytes

if TYPE_CHECKING:
    import yaml

LARGEST = 1_000_000  # bytes
MOST_NODES = 100_000  # values that a file may stand for, aliases written out
DEEPEST = 50


def read_yaml(path: str | Path) -> tuple[Any, yaml.Node | None]:
    """Return what a YAML file holds, and its tree of nodes, which know their lines; None for an empty file.

    Raises:
        BadFile: when it cannot be read, is no YAML, or stands for far more than it says.
    """
    import yaml

    try:
        text = read_bytes(path, LARGEST).decode("utf-8-sig")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if tree is not None and _written_out(tree, {}, 0) > MOST_NODES:
            raise BadFile(f"{path}: its aliases stand for more than {MOST_NODES:,} values; write out what is meant")
        return yaml.safe_load(text), tree
    except BadFile:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise BadFile(f"{path}: this is not YAML ({' '.join(str(err).split())[:300]})") from err


def _written_out(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Count the values below a node, those of an alias each time it is used; raises `ValueError` for endless ones."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise ValueError("an alias that holds itself")
        return known[id(node)]
    if depth > DEEPEST:
        raise ValueError(f"values within values, more than {DEEPEST} deep")
    known[id(node)] = -1  # under way
    value: Any = node.value
    children = [part for item in value for part in (item if isinstance(item, tuple) else (item,))] if isinstance(
        value, list
    ) else []  # fmt: skip
    known[id(node)] = 1 + sum(_written_out(child, known, depth + 1) for child in children)
    return known[id(node)]
