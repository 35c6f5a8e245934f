"""Where work is done: here, on all cores of this machine, or on a cluster."""

from __future__ import annotations

import os

from lodewell.errors import BadOption
from lodewell.workers.base import InProcess, Workers


def open_workers(n: int | None = None, cluster: str | None = None) -> Workers:
    """Open workers, to be used in a `with` statement.

    n: how many; None is every core that this process may use; 1 works in this process, lazily, without any pool.
    cluster: None for this machine; else, with the extra `[cluster]`, "local", the address of a Dask scheduler
    ("tcp://host:8786"), or the path of a YAML file that describes jobs of a queue (see `lodewell.workers.cluster`).

    Raises BadOption for a number below one, LodewellError when the extra is missing or the cluster is out of reach.
    """
    if n is not None and n < 1:
        raise BadOption(f"the number of workers is {n}: give 1 or more, or leave it out to use every core")
    if cluster is not None:
        from lodewell.workers.cluster import open_cluster

        return open_cluster(cluster, n)
    n = usable_cores() if n is None else n
    if n == 1:
        return InProcess()
    from lodewell.workers.processes import Processes

    return Processes(n)


def usable_cores() -> int:
    """Count the cores that this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
