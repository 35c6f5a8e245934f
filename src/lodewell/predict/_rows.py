"""Rows that belong to something: batches as tensors, and sums over what belongs together."""

from __future__ import annotations

from torch import Tensor

Batch = dict[str, Tensor]


def sum_rows(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """Add up rows with the same index; (count, ...)."""
    return rows.new_zeros((count, *rows.shape[1:])).index_add_(0, index, rows)
