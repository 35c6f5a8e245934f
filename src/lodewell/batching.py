"""Streams cut into groups that fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def greedy(items: Iterable[T], cost: Callable[[T], float], limit: float, most: float = math.inf) -> Iterator[list[T]]:
    """Yield groups of items in their order, each as long as its costs stay within the limit and it has not too many.

    An item that costs more than the limit is a group of its own.
    """
    group: list[T] = []
    total = 0.0
    for item in items:
        own = cost(item)
        if group and (len(group) >= most or total + own > limit):
            yield group
            group, total = [], 0.0
        group.append(item)
        total += own
    if group:
        yield group
