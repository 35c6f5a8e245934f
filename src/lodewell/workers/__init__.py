"""The one seam for parallel work: `open_workers` here or on a cluster, and `Workers.map`."""

from lodewell.workers.open import open_workers

__all__ = ["open_workers"]
